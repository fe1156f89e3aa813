"""From a finished run to a scored model with its card."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from model_core import artifact, card, data, network
from model_core.artifact import Model
from model_core.preprocess import Standardizer, standardize_by_batch
from model_core.recipe import FIELDS, Recipe
from tests.support import tiny

BY_BATCH = Recipe.preset("paper", epochs=2, batch_size=64, hidden=(16, 12), seed=1)


def test_an_evaluation_agrees_with_what_the_model_predicts() -> None:
    model, test = tiny.model(), tiny.test_images()
    evaluation, probabilities = card.evaluate(model, test), model.predict_proba(test.images)
    np.testing.assert_allclose(evaluation.probabilities, probabilities, atol=1e-6)
    assert evaluation.predicted.tolist() == probabilities.argmax(axis=1).tolist()
    assert evaluation.accuracy == (probabilities.argmax(axis=1) == test.labels).mean() > 0.9
    assert evaluation.confusion.sum(axis=1).tolist() == [10] * 10
    assert evaluation.per_class()["Trouser"]["recall"] == evaluation.confusion[1, 1] / 10


def test_more_images_than_are_scored_at_once_are_all_scored() -> None:
    many = tiny.labelled_images(2500, seed=3)
    assert len(card.evaluate(tiny.model(), many).predicted) == 2500


@pytest.mark.parametrize("recipe", [tiny.RECIPE, BY_BATCH], ids=["stored statistics", "batch statistics"])
def test_a_card_is_json_and_says_how_the_model_was_made_and_how_good_it_is(recipe: Recipe) -> None:
    made = tiny.model(recipe).card
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert Recipe.from_record(made["recipe"]) == recipe
    assert made["seed"] == 1
    assert made["classes"] == list(data.CLASSES)
    assert made["data"].keys() == data.FILES.keys()
    assert made["created"] == "2026-01-02T03:04:05+00:00"
    assert [record["epoch"] for record in made["history"]] == list(range(1, recipe.epochs + 1))
    best = made["history"][made["kept_epoch"] - 1]
    assert made["metrics"]["validation_accuracy"] == best["validation_accuracy"]
    evaluation = card.evaluate(tiny.model(recipe), tiny.test_images())
    assert made["metrics"]["test_accuracy"] == evaluation.accuracy
    assert made["metrics"]["ece"] == evaluation.calibration_error
    assert made["metrics"]["per_class"] == evaluation.per_class()


def test_a_model_keeps_the_standardizer_of_its_training_images_and_its_best_weights() -> None:
    model, (_, state) = tiny.model(), tiny.run(tiny.RECIPE)
    fitted = Standardizer.fit(tiny.training_data().images, tiny.RECIPE.standardize)
    np.testing.assert_array_equal(model.standardizer.mean, fitted.mean)
    np.testing.assert_array_equal(model.standardizer.std, fitted.std)
    np.testing.assert_array_equal(model.parameters.w1, network.unflatten(state.best, tiny.RECIPE.hidden).w1)


def test_batch_statistics_are_scored_only_where_the_recipe_trains_by_them() -> None:
    assert tiny.model().card["metrics"]["test_accuracy_batch_statistics"] is None
    scored = tiny.model(BY_BATCH).card["metrics"]["test_accuracy_batch_statistics"]
    x = standardize_by_batch(tiny.test_images().images, float(tiny.training_data().images.std()))
    right = network.predict_proba(tiny.model(BY_BATCH).parameters, x).argmax(axis=1) == tiny.test_images().labels
    assert scored == right.mean()


def markdown(model: Model) -> str:
    return card.to_markdown(artifact.from_bytes(artifact.to_bytes(model), "").card, "ab" * 32)


def test_the_page_of_a_model_names_accuracy_classes_recipe_and_digest() -> None:
    page, scores = markdown(tiny.model()), tiny.model().card["metrics"]
    assert f"{scores['test_accuracy']:.2%}" in page
    assert f"{scores['validation_accuracy']:.2%}" in page
    assert "`" + "ab" * 32 + "`" in page
    assert "A 784-16-12-10 network" in page
    for name in data.CLASSES:
        figures = scores["per_class"][name]
        assert f"| {name} | {figures['precision']:.3f} | {figures['recall']:.3f} | 10 |" in page
    for name in (*FIELDS, *data.FILES):
        assert f"| {name} | " in page


def test_the_page_speaks_of_batch_statistics_only_where_they_mean_something() -> None:
    assert "batches of 512" in markdown(tiny.model(BY_BATCH))
    assert "batches of 512" not in markdown(tiny.model())


@pytest.mark.parametrize(
    ("environ", "threads"),
    [
        ({"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OPENBLAS_NUM_THREADS": "many"}, None),
        ({}, None),
    ],
)
def test_the_environment_records_how_many_threads_were_asked_for(environ: dict[str, str], threads: int | None) -> None:
    recorded = card.environment(environ)
    assert recorded["numpy"] == np.__version__
    assert recorded["blas"]
    assert recorded["threads"] == threads if threads else recorded["threads"] >= 1


def test_the_time_of_a_card_is_the_one_it_is_given() -> None:
    state = tiny.run(tiny.RECIPE)[1]
    noon = datetime(2030, 5, 6, 12, tzinfo=UTC)
    made = card.finish(tiny.RECIPE, state, tiny.training_data(), tiny.test_images(), {}, noon, {}, "9.9")
    assert (made.card["created"], made.card["rookie_version"]) == ("2030-05-06T12:00:00+00:00", "9.9")
