"""Stochastic gradient descent with Nesterov momentum, L2 and weight averaging; learning-rate schedules."""

import math
from collections.abc import Iterator

import numpy as np

from model_core.layers import Array
from model_core.recipe import Recipe

# Floats in a piece of the parameter array. The update reads and writes each number several times; piece by piece, all but the
# first of these find it in the core's own cache. Twice as fast as array by array, with the same result.
BLOCK = 32768


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Step size after `progress` epochs (0 at the start, a fraction within an epoch)."""
    share = progress / recipe.epochs
    match recipe.schedule:
        case "step":
            return recipe.learning_rate * recipe.lr_decay ** int(share * 5 + 1e-9)
        case "linear":
            return recipe.learning_rate * (1 - share)
        case "cosine":
            return recipe.learning_rate * (1 + math.cos(math.pi * share)) / 2
        case _:
            return recipe.learning_rate


class SGD:
    """Updates one flat parameter array in place; its first `weights` numbers are weights (the L2 penalty is theirs), the rest biases.

    With g the gradient plus 2 * l2 * w, each step does v = momentum * v + g, then w = w - rate * (g + momentum * v)
    (Nesterov's momentum as in Sutskever et al., 2013). The average follows as average + (1 - decay) * (w - average).
    """

    def __init__(self, recipe: Recipe, weights: int, dtype: type[np.floating] = np.float32) -> None:
        self.momentum = recipe.momentum
        self.decay = 2 * recipe.l2
        self.average_decay = recipe.average
        self.weights = weights
        self.scratch = np.empty(BLOCK, dtype)

    def step(self, w: Array, gradient: Array, velocity: Array, average: Array, rate: float, steps: int) -> float:
        """Take step number `steps` (from 0); returns the penalty before it, l2 * sum(W^2).

        `gradient` is used up; `velocity` and `average` stay as they are where the recipe has none.
        """
        # Early on the average forgets faster, or it would hold the random start for thousands of steps.
        keep = min(self.average_decay, (1 + steps) / (10 + steps))
        squares = 0.0
        for block, decays in self._blocks(len(w)):
            part, scratch = w[block], self.scratch[: block.stop - block.start]
            if decays:
                squares += float(np.dot(part, part))
            self._descend(part, gradient[block], velocity[block], scratch, rate, decays)
            if self.average_decay:
                follows = average[block]
                np.subtract(part, follows, out=scratch)
                scratch *= 1 - keep
                follows += scratch
        return self.decay / 2 * squares

    def _descend(self, w: Array, g: Array, v: Array, scratch: Array, rate: float, decays: bool) -> None:
        if decays:
            g += np.multiply(w, self.decay, out=scratch)
        if self.momentum:
            v *= self.momentum
            v += g
            g += np.multiply(v, self.momentum, out=scratch)
        g *= rate
        w -= g

    def _blocks(self, size: int) -> Iterator[tuple[slice, bool]]:
        """Slices that cover 0..size, none of them across the border from weights to biases, and whether each decays."""
        for start, end in ((0, self.weights), (self.weights, size)):
            for low in range(start, end, BLOCK):
                yield slice(low, min(low + BLOCK, end)), start == 0 and self.decay > 0
