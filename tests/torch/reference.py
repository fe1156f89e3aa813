"""What PyTorch makes of a batch and of ten steps: python reference.py IN.npz OUT.npz, in an environment that has torch.

Written with torch's own layers, loss and optimiser (autograd, nn.functional, optim.SGD), in float64.
"""

import sys

import numpy as np
import torch
from torch.nn import functional

NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")


def main(source: str, target: str) -> None:
    given = np.load(source)
    tensors = {name: torch.tensor(given[name], requires_grad=True) for name in NAMES}
    batches = [(torch.tensor(x), torch.tensor(y)) for x, y in zip(given["x"], given["targets"], strict=True)]
    weights = [tensors[name] for name in ("w1", "w2", "w3")]
    biases = [tensors[name] for name in ("b1", "b2", "b3")]
    rate, momentum, l2 = (float(given[name]) for name in ("rate", "momentum", "l2"))

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a1 = functional.relu(functional.linear(x, tensors["w1"].T, tensors["b1"]))
        a2 = functional.relu(functional.linear(a1, tensors["w2"].T, tensors["b2"]))
        fit = functional.cross_entropy(functional.linear(a2, tensors["w3"].T, tensors["b3"]), y)
        return fit + l2 * sum((w**2).sum() for w in weights)

    first = loss(*batches[0])
    first.backward()
    gradients = {f"gradient_{name}": tensor.grad.numpy().copy() for name, tensor in tensors.items()}

    groups = [{"params": weights, "weight_decay": 2 * l2}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0)
    trajectory = []
    for x, y in batches:
        optimiser.zero_grad()
        trajectory.append(loss(x, y).item())
        # The penalty reaches the gradient once: by weight_decay here, so the loss to differentiate is without it.
        (loss(x, y) - l2 * sum((w**2).sum() for w in weights)).backward()
        optimiser.step()
    after = {f"after_{name}": tensor.detach().numpy() for name, tensor in tensors.items()}
    np.savez(target, loss=first.item(), trajectory=trajectory, **gradients, **after)


if __name__ == "__main__":
    main(*sys.argv[1:])
