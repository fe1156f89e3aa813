"""The exact linear map of one image: what it says is what the network computes."""

import numpy as np
import pytest

from model_core import explain, network


def a_network(seed: int) -> tuple[network.Parameters, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return network.unflatten(rng.normal(0, 0.1, network.parameter_count((40, 30))), (40, 30)), rng


@pytest.mark.parametrize("seed", range(5))
def test_the_effective_map_gives_the_networks_own_logits(seed: int) -> None:
    p, rng = a_network(seed)
    x = rng.normal(size=784)
    linear = explain.effective_map(p, x)
    logits = network.forward(p, x[None]).logits[0]
    assert x @ linear.weights + linear.bias == pytest.approx(logits, abs=1e-9)
    assert explain.contributions(x, linear).sum(axis=0) + linear.bias == pytest.approx(logits, abs=1e-9)


def test_the_map_stays_the_same_for_images_that_activate_the_same_units() -> None:
    p, rng = a_network(9)
    x = rng.normal(size=784)
    here, there = explain.effective_map(p, x), explain.effective_map(p, x * (1 + 1e-9))
    assert np.array_equal(here.weights, there.weights)


def test_the_effective_map_is_the_logits_derivative() -> None:
    p, rng = a_network(10)
    x, step = rng.normal(size=784), 1e-6
    weights = explain.effective_map(p, x).weights
    for pixel in rng.integers(0, 784, 20):
        moved = np.zeros(784)
        moved[pixel] = step
        above, below = (network.forward(p, (x + side * moved)[None]).logits[0] for side in (1, -1))
        assert (above - below) / (2 * step) == pytest.approx(weights[pixel], abs=1e-6)


def test_the_hidden_units_and_the_biases_sum_to_the_logits() -> None:
    p, rng = a_network(11)
    x = rng.normal(size=784)
    a1, a2, logits = network.forward(p, x[None])
    units = explain.hidden_units(p, x)
    active = p.w3 * (a2[0] > 0)[:, None]
    assert units.adds.sum(axis=0) + p.b2 @ active + p.b3 == pytest.approx(logits[0], abs=1e-9)
    assert units.activations.tolist() == a1[0].tolist()
    assert not units.feeds[a1[0] == 0].any()
    assert not units.feeds[:, a2[0] == 0].any()


def test_the_strongest_values_come_first_and_zeros_never() -> None:
    assert explain.strongest(np.array([0.0, -3, 1, 2, 0]), 2).tolist() == [1, 3]
    assert explain.strongest(np.array([0.0, -3, 1, 2, 0]), 9).tolist() == [1, 3, 2]


def test_a_unit_speaks_for_the_classes_of_its_row_of_the_later_matrices() -> None:
    p, _ = a_network(12)
    assert explain.speaks_for(p, 7) == pytest.approx((p.w2 @ p.w3)[7])
