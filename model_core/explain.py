"""Why the network said so: for one image it is exactly a linear map, whose weights can be looked at.

ReLU lets a unit through or not. With D1 and D2 the 0/1 masks of the units that this image activates, the logits are
x @ (W1 D1 W2 D2 W3) + bias: no approximation, unlike the product W1 W2 W3 of the paper's Figure 6c.
"""

from typing import NamedTuple

import numpy as np

from model_core.layers import Array
from model_core.network import Parameters, forward


class LinearMap(NamedTuple):
    """What the network does to one image: logits = x @ weights + bias, weights (784, 10), bias (10,)."""

    weights: Array
    bias: Array


def effective_map(p: Parameters, x: Array) -> LinearMap:
    """The exact linear map that the network applies to one standardised image x (784,)."""
    a1, a2, _ = forward(p, x[None])
    w3 = p.w3 * (a2[0] > 0)[:, None]  # D2 W3
    w23 = (p.w2 @ w3) * (a1[0] > 0)[:, None]  # D1 W2 D2 W3
    return LinearMap(p.w1 @ w23, p.b1 @ w23 + p.b2 @ w3 + p.b3)


def contributions(x: Array, linear: LinearMap) -> Array:
    """What each pixel adds to each class's logit, (784, 10); with the bias, a column sums to the logit."""
    return np.asarray(x[:, None] * linear.weights)
