"""The fast path of training computes what the plain functions do."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core import layers, network
from model_core.layers import Array
from model_core.workspace import Workspace, dropout_bytes, random_bytes

HIDDEN, ROWS = (40, 24), 32
F32 = NDArray[np.float32]


class Batch(NamedTuple):
    x: F32
    labels: NDArray[np.uint8]
    targets: F32


def random_batch(rng: np.random.Generator, rows: int) -> Batch:
    labels = rng.integers(0, 10, rows, dtype=np.uint8)
    return Batch(rng.normal(size=(rows, network.PIXELS)).astype(np.float32), labels, layers.target_table(10, 0.1)[labels])


def masks_of_bytes(rate: float, rows: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The dropout masks that a workspace draws from `rng`."""
    drop = dropout_bytes(rate)
    first, second = (random_bytes(rng, (rows, units)) >= drop for units in HIDDEN)
    return first * (256 / (256 - drop)), second * (256 / (256 - drop))


@pytest.mark.parametrize("rate", [0.0, 0.25])
@pytest.mark.parametrize("rows", [ROWS, 13, 1])
def test_a_workspace_equals_the_plain_network(rows: int, rate: float) -> None:
    rng = np.random.default_rng(3)
    p = network.unflatten(network.initialise(HIDDEN, rng), HIDDEN)
    workspace, out = Workspace(ROWS, HIDDEN, rate), network.unflatten(np.empty(network.parameter_count(HIDDEN), np.float32), HIDDEN)
    for turn in range(2):  # the second finds the first one's numbers in the buffers
        x, labels, targets = random_batch(rng, rows)
        masks = masks_of_bytes(rate, rows, np.random.default_rng(turn)) if rate else None
        plain = network.forward(p, x, masks)
        activations = workspace.forward(p, x, np.random.default_rng(turn))
        for mine, theirs in zip(activations, plain, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
        figures = workspace.backward(p, x, activations, targets, labels, out)
        for mine, theirs in zip(out, network.backward(p, x, plain, targets, masks=masks), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
        assert figures.cross_entropy == pytest.approx(layers.cross_entropy(plain.logits, targets), rel=1e-4)
        assert figures.correct == np.count_nonzero(plain.logits.argmax(axis=1) == labels)


def test_a_workspace_drops_nothing_without_a_generator() -> None:
    rng = np.random.default_rng(4)
    p, x = network.unflatten(network.initialise(HIDDEN, rng), HIDDEN), random_batch(rng, 5).x
    np.testing.assert_allclose(Workspace(ROWS, HIDDEN, 0.5).forward(p, x).logits, network.forward(p, x).logits, rtol=1e-4, atol=1e-5)


def test_dropout_leaves_the_mean_activation_as_it_is() -> None:
    rng = np.random.default_rng(5)
    p, x = network.unflatten(network.initialise((400, 10), rng), (400, 10)), random_batch(rng, 200).x
    dropped = Workspace(200, (400, 10), 0.25).forward(p, x, rng).a1
    plain = network.forward(p, x).a1
    assert dropped.mean() == pytest.approx(plain.mean(), rel=0.02)
    assert np.mean(dropped[plain > 0] == 0) == pytest.approx(0.25, abs=0.01)


def test_random_bytes_take_every_value_equally_often() -> None:
    found = random_bytes(np.random.default_rng(6), (101, 1003))
    assert found.shape == (101, 1003)
    assert np.bincount(found.ravel(), minlength=256) == pytest.approx(101 * 1003 / 256, rel=0.25)
