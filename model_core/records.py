"""A finished run as a small JSON file: what its weights achieve under both kinds of statistics, and its history.

`python -m model_core record` writes one from a weights file; `reproduction.py` makes a page of many.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_core.artifact import Model, write_atomically
from model_core.card import batch_statistics_accuracy, evaluate
from model_core.card_format import EPOCH, NUMBER, WHOLE, Fields, check_fields, check_values
from model_core.data import LabelledImages, TrainingData
from model_core.errors import RecipeError, RookieError
from model_core.preprocess import Standardizer
from model_core.recipe import Recipe

BEGIN = re.compile(rb'{"recipe"')  # of a record's file
_ROUND = {"learning_rate": 8, "seconds": 2}  # digits after the point; 5 for the other columns of a history

_FIELDS: Fields = {
    "recipe": (dict,),
    "kept_epoch": WHOLE,
    **dict.fromkeys(("validation", "validation_batch", "test", "test_batch"), NUMBER),
    "history": (dict,),
}


class RecordError(RookieError):
    """A file is no record of a whole run."""


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
        {name: [round(epoch[name], _ROUND.get(name, 5)) for epoch in history] for name in EPOCH},
    )


def save(run: Record, path: Path) -> None:
    """Write a record as JSON."""
    write_atomically(path, json.dumps({**run.__dict__, "recipe": run.recipe.as_record()}, separators=(",", ":")).encode())


def files(folder: Path) -> list[Path]:
    """Where a folder's records are, by file name."""
    return sorted(folder.glob("*.json"))


def insist_on_elsewhere(page: Path, folder: Path) -> None:
    """RecordError where a page would be taken for one of the folder's records."""
    if page.suffix == ".json" and page.parent.resolve() == folder.resolve():
        raise RecordError(f"{page} would count among the records there; give it another ending than .json, or another folder")


def load_all(folder: Path) -> list[Record]:
    """Every record in a folder, by file name. Raises RecordError where a file is none, and where there is none."""
    found = [_load(path) for path in files(folder)]
    if not found:
        raise RecordError(f"{folder} has no records (.json); write some: python -m model_core record")
    return found


def _load(path: Path) -> Record:
    try:
        content = json.loads(path.read_text())
        check_values(content)
        check_fields(content, _FIELDS, "the record")
        recipe = Recipe.from_record(content["recipe"])
        _check_history(content["history"], recipe.epochs)
    except (ValueError, RecursionError, RecipeError) as error:
        raise RecordError(
            f"{path} is no record of a whole run ({error}); take it away, or write it anew: python -m model_core record"
        ) from error
    return Record(**{**{name: content[name] for name in _FIELDS}, "recipe": recipe})


def _check_history(history: dict[str, Any], epochs: int) -> None:
    """ValueError unless each column has a number for each epoch: the page looks at the last one."""
    for name in EPOCH:
        values = history.get(name)
        if not isinstance(values, list) or len(values) != epochs or not all(type(value) in NUMBER for value in values):
            raise ValueError(f"{name} in its history is not {epochs} numbers, one for each epoch")
