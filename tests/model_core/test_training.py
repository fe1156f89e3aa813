"""The training loop, on a dataset that a small network learns in a moment."""

import dataclasses
import inspect
import itertools
import json
from typing import Any

import numpy as np
import pytest

from model_core import checkpoint, layers, network, training
from model_core.data import TrainingData
from model_core.errors import DivergenceError
from model_core.layers import Array
from model_core.preprocess import Standardizer
from model_core.recipe import Recipe
from model_core.training import State
from tests.support import tiny
from tests.support.tiny import RECIPE, run

EVERYTHING: dict[str, Any] = {
    "dropout": 0.25,
    "augment": "flip-shift1",
    "average": 0.9,
    "label_smoothing": 0.1,
    "schedule": "cosine",
    "l2": 1e-3,
}
PAPER: dict[str, Any] = {"momentum": 0.0, "l2": 1e-3, "learning_rate": 0.2, "schedule": "step", "standardize": "batch"}


def recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(RECIPE, **changes)


def kept(r: Recipe, start: State | None = None) -> Array:
    return run(r, start)[1].best


GOLDEN: list[tuple[dict[str, Any], list[float], list[float]]] = [
    ({}, [1.9891, 0.4387, 0.0561, 0.0201], [1.0508, 0.2109, 0.0776, 0.0540]),
    (PAPER, [2.2490, 1.1473, 0.8027, 0.6638], [1.5394, 1.1265, 0.9660, 0.8813]),
    (EVERYTHING, [2.6622, 2.4081, 2.3821, 2.3751], [2.4194, 2.2664, 2.1671, 2.1448]),
]


@pytest.mark.parametrize(("changes", "train_losses", "validation_losses"), GOLDEN, ids=["quick", "paper", "everything"])
def test_losses_are_those_of_the_first_run(changes: dict[str, Any], train_losses: list[float], validation_losses: list[float]) -> None:
    epochs, _ = run(recipe(**changes))
    assert [epoch.train_loss for epoch in epochs] == pytest.approx(train_losses, abs=1e-3)
    assert [epoch.validation_loss for epoch in epochs] == pytest.approx(validation_losses, abs=1e-3)


