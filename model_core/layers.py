"""The layers: forward and, under each, backward. Pure functions, any float dtype, rows are samples.

N is the number of images in a batch. These are the reference: `workspace.py` computes the same with reused buffers, and a test
holds the two equal. Equation numbers are those of the paper.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def linear(x: Array, w: Array, b: Array) -> Array:
    """z = x @ w + b for x (N, in), w (in, out), b (out,) (paper, Eq. 1, with rows as samples)."""
    return x @ w + b  # (N, out)


def linear_backward(dz: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Gradients of x, w and b for z = x @ w + b, given dz = dL/dz (N, out) (paper, Eq. 4)."""
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)  # (N, in), (in, out), (out,)


def relu(z: Array) -> Array:
    """max(0, z), element by element (paper, Eq. 2)."""
    return np.maximum(z, 0)


def relu_backward(da: Array, a: Array) -> Array:
    """Gradient of z for a = relu(z): da where the unit was active, else 0 (paper, Eq. 5)."""
    return da * (a > 0)


def dropout(a: Array, mask: Array) -> Array:
    """Inverted dropout (Srivastava et al., 2014): mask holds 0 for a dropped unit and 1 / (1 - rate) for a kept one."""
    return a * mask


def dropout_backward(da: Array, mask: Array) -> Array:
    """Gradient of a for dropout(a, mask)."""
    return da * mask


def softmax(z: Array) -> Array:
    """Class probabilities of logits z (N, K), each row summing to 1 (paper, Eq. 3); the row's maximum is subtracted first."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))  # (N, K)


def cross_entropy(z: Array, targets: Array) -> float:
    """Mean cross-entropy in nats of logits z (N, K) against target distributions (N, K) (paper, Eq. 6, averaged over rows)."""
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(targets * log_p).sum() / len(z))


def cross_entropy_backward(z: Array, targets: Array) -> Array:
    """Gradient of z for cross_entropy(softmax(z), targets): (p - targets) / N (paper, Eq. 5)."""
    return (softmax(z) - targets) / len(z)  # (N, K)


def penalty(weights: tuple[Array, ...], l2: float) -> float:
    """L2 penalty l2 * sum(W^2) over the weight matrices, with no factor 1/2; biases are left out."""
    return l2 * float(sum(np.vdot(w, w) for w in weights))


def penalty_backward(w: Array, l2: float) -> Array:
    """Gradient of w for penalty: 2 * l2 * w."""
    return 2 * l2 * w


def target_table(classes: int, smoothing: float = 0.0) -> NDArray[np.float32]:
    """Target distribution of each class, (K, K): one-hot, or with `smoothing` of the mass spread evenly (Szegedy et al., 2016)."""
    return np.asarray((1 - smoothing) * np.eye(classes) + smoothing / classes, dtype=np.float32)
