"""The layers against central differences and hand examples."""

import numpy as np
import pytest

from model_core import layers
from tests.support.gradients import assert_gradient


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_linear_backward_is_the_gradient_of_linear(rng: np.random.Generator) -> None:
    x, w, b, dz = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(5, 3))
    for array, gradient in zip((x, w, b), layers.linear_backward(dz, x, w), strict=True):
        assert_gradient(lambda: float(np.vdot(dz, layers.linear(x, w, b))), array, gradient)


def test_relu_backward_is_the_gradient_of_relu(rng: np.random.Generator) -> None:
    z, da = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    assert_gradient(lambda: float(np.vdot(da, layers.relu(z))), z, layers.relu_backward(da, layers.relu(z)))


def test_dropout_backward_is_the_gradient_of_dropout(rng: np.random.Generator) -> None:
    a, da = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    mask = (rng.random((5, 4)) < 0.5) / 0.5
    assert_gradient(lambda: float(np.vdot(da, layers.dropout(a, mask))), a, layers.dropout_backward(da, mask))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_backward_is_the_gradient_of_cross_entropy(rng: np.random.Generator, smoothing: float) -> None:
    z, targets = rng.normal(size=(6, 10)), layers.target_table(10, smoothing)[rng.integers(0, 10, 6)]
    assert_gradient(lambda: layers.cross_entropy(z, targets), z, layers.cross_entropy_backward(z, targets))


def test_penalty_backward_is_the_gradient_of_penalty(rng: np.random.Generator) -> None:
    w, other = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    assert_gradient(lambda: layers.penalty((w, other), 0.3), w, layers.penalty_backward(w, 0.3))


def test_the_penalty_has_no_factor_of_one_half() -> None:
    w = np.array([[3.0, 4.0]])
    assert layers.penalty((w, w), 0.1) == pytest.approx(0.1 * 50)
    assert layers.penalty_backward(w, 0.1) == pytest.approx(2 * 0.1 * w)


@pytest.mark.parametrize("size", [1e3, 1e30, 1e300])
def test_softmax_and_its_loss_stay_finite_for_huge_logits(size: float) -> None:
    z = np.array([[size, 0, -size], [-size, -size, -size]])
    assert layers.softmax(z) == pytest.approx(np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))
    assert layers.cross_entropy(z, np.array([[1.0, 0, 0], [0, 1, 0]])) == pytest.approx(np.log(3) / 2)


def test_softmax_does_not_change_when_a_row_is_shifted(rng: np.random.Generator) -> None:
    z = rng.normal(size=(4, 10))
    assert layers.softmax(z + 1000) == pytest.approx(layers.softmax(z))
    assert layers.softmax(z).sum(axis=1) == pytest.approx(1)


def test_a_network_that_knows_nothing_loses_log_ten() -> None:
    assert layers.cross_entropy(np.zeros((3, 10)), layers.target_table(10)[[1, 2, 3]]) == pytest.approx(np.log(10))


def test_smoothed_targets_are_distributions_that_still_favour_their_class() -> None:
    table = layers.target_table(10, 0.1)
    assert table.sum(axis=1) == pytest.approx(1)
    assert np.diagonal(table) == pytest.approx(0.91)
    assert table[0, 1] == pytest.approx(0.01)