def test_a_network_learns() -> None:
    epochs, state = run(recipe(epochs=15))
    assert epochs[0].train_loss > 1.5
    assert epochs[-1].train_loss < 0.1
    assert state.best_accuracy > 0.9


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["quick", "everything"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(changes: dict[str, Any]) -> None:
    np.testing.assert_array_equal(kept(recipe(**changes)), kept(recipe(**changes)))
    assert (kept(recipe(**changes)) != kept(recipe(**changes, seed=2))).any()


def test_a_recipe_without_a_seed_is_not_trained() -> None:
    with pytest.raises(ValueError, match="needs a seed"):
        run(recipe(seed=None))


@pytest.mark.parametrize(
    "changes",
    [{"momentum": 0.0}, {"momentum": 0.9}, {"dropout": 0.25}, {"augment": "flip-shift2"}, {"average": 0.9}, PAPER, EVERYTHING],
    ids=["plain", "momentum", "dropout", "augment", "average", "paper", "everything"],
)
@pytest.mark.parametrize("done", [1, 3])
def test_a_run_that_goes_on_from_a_checkpoint_ends_as_if_nothing_had_happened(changes: dict[str, Any], done: int) -> None:
    r = recipe(**changes)
    _, undisturbed = run(r)
    for epoch in itertools.islice(training.train(r, tiny.training_data()), done):
        saved = checkpoint.to_bytes(r, epoch.state)
    _, resumed = run(*checkpoint.from_bytes(saved, "checkpoint"))
    for name in ("parameters", "velocity", "average", "best"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(undisturbed, name))
    assert (resumed.best_accuracy, resumed.best_epoch) == (undisturbed.best_accuracy, undisturbed.best_epoch)
    timeless = [[{**record, "seconds": 0} for record in state.history] for state in (resumed, undisturbed)]
    assert timeless[0] == timeless[1]


def test_the_kept_weights_are_those_of_the_first_epoch_with_the_highest_validation_accuracy() -> None:
    r, weights = recipe(epochs=20), []
    for epoch in training.train(r, tiny.training_data()):
        weights.append(epoch.state.parameters.copy())
    accuracies = [record["validation_accuracy"] for record in epoch.state.history]
    assert accuracies.count(max(accuracies)) > 1, "the test needs a tie"
    first = accuracies.index(max(accuracies))
    assert (epoch.state.best_epoch, epoch.state.best_accuracy) == (first + 1, accuracies[first])
    np.testing.assert_array_equal(epoch.state.best, weights[first])
    assert not np.array_equal(epoch.state.best, weights[-1])


def test_a_recipe_with_an_average_validates_and_keeps_the_average() -> None:
    r = recipe(average=0.9, epochs=1)
    (epoch,), state = run(r)
    loss, accuracy = validation_figures(r, state.average)
    assert (epoch.validation_loss, epoch.validation_accuracy) == pytest.approx((loss, accuracy), rel=1e-4)
    np.testing.assert_array_equal(state.best, state.average)
    assert not np.allclose(validation_figures(r, state.parameters)[0], loss, rtol=1e-3)


@pytest.mark.parametrize("changes", [{}, PAPER, {"dropout": 0.5}, {"batch_size": 7}], ids=["quick", "paper", "dropout", "small batches"])
def test_validation_is_of_the_kept_weights_with_stored_statistics_and_without_penalty(changes: dict[str, Any]) -> None:
    r = recipe(**changes, epochs=1)
    (epoch,), state = run(r)
    assert (epoch.validation_loss, epoch.validation_accuracy) == pytest.approx(validation_figures(r, state.parameters), rel=1e-4)


def validation_figures(r: Recipe, flat: Array) -> tuple[float, float]:
    """Loss and accuracy on the validation images, by the plain functions."""
    data = tiny.training_data()
    x = Standardizer.fit(data.images, r.standardize).apply(data.validation_images)
    logits = network.forward(network.unflatten(flat, r.hidden), x).logits
    loss = layers.cross_entropy(logits, layers.target_table(10)[data.validation_labels])
    return loss, float((logits.argmax(axis=1) == data.validation_labels).mean())


def test_training_figures_are_means_over_the_batches_before_their_steps() -> None:
    r = recipe(epochs=1, learning_rate=1e-6, momentum=0.0, l2=0.01)  # so small a step that the network stays as it was drawn
    (epoch,), _ = run(r)
    data, fresh = tiny.training_data(), network.unflatten(State.fresh(r).parameters, r.hidden)
    logits = network.forward(fresh, Standardizer.fit(data.images, r.standardize).apply(data.images)).logits
    penalty = layers.penalty(fresh.weights, 0.01)
    assert epoch.train_penalty == pytest.approx(penalty, rel=1e-3)
    assert epoch.train_loss - epoch.train_penalty == pytest.approx(
        layers.cross_entropy(logits, layers.target_table(10)[data.labels]), rel=1e-3
    )
    assert epoch.train_accuracy == pytest.approx((logits.argmax(axis=1) == data.labels).mean(), abs=0.005)


def test_a_recipe_without_l2_has_no_penalty() -> None:
    assert {epoch.train_penalty for epoch in run(recipe(l2=0.0))[0]} == {0}


def test_the_network_starts_from_weights_drawn_from_the_seed() -> None:
    state = State.fresh(RECIPE)
    np.testing.assert_array_equal(state.parameters, State.fresh(recipe(epochs=9)).parameters)
    assert (state.parameters != State.fresh(recipe(seed=2)).parameters).any()
    np.testing.assert_array_equal(state.average, state.parameters)
    assert not state.velocity.any()


def test_an_epochs_record_is_json_with_the_documented_fields() -> None:
    ticks = itertools.count(start=0.0, step=2.5)
    epoch = next(training.train(recipe(schedule="linear"), tiny.training_data(), clock=lambda: next(ticks)))
    record = json.loads(json.dumps(epoch.as_record(), allow_nan=False))
    assert list(record) == [
        "epoch",
        "train_loss",
        "train_penalty",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
        "seconds",
    ]
    assert (record["epoch"], record["seconds"], record["learning_rate"]) == (1, 2.5, 0.1)
    assert epoch.state.history == [record]


def test_the_reported_step_size_is_that_of_the_epochs_start() -> None:
    rates = [epoch.learning_rate for epoch in run(recipe(schedule="linear", epochs=4))[0]]
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025])


