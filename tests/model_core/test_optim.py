"""The optimiser against a reference without blocks; schedules at their landmarks."""

import dataclasses
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from model_core.layers import Array
from model_core.optim import BLOCK, SGD, learning_rate
from model_core.recipe import PAPER, PRESETS, SCHEDULES, Recipe

WEIGHTS, SIZE = 2 * BLOCK + 1001, 3 * BLOCK + 2003  # borders in the middle of blocks


class Run(NamedTuple):
    w: Array
    velocity: Array
    average: Array


def recipe(momentum: float = 0.0, l2: float = 0.0, average: float = 0.0) -> Recipe:
    return dataclasses.replace(PAPER, momentum=momentum, l2=l2, average=average)


def reference_step(r: Recipe, run: Run, g: Array, rate: float, steps: int) -> Run:
    decays = np.arange(SIZE) < WEIGHTS
    g = g + 2 * r.l2 * run.w * decays
    velocity = r.momentum * run.velocity + g
    w = run.w - rate * (g + r.momentum * velocity)
    keep = min(r.average, (1 + steps) / (10 + steps))
    return Run(w, velocity, run.average + (1 - keep) * (w - run.average))


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_in_blocks_equal_steps_in_one_go(momentum: float, l2: float, average: float) -> None:
    r, rng = recipe(momentum, l2, average), np.random.default_rng(1)
    start = rng.normal(size=SIZE).astype(np.float32)
    mine, plain = Run(start.copy(), np.zeros_like(start), start.copy()), Run(*(start.astype(np.float64) * k for k in (1, 0, 1)))
    optimiser = SGD(r, WEIGHTS)
    for steps in range(3):
        gradient = rng.normal(size=SIZE).astype(np.float32)
        plain = reference_step(r, plain, gradient.astype(np.float64), 0.1, steps)
        optimiser.step(mine.w, gradient, mine.velocity, mine.average, 0.1, steps)
    np.testing.assert_allclose(mine.w, plain.w, rtol=1e-5, atol=1e-6)
    if momentum:
        np.testing.assert_allclose(mine.velocity, plain.velocity, rtol=1e-5, atol=1e-5)
    if average:
        np.testing.assert_allclose(mine.average, plain.average, rtol=1e-5, atol=1e-6)


def test_what_a_recipe_has_no_use_for_stays_untouched() -> None:
    w, gradient, velocity, average = (np.full(10, k, np.float32) for k in (1, 2, 3, 4))
    SGD(recipe(), 6).step(w, gradient, velocity, average, 0.5, 0)
    assert w == pytest.approx(1 - 0.5 * 2)
    assert (velocity == 3).all()
    assert (average == 4).all()


def test_the_penalty_alone_shrinks_weights_by_its_closed_form_and_leaves_biases() -> None:
    w, nothing = np.ones(10, np.float32), np.zeros(10, np.float32)
    optimiser, steps, rate, l2 = SGD(recipe(l2=1e-3), 6), 108, 0.2, 1e-3  # one epoch of the paper
    for step in range(steps):
        optimiser.step(w, np.zeros(10, np.float32), nothing, nothing, rate, step)
    assert w[:6] == pytest.approx((1 - 2 * rate * l2) ** steps, rel=1e-4)
    assert w[:6] == pytest.approx(0.958, abs=5e-4)
    assert w[:6] ** 2 == pytest.approx(0.917, abs=5e-4)  # the penalty, which is of W^2
    assert (w[6:] == 1).all()


def test_the_papers_step_size_halves_at_every_hundredth_of_its_500_epochs() -> None:
    for hundred in range(5):
        assert learning_rate(PAPER, 100 * hundred) == pytest.approx(0.2 / 2**hundred)
        assert learning_rate(PAPER, 100 * hundred + 99.99) == pytest.approx(0.2 / 2**hundred)


@pytest.mark.parametrize("epochs", [5, 10, 15, 35, 500, 1000])
def test_a_step_schedule_decays_at_every_fifth_of_any_run(epochs: int) -> None:
    r = dataclasses.replace(PAPER, epochs=epochs)
    rates = [learning_rate(r, epoch) for epoch in range(epochs)]
    assert rates == pytest.approx([0.2 * 0.5 ** (5 * epoch // epochs) for epoch in range(epochs)])


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_falling_schedule_goes_from_the_first_rate_through_half_of_it_to_zero(schedule: str) -> None:
    r = dataclasses.replace(PAPER, schedule=schedule)
    assert [learning_rate(r, at) for at in (0, 250, 500)] == pytest.approx([0.2, 0.1, 0])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("preset", PRESETS)
def test_no_schedule_ever_rises(preset: str, schedule: str) -> None:
    r = Recipe.preset(preset, schedule=schedule)
    rates = [learning_rate(r, progress) for progress in np.linspace(0, r.epochs, 301)]
    assert rates[0] == r.learning_rate
    assert all(later <= earlier for earlier, later in pairwise(rates))
