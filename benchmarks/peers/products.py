"""The floor: the epoch's matrix products alone, into arrays that are there already."""

import itertools

import numpy as np

from benchmarks.peers.turns import BATCH, ROWS, SIZES, take_turns


def main() -> None:
    """Three products forward and five backward a step."""
    rng = np.random.default_rng(0)
    a = [rng.standard_normal((BATCH, width), np.float32) for width in SIZES]
    d = [rng.standard_normal((BATCH, width), np.float32) for width in SIZES]
    w = [rng.standard_normal(shape, np.float32) for shape in itertools.pairwise(SIZES)]
    g = [np.empty_like(each) for each in w]

    def epoch() -> None:
        for start in range(0, ROWS, BATCH):
            n = min(BATCH, ROWS - start)
            for k in range(3):
                np.matmul(a[k][:n], w[k], out=a[k + 1][:n])
            for k in (2, 1, 0):
                np.matmul(a[k][:n].T, d[k + 1][:n], out=g[k])
                if k:
                    np.matmul(d[k + 1][:n], w[k].T, out=d[k][:n])

    take_turns(epoch)


if __name__ == "__main__":
    main()