DIVERGING: dict[str, Any] = {"learning_rate": 10.0, "momentum": 0.999, "l2": 0.1, "schedule": "constant", "epochs": 100, "batch_size": 1000}


def divergence(r: Recipe) -> DivergenceError:
    with pytest.raises(DivergenceError) as diverged:
        run(r)
    return diverged.value


def test_divergence_names_epoch_step_and_rate_and_what_to_lower() -> None:
    error = divergence(recipe(**{**DIVERGING, "batch_size": 50}))
    assert error.step > 1
    assert f"epoch {error.epoch}, step {error.step}, at a learning rate of 10;" in str(error)
    assert "lower learning_rate (try 2.5), or momentum" in str(error)


@pytest.mark.parametrize("changes", [{}, {"average": 0.99}], ids=["plain", "average"])
def test_a_run_whose_very_last_step_diverges_raises_too(changes: dict[str, Any]) -> None:
    r = recipe(**DIVERGING, **changes)  # one step an epoch
    last = divergence(r).epoch
    assert divergence(dataclasses.replace(r, epochs=last)).epoch == last
    epochs, state = run(dataclasses.replace(r, epochs=last - 1))
    assert np.isfinite([[epoch.train_loss, epoch.validation_loss] for epoch in epochs]).all()
    assert np.isfinite(state.best).all()


def test_weights_that_a_picture_could_overflow_end_the_run_while_the_loss_is_still_a_number() -> None:
    r = recipe(epochs=2, momentum=0.0, l2=0.0)
    with pytest.raises(DivergenceError) as diverged:
        run(r, tiny.overgrown(r))
    assert "the weights grew so large that a picture could overflow them in epoch 1, step 9, at a" in str(diverged.value)
    assert "lower learning_rate (try 0.025), or momentum" in str(diverged.value)


def test_training_is_never_given_the_test_images() -> None:
    assert list(inspect.signature(training.train).parameters) == ["recipe", "data", "start", "clock"]
    assert [field.name for field in dataclasses.fields(TrainingData)] == [
        "images",
        "labels",
        "validation_images",
        "validation_labels",
    ]


def test_training_leaves_the_images_as_they_were() -> None:
    before = tiny.training_data().images.copy()
    run(recipe(**EVERYTHING))
    np.testing.assert_array_equal(tiny.training_data().images, before)


def test_pixels_that_are_always_dark_start_without_weights_where_each_pixel_has_its_own_deviation() -> None:
    whole = tiny.training_data()
    dark = dataclasses.replace(whole, images=np.where(np.arange(28) == 0, 0, whole.images).astype(np.uint8))
    for mode, speaks in (("pixel", False), ("scalar", True)):
        recipe = Recipe.from_record({**tiny.RECIPE.as_record(), "standardize": mode, "epochs": 1})
        state = next(iter(training.train(recipe, dark))).state
        corner = network.unflatten(state.parameters, recipe.hidden).w1[0]
        assert bool(np.abs(corner).max() > 1e-3) == speaks


def test_a_state_of_another_network_is_refused() -> None:
    start = State.fresh(dataclasses.replace(RECIPE, hidden=(17, 12)))
    with pytest.raises(ValueError, match=r"no network of \(16, 12\)"):
        next(training.train(RECIPE, tiny.training_data(), start))
