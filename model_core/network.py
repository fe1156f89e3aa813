"""The network: 784 -> H1 -> H2 -> 10, ReLU after the first two layers, softmax on the logits of the third.

Rows are samples: z = a @ W + b, W is (in, out), b is (out,). Nothing is stored on a model object; parameters go in, arrays come out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_core import layers
from model_core.layers import Array

PIXELS = 784
CLASSES = 10
LARGEST_WEIGHT = 1e15  # a product of two matrices stays within float32, whatever the activations are
LARGEST_ACTIVATION = 1e30  # well inside float32: nothing that any picture makes of the weights is infinite or no number


class Parameters(NamedTuple):
    """Weights (in, out) and biases (out,) of the three layers; also used for their gradients."""

    w1: Array
    b1: Array
    w2: Array
    b2: Array
    w3: Array
    b3: Array

    @property
    def weights(self) -> tuple[Array, Array, Array]:
        """The three weight matrices, which the L2 penalty is about."""
        return self.w1, self.w2, self.w3

    @property
    def hidden(self) -> tuple[int, int]:
        """Sizes (H1, H2) of the two hidden layers."""
        return self.w1.shape[1], self.w2.shape[1]


class Activations(NamedTuple):
    """What the forward pass computes for N images: a1 (N, H1), a2 (N, H2) and the logits (N, 10)."""

    a1: Array
    a2: Array
    logits: Array


def shapes(hidden: tuple[int, int]) -> Parameters:
    """The shape of each parameter array for hidden sizes (H1, H2), in a Parameters of tuples."""
    h1, h2 = hidden
    return Parameters((PIXELS, h1), (h1,), (h1, h2), (h2,), (h2, CLASSES), (CLASSES,))  # type: ignore[arg-type]


def unflatten(flat: Array, hidden: tuple[int, int]) -> Parameters:
    """Views of one flat array as the six parameter arrays; the three weight matrices come first, so flat[:weight_count] is all of them.

    Raises ValueError where a network of that size has another number of parameters.
    """
    if len(flat) != parameter_count(hidden):
        raise ValueError(f"{len(flat)} numbers are no network of {hidden}, which has {parameter_count(hidden)}; are they another recipe's?")
    views, offset = {}, 0
    by_name = shapes(hidden)._asdict()
    for name in ("w1", "w2", "w3", "b1", "b2", "b3"):
        size = int(np.prod(by_name[name]))
        views[name] = flat[offset : offset + size].reshape(by_name[name])
        offset += size
    return Parameters(**views)


def weight_count(hidden: tuple[int, int]) -> int:
    """How many numbers the three weight matrices hold."""
    h1, h2 = hidden
    return PIXELS * h1 + h1 * h2 + h2 * CLASSES


def parameter_count(hidden: tuple[int, int]) -> int:
    """How many numbers the network learns: 558,074 for (500, 324)."""
    return weight_count(hidden) + sum(hidden) + CLASSES


def initialise(hidden: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Fresh parameters, flat: W ~ Normal(0, std = sqrt(2 / fan_in)), b = 0 (He et al., 2015)."""
    flat = np.zeros(parameter_count(hidden), np.float32)
    for w in unflatten(flat, hidden).weights:
        w[...] = rng.normal(0.0, np.sqrt(2 / w.shape[0]), w.shape)
    return flat


def forward(p: Parameters, x: Array, masks: tuple[Array, Array] | None = None) -> Activations:
    """Activations for standardised images x (N, 784); masks (N, H1) and (N, H2) are dropout's, None outside training."""
    a1 = layers.relu(layers.linear(x, p.w1, p.b1))
    if masks:
        a1 = layers.dropout(a1, masks[0])
    a2 = layers.relu(layers.linear(a1, p.w2, p.b2))
    if masks:
        a2 = layers.dropout(a2, masks[1])
    return Activations(a1, a2, layers.linear(a2, p.w3, p.b3))


def largest_activation(p: Parameters, largest_input: float) -> float:
    """A bound on every |activation| for |x| <= largest_input, in float64, where float32 could not hold it."""
    bound, largest = np.full(PIXELS, largest_input), 0.0
    for w, b in zip(p.weights, (p.b1, p.b2, p.b3), strict=True):
        bound = bound @ np.abs(w).astype(np.float64) + np.abs(b)
        largest = max(largest, float(bound.max()))
    return largest


def can_overflow(p: Parameters, largest_input: float) -> bool:
    """Whether some picture with |x| <= largest_input, or a product of the weights alone, could go beyond what float32 holds."""
    largest_weight = max(float(np.abs(w).max()) for w in p.weights)
    # NaN is neither above nor below.
    return not (largest_weight <= LARGEST_WEIGHT and largest_activation(p, largest_input) <= LARGEST_ACTIVATION)


def loss(p: Parameters, x: Array, targets: Array, l2: float = 0.0) -> float:
    """Mean cross-entropy of x (N, 784) against targets (N, 10), plus the L2 penalty."""
    return layers.cross_entropy(forward(p, x).logits, targets) + layers.penalty(p.weights, l2)


def backward(
    p: Parameters,
    x: Array,
    activations: Activations,
    targets: Array,
    l2: float = 0.0,
    masks: tuple[Array, Array] | None = None,
) -> Parameters:
    """Gradients of the loss for every parameter, by the chain rule from the logits back (paper, section 2.2)."""
    a1, a2, logits = activations
    d3 = layers.cross_entropy_backward(logits, targets)
    da2, w3, b3 = layers.linear_backward(d3, a2, p.w3)
    if masks:
        da2 = layers.dropout_backward(da2, masks[1])
    da1, w2, b2 = layers.linear_backward(layers.relu_backward(da2, a2), a1, p.w2)
    if masks:
        da1 = layers.dropout_backward(da1, masks[0])
    _, w1, b1 = layers.linear_backward(layers.relu_backward(da1, a1), x, p.w1)
    decay = [layers.penalty_backward(w, l2) for w in p.weights]
    return Parameters(w1 + decay[0], b1, w2 + decay[1], b2, w3 + decay[2], b3)


def predict_one(p: Parameters, x: Array) -> Array:
    """Class probabilities (10,) of one standardised image x (784,): what predict_proba says, in half the time."""
    a1 = np.maximum(x @ p.w1 + p.b1, 0)  # (H1,)
    a2 = np.maximum(a1 @ p.w2 + p.b2, 0)  # (H2,)
    z = a2 @ p.w3 + p.b3
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())  # (10,)


def predict_proba(p: Parameters, x: Array) -> Array:
    """Class probabilities (N, 10) of standardised images x (N, 784)."""
    return layers.softmax(forward(p, x).logits)
