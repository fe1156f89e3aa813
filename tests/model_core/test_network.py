"""The network's gradients against central differences in float64, and what it starts from."""

import numpy as np
import pytest

from model_core import layers, network
from model_core.layers import Array
from model_core.network import Parameters
from tests.support.gradients import assert_gradient

HIDDEN = (7, 5)


def small_network(rng: np.random.Generator) -> Parameters:
    """784-7-5-10 in float64, biases included."""
    return network.unflatten(rng.normal(0, 0.1, network.parameter_count(HIDDEN)), HIDDEN)


def batch(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    return rng.normal(size=(rows, network.PIXELS)), layers.target_table(10, 0.1)[rng.integers(0, 10, rows)]


@pytest.mark.parametrize("l2", [0.0, 0.05])
@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize("name", Parameters._fields)
def test_backward_is_the_gradient_of_the_loss_for_every_parameter(name: str, drops: bool, l2: float) -> None:
    rng = np.random.default_rng(11)
    p, (x, targets) = small_network(rng), batch(rng, 6)
    masks = ((rng.random((6, 7)) < 0.75) / 0.75, (rng.random((6, 5)) < 0.75) / 0.75) if drops else None
    gradients = network.backward(p, x, network.forward(p, x, masks), targets, l2, masks)

    def loss() -> float:
        return layers.cross_entropy(network.forward(p, x, masks).logits, targets) + layers.penalty(p.weights, l2)

    assert_gradient(loss, getattr(p, name), getattr(gradients, name), entries=40)


def test_loss_is_the_cross_entropy_plus_the_penalty() -> None:
    rng = np.random.default_rng(12)
    p, (x, targets) = small_network(rng), batch(rng, 4)
    bare = layers.cross_entropy(network.forward(p, x).logits, targets)
    assert network.loss(p, x, targets, 0.01) == pytest.approx(bare + 0.01 * sum((w**2).sum() for w in p.weights))


def test_the_whole_network_slopes_as_its_gradient_says_along_random_directions() -> None:
    rng, hidden, step = np.random.default_rng(13), (500, 324), 1e-5
    flat = network.initialise(hidden, rng).astype(np.float64)
    p, (x, targets) = network.unflatten(flat, hidden), batch(rng, 4)
    gradient = network.backward(p, x, network.forward(p, x), targets, 1e-3)
    for _ in range(3):
        direction = rng.normal(size=flat.size) / np.sqrt(flat.size)
        along = network.unflatten(direction, hidden)
        above, below = (network.unflatten(flat + side * step * direction, hidden) for side in (1, -1))
        measured = (network.loss(above, x, targets, 1e-3) - network.loss(below, x, targets, 1e-3)) / (2 * step)
        assert measured == pytest.approx(sum(np.vdot(g, d) for g, d in zip(gradient, along, strict=True)), rel=1e-4)


def test_the_papers_network_has_558074_parameters() -> None:
    assert network.parameter_count((500, 324)) == network.initialise((500, 324), np.random.default_rng(0)).size == 558_074


def test_fresh_weights_have_he_deviation_and_zero_biases() -> None:
    p = network.unflatten(network.initialise((500, 324), np.random.default_rng(0)), (500, 324))
    for w in p.weights:
        assert w.std() == pytest.approx(np.sqrt(2 / w.shape[0]), rel=5 / np.sqrt(2 * w.size))
        assert w.mean() == pytest.approx(0, abs=5 * w.std() / np.sqrt(w.size))
    assert not any(b.any() for b in (p.b1, p.b2, p.b3))


def test_unflatten_gives_views_with_all_weights_before_all_biases() -> None:
    flat = np.arange(network.parameter_count(HIDDEN), dtype=np.float64)
    p = network.unflatten(flat, HIDDEN)
    assert [array.shape for array in p] == list(network.shapes(HIDDEN))
    assert all(np.shares_memory(array, flat) for array in p)
    assert max(w.max() for w in p.weights) == network.weight_count(HIDDEN) - 1
    assert p.hidden == HIDDEN


def test_a_batch_predicts_what_its_images_predict_alone() -> None:  # to 1e-9: gemm and gemv round differently
    rng = np.random.default_rng(14)
    p, (x, _) = small_network(rng), batch(rng, 5)
    alone = np.concatenate([network.predict_proba(p, row[None]) for row in x])
    np.testing.assert_allclose(network.predict_proba(p, x), alone, atol=1e-9)


def test_one_image_is_classified_alone_as_in_a_batch() -> None:
    rng = np.random.default_rng(17)
    p, (x, _) = small_network(rng), batch(rng, 5)
    np.testing.assert_allclose([network.predict_one(p, row) for row in x], network.predict_proba(p, x), rtol=1e-12)
