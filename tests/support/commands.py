"""Commands of python -m model_core, and how they end."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from model_core.recipe import Recipe


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed."""

    code: object
    out: str
    err: str


Run = Callable[..., Outcome]


def refusal(outcome: Outcome) -> str:
    """The one line that a refused command prints."""
    assert outcome.code == 1
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("Error: ")
    return line


def options(recipe: Recipe) -> list[str]:
    """The command line's options that make up a recipe."""
    values = {**recipe.as_record(), "hidden": ",".join(map(str, recipe.hidden))}
    preset = values.pop("name")
    return ["--recipe", preset, *itertools.chain.from_iterable((f"--{name.replace('_', '-')}", str(values[name])) for name in values)]
