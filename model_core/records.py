"""A finished run as a small JSON file: what its weights achieve under both kinds of statistics, and its history.

`python -m model_core record` writes one from a weights file; `reproduction.py` makes a page of many.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from model_core.artifact import Model, write_atomically
from model_core.card import batch_statistics_accuracy, evaluate
from model_core.data import LabelledImages, TrainingData
from model_core.preprocess import Standardizer
from model_core.recipe import Recipe

_ROUND = {"learning_rate": 8, "seconds": 2}  # digits after the point; 5 for the other columns of a history


@dataclass(frozen=True)
class Record:
    """One finished run. Accuracies are 0..1; `batch` ones standardise every 512 images by their own statistics, as the paper did."""

    recipe: Recipe
    kept_epoch: int
    validation: float
    validation_batch: float
    test: float
    test_batch: float
    history: dict[str, list[float]]  # a list for each field of the Epoch records

    def at(self, epoch: int) -> dict[str, float]:
        """The Epoch record of `epoch`, from 1."""
        return {name: values[epoch - 1] for name, values in self.history.items()}


def record(model: Model, data: TrainingData, test: LabelledImages) -> Record:
    """Measure a model under both kinds of statistics."""
    validation = LabelledImages(data.validation_images, data.validation_labels)
    scale = float(Standardizer.fit(data.images, "scalar").std[0])
    history = model.card["history"]
    return Record(
        Recipe.from_record(model.card["recipe"]),
        model.card["kept_epoch"],
        evaluate(model, validation).accuracy,
        batch_statistics_accuracy(model, validation, scale),
        evaluate(model, test).accuracy,
        batch_statistics_accuracy(model, test, scale),
        {name: [round(epoch[name], _ROUND.get(name, 5)) for epoch in history] for name in history[0]},
    )


def save(run: Record, path: Path) -> None:
    """Write a record as JSON."""
    write_atomically(path, json.dumps({**run.__dict__, "recipe": run.recipe.as_record()}, separators=(",", ":")).encode())


def load_all(folder: Path) -> list[Record]:
    """Every record in a folder, by file name."""
    contents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [Record(**{**content, "recipe": Recipe.from_record(content["recipe"])}) for content in contents]
