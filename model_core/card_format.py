"""What a card must hold: a card from outside is data like any other, and whoever shows it relies on its fields.

The records of runs and searches are held to the same with `check_values` and `check_fields`.
"""

import json
from collections.abc import Mapping
from typing import Any

from model_core.data import CLASSES
from model_core.errors import ArtifactFormatError, RecipeError
from model_core.recipe import Recipe
from model_core.training import LARGEST_LOSS

Fields = Mapping[str, tuple[type, ...]]

TEXT, WHOLE, NUMBER = (str,), (int,), (int, float)
_DEEPEST = 8  # objects and lists inside each other; a card of ours has 3
_FIELDS: Fields = {
    "recipe": (dict,),
    "seed": WHOLE,
    "data": (dict,),
    "metrics": (dict,),
    "kept_epoch": WHOLE,
    "history": (list,),
    "created": TEXT,
    "rookie_version": TEXT,
    "environment": (dict,),
}
_METRICS: Fields = {
    "validation_accuracy": NUMBER,
    "test_accuracy": NUMBER,
    "test_accuracy_batch_statistics": (*NUMBER, type(None)),
    "ece": NUMBER,
    "per_class": (dict,),
}
_PER_CLASS = dict.fromkeys(("precision", "recall", "images"), NUMBER)
_LOSSES = ("train_loss", "train_penalty", "train_accuracy", "validation_loss", "validation_accuracy")
EPOCH: Fields = dict.fromkeys(("epoch", *_LOSSES, "learning_rate", "seconds"), NUMBER)


def check(card: Mapping[str, Any], source: str) -> None:
    """ArtifactFormatError where a loaded card lacks a field, or holds something else in it; `source` names the file."""
    try:
        check_values(card)
        json.dumps(card, ensure_ascii=False).encode()  # half a surrogate pair is text that nobody can write
        check_fields(card, _FIELDS, "the card")
        check_fields(card["metrics"], _METRICS, "metrics")
        classes = card["metrics"]["per_class"]
        for name in dict.fromkeys([*CLASSES, *classes]):
            check_fields(classes.get(name), _PER_CLASS, f"per_class {name}")
        if not card["history"]:
            raise ValueError("a history without an epoch")
        for number, record in enumerate(card["history"], 1):
            check_fields(record, EPOCH, f"history {number}")
        Recipe.from_record(card["recipe"])
    except (ValueError, RecipeError) as error:
        raise ArtifactFormatError(f"{source} has a card that cannot be used: {error}") from error


def check_values(value: Any, depth: int = _DEEPEST) -> None:
    """ValueError where a number or the nesting is such that a reader of JSON could stumble over it."""
    if isinstance(value, (dict, list)):
        if not depth:
            raise ValueError("something nested too deep")
        for each in value.values() if isinstance(value, dict) else value:
            check_values(each, depth - 1)
    elif isinstance(value, (int, float)) and not abs(value) <= LARGEST_LOSS:  # nor is NaN
        raise ValueError("a number that is too large, or none")


def check_fields(record: Any, fields: Fields, where: str) -> None:
    """ValueError unless `record` is an object in which each field is there and of its type."""
    if not isinstance(record, dict):
        raise ValueError(f"{where} that is no object")
    for name, kinds in fields.items():
        if type(record.get(name)) not in kinds or name not in record:
            raise ValueError(f"{name} in {where} missing, or of another type than {' or '.join(kind.__name__ for kind in kinds)}")
