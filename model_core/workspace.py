"""The fast path of training: `network.forward` and `network.backward` for float32, with every large array allocated once.

At 512 rows the arithmetic outside the matrix products costs little, but allocating fresh arrays for it costs as much again.
`tests/model_core/test_workspace.py` holds this file to the plain functions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_core.network import CLASSES, Activations, Parameters

F32 = NDArray[np.float32]


class BatchFigures(NamedTuple):
    """What one batch says of the network before its step: mean cross-entropy (nats), rows labelled rightly."""

    cross_entropy: float
    correct: int


def dropout_bytes(rate: float) -> int:
    """Of the 256 values of a random byte, how many drop a unit at that rate."""
    return round(rate * 256)


def random_bytes(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Bytes at random, cut from 64-bit words: in a seventh of the time of rng.bytes."""
    rows, columns = shape
    words = rng.integers(0, 2**64, -(-rows * columns // 8), np.dtype("<u8"))
    return words.view(np.uint8)[: rows * columns].reshape(shape)


class Workspace:
    """Buffers for batches of up to `rows` images through a network with the given hidden sizes."""

    def __init__(self, rows: int, hidden: tuple[int, int], dropout: float = 0.0) -> None:
        h1, h2 = hidden
        self.a1, self.d1, self.active1 = np.empty((rows, h1), np.float32), np.empty((rows, h1), np.float32), np.empty((rows, h1), bool)
        self.a2, self.d2, self.active2 = np.empty((rows, h2), np.float32), np.empty((rows, h2), np.float32), np.empty((rows, h2), bool)
        self.logits = np.empty((rows, CLASSES), np.float32)
        self.ones = np.ones(rows, np.float32)  # a sum over rows is a product with these, in half the time
        self.drop = dropout_bytes(dropout)
        self.keep_scale = np.float32(256 / (256 - self.drop))

    def forward(self, p: Parameters, x: F32, rng: np.random.Generator | None = None) -> Activations:
        """As network.forward, into this workspace's buffers; with `rng`, units are dropped at random."""
        n = len(x)
        a1 = self._hidden_layer(x, p.w1, p.b1, self.a1[:n], self.active1[:n], rng)
        a2 = self._hidden_layer(a1, p.w2, p.b2, self.a2[:n], self.active2[:n], rng)
        logits = np.matmul(a2, p.w3, out=self.logits[:n])
        logits += p.b3
        return Activations(a1, a2, logits)

    def backward(
        self, p: Parameters, x: F32, activations: Activations, targets: F32, labels: NDArray[np.uint8], out: Parameters
    ) -> BatchFigures:
        """As network.backward without the penalty, into `out`; targets are (N, 10), labels (N,). The activations are used up."""
        a1, a2, logits = activations
        n = len(x)
        figures, d3 = _softmax_cross_entropy(logits, targets, labels)
        np.matmul(a2.T, d3, out=out.w3)
        np.matmul(self.ones[:n], d3, out=out.b3)
        d2 = self._hidden_backward(d3, p.w3, a2, self.d2[:n], self.active2[:n])
        np.matmul(a1.T, d2, out=out.w2)
        np.matmul(self.ones[:n], d2, out=out.b2)
        d1 = self._hidden_backward(d2, p.w2, a1, self.d1[:n], self.active1[:n])
        np.matmul(x.T, d1, out=out.w1)
        np.matmul(self.ones[:n], d1, out=out.b1)
        return figures

    def _hidden_layer(self, x: F32, w: F32, b: F32, a: F32, active: NDArray[np.bool_], rng: np.random.Generator | None) -> F32:
        np.matmul(x, w, out=a)
        np.maximum(a, -b, out=a)  # max(z, -b) + b is max(z + b, 0) to the last bit; against a row it takes half the time
        a += b
        if rng is not None and self.drop:
            a *= np.greater_equal(random_bytes(rng, a.shape), self.drop, out=active)
            a *= self.keep_scale
        return a

    def _hidden_backward(self, dz: F32, w: F32, a: F32, da: F32, active: NDArray[np.bool_]) -> F32:
        if self.drop:
            dz *= self.keep_scale  # the narrower side; nothing else needs it any more
        np.matmul(dz, w.T, out=da)
        da *= np.greater(a, 0, out=active)  # a dropped unit is 0 too: one mask serves ReLU and dropout
        return da


def _softmax_cross_entropy(logits: F32, targets: F32, labels: NDArray[np.uint8]) -> tuple[BatchFigures, F32]:
    """The batch's figures, and d(loss)/d(logits) in place of the logits."""
    n = len(logits)
    correct = int(np.count_nonzero(logits.argmax(axis=1) == labels))
    logits -= logits.max(axis=1, keepdims=True)
    fit = float(np.vdot(logits, targets))
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    cross_entropy = (float(np.log(sums).sum(dtype=np.float64)) - fit) / n
    logits /= sums
    logits -= targets
    logits /= np.float32(n)
    return BatchFigures(cross_entropy, correct), logits
