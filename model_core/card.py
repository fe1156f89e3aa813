"""From a finished run to a model with its card: what it was trained on, how, and how good it is."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core import artifact, card_format, metrics, network
from model_core.artifact import FORMAT, Model
from model_core.data import CLASSES, LabelledImages, TrainingData
from model_core.familiarity import Familiarity
from model_core.preprocess import Standardizer, standardize_by_batch
from model_core.recipe import Recipe
from model_core.training import State, kept_parameters

BATCH_STATISTICS_ROWS = 512  # the paper's protocol standardises the test set in its training batches' size


@dataclass(frozen=True)
class Evaluation:
    """How a model does on labelled images: probabilities (N, 10), predicted classes (N,), confusion matrix (10, 10)."""

    probabilities: NDArray[np.float32]
    predicted: NDArray[np.integer]
    accuracy: float
    calibration_error: float
    confusion: NDArray[np.int64]

    def per_class(self) -> dict[str, dict[str, Any]]:
        """Precision, recall and number of images of each class, by its name."""
        return {name: figures.as_record() for name, figures in zip(CLASSES, metrics.per_class(self.confusion), strict=True)}


def load(path: str | os.PathLike[str]) -> Model:
    """The model in the file at `path`, its card checked as well. Raises ArtifactError."""
    model = artifact.load(path)
    card_format.check(model.card, str(path))
    return model


def evaluate(model: Model, test: LabelledImages) -> Evaluation:
    """Score `model` on images it has not seen."""
    probabilities = np.concatenate([model.predict_proba(test.images[i : i + 1000]) for i in range(0, len(test.images), 1000)])
    predicted = probabilities.argmax(axis=1)
    return Evaluation(
        probabilities,
        predicted,
        metrics.accuracy(probabilities, test.labels),
        metrics.calibration_error(probabilities, test.labels),
        metrics.confusion_matrix(predicted, test.labels, len(CLASSES)),
    )


def batch_statistics_accuracy(model: Model, test: LabelledImages, pixel_scale: float) -> float:
    """Accuracy where each 512 images are standardised by their own statistics, as the paper scored itself."""
    right = 0
    for start in range(0, len(test.images), BATCH_STATISTICS_ROWS):
        part = slice(start, start + BATCH_STATISTICS_ROWS)
        x = standardize_by_batch(test.images[part], pixel_scale)
        right += int((network.predict_proba(model.parameters, x).argmax(axis=1) == test.labels[part]).sum())
    return right / len(test.images)


def finish(
    recipe: Recipe,
    state: State,
    data: TrainingData,
    test: LabelledImages,
    file_hashes: Mapping[str, str],
    created: datetime,
    environment: Mapping[str, Any],
    version: str,
) -> Model:
    """The model that a run keeps, scored on the test set, with its card. ArtifactFormatError where nobody would take that."""
    standardizer = Standardizer.fit(data.images, recipe.standardize)
    model = Model(kept_parameters(state, recipe), standardizer, {})
    scores = score(model, recipe, data, test)
    card = {
        "format": FORMAT,
        "classes": list(CLASSES),
        "recipe": recipe.as_record(),
        "seed": recipe.seed,
        "data": dict(file_hashes),
        "metrics": {"validation_accuracy": state.best_accuracy, **scores},
        "kept_epoch": state.best_epoch,
        "history": state.history,
        "created": created.isoformat(timespec="seconds"),
        "rookie_version": version,
        "environment": dict(environment),
    }
    card_format.check(card, "the trained model")
    return Model(model.parameters, standardizer, card)


def score(model: Model, recipe: Recipe, data: TrainingData, test: LabelledImages) -> dict[str, Any]:
    """A card's metrics, but for the validation accuracy, which training measured: what test and training images say of the model."""
    evaluation = evaluate(model, test)
    by_batch = None
    if recipe.standardize == "batch":
        by_batch = batch_statistics_accuracy(model, test, float(Standardizer.fit(data.images, "scalar").std[0]))
    return {
        "test_accuracy": evaluation.accuracy,
        "test_accuracy_batch_statistics": by_batch,
        "ece": evaluation.calibration_error,
        "per_class": evaluation.per_class(),
        "confusion": evaluation.confusion.tolist(),
        "familiarity": Familiarity.fit(data.images, data.validation_images).as_record(),
    }


def rescored(model: Model, data: TrainingData, test: LabelledImages) -> Model:
    """The same weights with the metrics that this version of Rookie measures; how they came about stays as it was."""
    validation = evaluate(model, LabelledImages(data.validation_images, data.validation_labels))
    scores = score(model, Recipe.from_record(model.card["recipe"]), data, test)
    metrics = {**model.card["metrics"], "validation_accuracy": validation.accuracy, **scores}
    return Model(model.parameters, model.standardizer, {**model.card, "metrics": metrics})


def environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the weights depend on besides the seed: NumPy, its BLAS, the number of BLAS threads, the processor."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    asked = environ.get("OPENBLAS_NUM_THREADS") or environ.get("OMP_NUM_THREADS", "")
    threads = asked.split(",")[0]  # OpenMP takes one number for each level of nesting
    return {
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "threads": int(threads) if threads.isdecimal() else os.cpu_count() or 1,
        "cpu": _processor(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def to_markdown(card: Mapping[str, Any], sha256: str) -> str:
    """The card as a Markdown page for a person."""
    scores, recipe = card["metrics"], card["recipe"]
    settings = "\n".join(f"| {name} | {value} |" for name, value in recipe.items())
    classes = "\n".join(
        f"| {name} | {figures['precision']:.3f} | {figures['recall']:.3f} | {figures['images']} |"
        for name, figures in scores["per_class"].items()
    )
    hashes = "\n".join(f"| {name} | `{digest}` |" for name, digest in card["data"].items())
    machine = ", ".join(f"{name} {value}" for name, value in card["environment"].items())
    by_batch = scores["test_accuracy_batch_statistics"]
    batch_line = "" if by_batch is None else f"| test accuracy, batches of 512 by their own statistics | {by_batch:.2%} |\n"
    shape = "-".join(map(str, [784, *recipe["hidden"], 10]))
    return f"""# Model card

A {shape} network (ReLU, softmax) that names the garment in a 28 x 28 grey picture: {", ".join(card["classes"])}.
Trained by Rookie {card["rookie_version"]} on Fashion-MNIST with the `{recipe["name"]}` recipe, {card["created"]}.
SHA-256 of the file: `{sha256}`.

| measured on | |
|---|---|
| validation accuracy (5,000 images held out of the training file) | {scores["validation_accuracy"]:.2%} |
| test accuracy (the 10,000 test images) | {scores["test_accuracy"]:.2%} |
{batch_line}| expected calibration error on test, 15 bins | {scores["ece"]:.4f} |

The weights are those of epoch {card["kept_epoch"]} of {len(card["history"])}, the best on validation; the test set chose nothing.

## Per class, on test
| class | precision | recall | images |
|---|---|---|---|
{classes}

## Intended use and limits
For learning how a network works and for classifying pictures like Fashion-MNIST's:
one garment, light on a black ground, centred, grey, 28 x 28.
It always answers with one of its ten classes, whatever the picture shows. Shirts, T-shirts, pullovers and coats are what it confuses most.
The pictures are product photographs of one shop, so it says nothing of garments as people wear them. Do not use it to judge people.

## Recipe
| field | value |
|---|---|
{settings}

## Data
| file | SHA-256 |
|---|---|
{hashes}

Environment: {machine}.
"""
