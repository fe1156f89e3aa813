"""PyTorch: nn.Linear, cross_entropy, optim.SGD with weight decay on the weights, shuffled batches cut from one tensor."""

import itertools

import numpy as np
import torch
from torch import nn

from benchmarks.peers.turns import BATCH, L2, RATE, ROWS, SIZES, images, take_turns


def main() -> None:
    """One epoch a turn."""
    x, y = (torch.from_numpy(array) for array in images())
    linear = [nn.Linear(*shape) for shape in itertools.pairwise(SIZES)]
    network = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
    groups = [
        {"params": [layer.weight for layer in linear], "weight_decay": 2 * L2},
        {"params": [layer.bias for layer in linear], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, lr=RATE)
    rng = np.random.default_rng(0)

    def epoch() -> None:
        order = torch.from_numpy(rng.permutation(ROWS))
        for start in range(0, ROWS, BATCH):
            index = order[start : start + BATCH]
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[index]), y[index]).backward()
            optimiser.step()

    take_turns(epoch)


if __name__ == "__main__":
    main()
