"""What a card must hold: a card from outside is data like any other, and whoever shows it relies on its fields."""

import json
from collections.abc import Mapping
from typing import Any

from model_core.data import CLASSES
from model_core.errors import ArtifactFormatError, RecipeError
from model_core.recipe import Recipe

_TEXT, _WHOLE, _NUMBER = (str,), (int,), (int, float)
_LARGEST_NUMBER = 1e15
_DEEPEST = 8  # objects and lists inside each other; a card of ours has 3
_FIELDS: dict[str, tuple[type, ...]] = {
    "recipe": (dict,),
    "seed": _WHOLE,
    "data": (dict,),
    "metrics": (dict,),
    "kept_epoch": _WHOLE,
    "history": (list,),
    "created": _TEXT,
    "rookie_version": _TEXT,
    "environment": (dict,),
}
_METRICS: dict[str, tuple[type, ...]] = {
    "validation_accuracy": _NUMBER,
    "test_accuracy": _NUMBER,
    "test_accuracy_batch_statistics": (*_NUMBER, type(None)),
    "ece": _NUMBER,
    "per_class": (dict,),
}
_PER_CLASS = dict.fromkeys(("precision", "recall", "images"), _NUMBER)
_LOSSES = ("train_loss", "train_penalty", "train_accuracy", "validation_loss", "validation_accuracy")
_EPOCH = dict.fromkeys(("epoch", *_LOSSES, "learning_rate", "seconds"), _NUMBER)


def check(card: Mapping[str, Any], source: str) -> None:
    """ArtifactFormatError where a loaded card lacks a field, or holds something else in it; `source` names the file."""
    try:
        _check_values(card, _DEEPEST)
        json.dumps(card, ensure_ascii=False).encode()  # half a surrogate pair is text that nobody can write
        _check(card, _FIELDS, "the card")
        _check(card["metrics"], _METRICS, "metrics")
        for name in CLASSES:
            _check(card["metrics"]["per_class"].get(name), _PER_CLASS, f"per_class {name}")
        for number, record in enumerate(card["history"], 1):
            _check(record, _EPOCH, f"history {number}")
        Recipe.from_record(card["recipe"])
    except (ValueError, RecipeError) as error:
        raise ArtifactFormatError(f"{source} has a card that cannot be used: {error}") from error


def _check_values(value: Any, depth: int) -> None:
    """No number and no nesting is such that a reader of JSON could stumble over it."""
    if isinstance(value, (dict, list)):
        if not depth:
            raise ValueError("something nested too deep")
        for each in value.values() if isinstance(value, dict) else value:
            _check_values(each, depth - 1)
    elif isinstance(value, (int, float)) and abs(value) > _LARGEST_NUMBER:
        raise ValueError("a number that is too large")


def _check(record: Any, fields: Mapping[str, tuple[type, ...]], where: str) -> None:
    """Each field is there and of its type."""
    if not isinstance(record, dict):
        raise ValueError(f"{where} that is no object")
    for name, kinds in fields.items():
        if type(record.get(name)) not in kinds or name not in record:
            raise ValueError(f"{name} in {where} missing, or of another type than {' or '.join(kind.__name__ for kind in kinds)}")
