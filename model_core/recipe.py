"""Recipe: everything that decides how a network is trained. Bounds and help stand in the fields' metadata, and nowhere else."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_core.augment import AUGMENTATIONS
from model_core.errors import RecipeError
from model_core.preprocess import Mode

SCHEDULES = ("constant", "step", "linear", "cosine")
# The largest network's artifact (14.4 MB) stays within what the service takes as an upload.
MAX_HIDDEN = 1536


def _field(text: str, *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with its help text and its bounds (both inclusive) or choices."""
    return field(metadata={"help": text, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train one network. An impossible value raises RecipeError, which names the field, the value and the bounds."""

    name: str = _field("name of the preset that this recipe started from", choices=("paper", "best", "quick"))
    epochs: int = _field("passes over the 55,000 training images", low=1, high=2000)
    batch_size: int = _field("images in one step", low=1, high=8192)
    learning_rate: float = _field("step size at the start", low=1e-6, high=10.0)
    schedule: str = _field(
        "how the step size falls: constant; step (times lr_decay every fifth of the epochs); linear or cosine (to 0)",
        choices=SCHEDULES,
    )
    lr_decay: float = _field("factor of the step schedule; the other schedules ignore it", low=0.01, high=1.0)
    momentum: float = _field("Nesterov momentum; 0 is plain SGD", low=0.0, high=0.999)
    l2: float = _field("lambda of the penalty lambda * sum(W^2), weights only", low=0.0, high=0.1)
    dropout: float = _field("share of hidden units left out at random in each step, to 1/256", low=0.0, high=0.9)
    augment: str = _field("what happens to training images at random", choices=tuple(AUGMENTATIONS))
    standardize: Mode = _field(
        "z-score by one mean and deviation for all pixels (scalar), one for each pixel, or each batch's own (batch)",
        choices=("scalar", "pixel", "batch"),
    )
    average: float = _field(
        "decay of the running average of the weights, which is what is kept; 0 keeps the weights", low=0.0, high=0.99999
    )
    label_smoothing: float = _field("share of each target spread evenly over the classes", low=0.0, high=0.5)
    hidden: tuple[int, int] = _field("units in the two hidden layers", low=1, high=MAX_HIDDEN)
    seed: int | None = _field("seed of the weights, shuffling, augmentation and dropout; drawn afresh where missing", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            object.__setattr__(self, each.name, _checked(each, getattr(self, each.name)))

    @classmethod
    def preset(cls, name: str, /, **changes: Any) -> "Recipe":
        """The preset of that name, with some fields changed."""
        if not isinstance(name, str) or name not in PRESETS:
            raise RecipeError("recipe", f"{name!r} is not one of {', '.join(PRESETS)}")
        unknown = sorted(changes.keys() - FIELDS.keys())
        if unknown:
            raise RecipeError(unknown[0], f"no such field; a recipe has {', '.join(FIELDS)}")
        return dataclasses.replace(PRESETS[name], **changes)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Recipe":
        """The recipe that `as_record` wrote; RecipeError where a field is missing, unknown or out of bounds."""
        if record.keys() != FIELDS.keys():
            raise RecipeError("recipe", f"fields {sorted(record.keys() ^ FIELDS.keys())} are missing or unknown")
        return cls(**record)

    def as_record(self) -> dict[str, Any]:
        """The recipe as JSON-ready values."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden)}

    def seeded(self, entropy: int) -> "Recipe":
        """This recipe with `entropy` as its seed, where it has none yet."""
        return self if self.seed is not None else dataclasses.replace(self, seed=entropy % 2**32)


FIELDS = {each.name: each for each in dataclasses.fields(Recipe)}


def _checked(each: "dataclasses.Field[Any]", value: Any) -> Any:
    """`value` in the field's own type, or RecipeError."""
    if each.name == "hidden":
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise RecipeError("hidden", f"{value!r} is not two layer sizes, such as [500, 324]")
        return tuple(_number(each, size, int) for size in value)
    if each.name == "seed" and value is None:
        return None
    if each.metadata["choices"]:
        if value not in each.metadata["choices"]:
            raise RecipeError(each.name, f"{value!r} is not one of {', '.join(each.metadata['choices'])}")
        return value
    return _number(each, value, float if each.type is float else int)


def _number(each: "dataclasses.Field[Any]", value: Any, kind: type) -> Any:
    low, high = each.metadata["low"], each.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise RecipeError(each.name, f"{value!r} is not {'a whole' if kind is int else 'a'} number")
    if not low <= value <= high:  # NaN is neither above nor below
        raise RecipeError(each.name, f"{value!r} is out of bounds; it goes from {low:g} to {high:g}")
    return kind(value)


PAPER = Recipe(
    name="paper",
    epochs=500,
    batch_size=512,
    learning_rate=0.2,
    schedule="step",
    lr_decay=0.5,
    momentum=0.0,
    l2=1e-3,
    dropout=0.0,
    augment="none",
    standardize="batch",
    average=0.0,
    label_smoothing=0.0,
    hidden=(500, 324),
    seed=None,
)
QUICK = dataclasses.replace(
    PAPER,
    name="quick",
    epochs=15,
    learning_rate=0.1,
    schedule="linear",
    momentum=0.9,
    l2=5e-5,
    dropout=0.1,
    standardize="pixel",
    average=0.996,
)
BEST = dataclasses.replace(
    PAPER,
    name="best",
    epochs=700,
    learning_rate=0.1,
    schedule="cosine",
    momentum=0.9,
    l2=5e-5,
    dropout=0.25,
    augment="flip-shift1",
    standardize="scalar",
    average=0.999,
)
PRESETS = {"paper": PAPER, "best": BEST, "quick": QUICK}
