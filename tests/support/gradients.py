"""Gradients by central differences, to hold the hand-written ones against."""

from collections.abc import Callable

import numpy as np

from model_core.layers import Array

STEP = 1e-6


def assert_gradient(loss: Callable[[], float], array: Array, gradient: Array, entries: int = 10_000) -> None:
    """`gradient` is that of `loss` for `array` (float64), at every entry or at `entries` drawn ones."""
    assert gradient.shape == array.shape
    flat = array.reshape(-1)
    assert np.shares_memory(flat, array)
    drawn = np.random.default_rng(0).permutation(flat.size)[:entries]
    measured = [_slope(loss, flat, int(i)) for i in drawn]
    np.testing.assert_allclose(gradient.reshape(-1)[drawn], measured, rtol=1e-5, atol=1e-8)


def _slope(loss: Callable[[], float], flat: Array, i: int) -> float:
    kept = flat[i]
    flat[i] = kept + STEP
    above = loss()
    flat[i] = kept - STEP
    below = loss()
    flat[i] = kept
    return (above - below) / (2 * STEP)
