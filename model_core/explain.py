"""Why the network said so: for one image it is exactly a linear map, whose weights can be looked at.

ReLU lets a unit through or not. With D1 and D2 the 0/1 masks of the units that this image activates, the logits are
x @ (W1 D1 W2 D2 W3) + bias: no approximation, unlike the product W1 W2 W3 of the paper's Figure 6c.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_core.layers import Array
from model_core.network import Parameters, forward


class LinearMap(NamedTuple):
    """What the network does to one image: logits = x @ weights + bias, weights (784, 10), bias (10,)."""

    weights: Array
    bias: Array


class HiddenUnits(NamedTuple):
    """The first layer's part in one answer, for each of its H1 units."""

    activations: Array  # (H1,)
    adds: Array  # (H1, 10): what each adds to each logit
    feeds: Array  # (H1, H2): what each adds to each second-layer unit, 0 where that one is not active


def in_double_precision(p: Parameters) -> Parameters:
    """The same parameters as float64, so that sums of thousands of terms agree to many digits."""
    return Parameters(*(np.asarray(each, np.float64) for each in p))


def effective_map(p: Parameters, x: Array) -> LinearMap:
    """The exact linear map that the network applies to one standardised image x (784,)."""
    a1, a2, _ = forward(p, x[None])
    w3 = p.w3 * (a2[0] > 0)[:, None]  # D2 W3
    w23 = (p.w2 @ w3) * (a1[0] > 0)[:, None]  # D1 W2 D2 W3
    return LinearMap(p.w1 @ w23, p.b1 @ w23 + p.b2 @ w3 + p.b3)


def contributions(x: Array, linear: LinearMap) -> Array:
    """What each pixel adds to each class's logit, (784, 10); with the bias, a column sums to the logit."""
    return np.asarray(x[:, None] * linear.weights)


def hidden_units(p: Parameters, x: Array) -> HiddenUnits:
    """What the first layer's units do for one standardised image x (784,)."""
    a1, a2, _ = forward(p, x[None])
    feeds = a1[0][:, None] * p.w2 * (a2[0] > 0)
    return HiddenUnits(a1[0], feeds @ p.w3, feeds)


def strongest(values: Array, count: int) -> NDArray[np.intp]:
    """Indices of the `count` values (N,) furthest from 0, largest first; what is 0 does not count."""
    order = np.argsort(-np.abs(values), kind="stable")[:count]
    return np.asarray(order[values[order] != 0])


def speaks_for(p: Parameters, unit: int) -> Array:
    """What a first-layer unit adds to each class, (10,), where no ReLU stops it: its row of W2 W3. The sign of a rule, not of a picture."""
    return np.asarray(p.w2[unit] @ p.w3)
