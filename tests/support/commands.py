"""Commands of python -m model_core, and how they end."""

from collections.abc import Callable
from dataclasses import dataclass


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
