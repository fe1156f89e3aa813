"""Many recipes, each trained and recorded on its own: `python -m model_core search`.

Works over any concurrent.futures.Executor. One result file a run, so a search takes up where it stopped; the training images are
shared by memory map. Ranked by validation accuracy: the test set is not read here.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_core.artifact import write_atomically
from model_core.card_format import EPOCH, NUMBER, TEXT, WHOLE, Fields, check_fields, check_values
from model_core.data import TrainingData
from model_core.errors import DivergenceError, RecipeError, RookieError
from model_core.recipe import Recipe
from model_core.training import train

BEGIN = re.compile(rb"\| # \|")  # of a ranking
MOST_BREAKS = 3  # executors in a row that may break without a single result
_RESULT: Fields = {
    "recipe": (dict,),
    "validation_accuracy": NUMBER,
    "best_epoch": WHOLE,
    "history": (list,),
    "error": (*TEXT, type(None)),
}
_ARRAYS = ("images", "labels", "validation_images", "validation_labels")


class SearchError(RookieError):
    """A search cannot go on in this folder."""


@dataclass(frozen=True)
class Result:
    """One run of a search; `error` says why it has no accuracy."""

    recipe: Recipe
    validation_accuracy: float  # of the best epoch; 0 where there is none
    best_epoch: int
    history: list[dict[str, Any]]
    error: str | None = None

    def as_record(self) -> dict[str, Any]:
        """The result as JSON-ready values."""
        return {**self.__dict__, "recipe": self.recipe.as_record()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Result":
        """What `as_record` wrote."""
        return cls(**{**record, "recipe": Recipe.from_record(record["recipe"])})


def run_name(recipe: Recipe) -> str:
    """The name of a recipe's result file: the first digits of its own digest."""
    return hashlib.sha256(json.dumps(recipe.as_record(), sort_keys=True).encode()).hexdigest()[:16]


def open_folder(folder: Path, recipes: Sequence[Recipe], data: str) -> list[Result]:
    """The results of these recipes that `folder` already holds, on the data of that digest; SearchError where it is another search's."""
    names = sorted(run_name(recipe) for recipe in recipes)
    listing = folder / "runs.json"
    if listing.is_file() and _read_listing(listing) not in (names, {"runs": names, "data": data}):  # the first is of versions before
        raise SearchError(f"{folder} holds the results of another grid, epochs, seed or dataset; choose another --out")
    write_atomically(listing, json.dumps({"runs": names, "data": data}).encode())
    found = (_read_result(folder / f"{name}.json") for name in names)
    return [result for result in found if result is not None]


def _read_listing(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise SearchError(
            f"{path} is damaged ({error}); delete it if these are results of the same search, or choose another --out"
        ) from error


def _read_result(path: Path) -> Result | None:
    """A run's result; None where it is missing or damaged, so that the run is done again."""
    try:
        record = json.loads(path.read_text())
        check_values(record)
        check_fields(record, _RESULT, "the result")
        for number, epoch in enumerate(record["history"], 1):
            check_fields(epoch, EPOCH, f"history {number}")
        result = Result.from_record(record)
    except (OSError, ValueError, TypeError, RecursionError, RecipeError):  # TypeError: a field of another version
        return None
    return result if run_name(result.recipe) == path.stem else None


def search(
    recipes: Sequence[Recipe], data_folder: Path, out: Path, make_executor: Callable[[], AbstractContextManager[Executor]]
) -> Iterator[Result]:
    """Train each recipe and yield results as they are recorded in `out`. `data_folder` is one that `share` wrote.

    A worker that dies (out of memory, killed) takes its executor with it: a new one takes up the runs that have no result yet.
    """
    waiting, fruitless = {run_name(recipe): recipe for recipe in recipes}, 0
    while waiting:
        before = len(waiting)
        with make_executor() as executor:
            futures = {executor.submit(run, recipe, data_folder, out): name for name, recipe in waiting.items()}
            yield from _collect(futures, waiting)
        fruitless = fruitless + 1 if len(waiting) == before else 0
        if fruitless == MOST_BREAKS:
            raise SearchError(f"workers died {MOST_BREAKS} times in a row before any run ended; give it fewer --workers, or more memory")


def _collect(futures: dict[Future[Result], str], waiting: dict[str, Recipe]) -> Iterator[Result]:
    """Results as they come, until all are there or the executor breaks."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                result = future.result()
            except BrokenExecutor:
                continue
            del waiting[futures[future]]
            yield result


def run(recipe: Recipe, data_folder: Path, out: Path) -> Result:
    """One run, in whatever process the executor has; its result is recorded before it is returned."""
    history: list[dict[str, Any]] = []
    best, best_epoch, error = 0.0, 0, None
    try:
        for epoch in train(recipe, shared(data_folder)):
            history.append(epoch.as_record())
            best, best_epoch = epoch.state.best_accuracy, epoch.state.best_epoch
    except DivergenceError as divergence:
        error = str(divergence)
    return _record(Result(recipe, best, best_epoch, history, error), out)


def _record(result: Result, out: Path) -> Result:
    write_atomically(out / f"{run_name(result.recipe)}.json", json.dumps(result.as_record()).encode())
    return result


def share(data: TrainingData, folder: Path) -> None:
    """Write the training and validation images where `shared` maps them from."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(data, name))


def shared(folder: Path) -> TrainingData:
    """The images that `share` wrote, mapped: all processes look at one copy."""
    return TrainingData(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS})


def ranked(results: Sequence[Result]) -> list[Result]:
    """Best validation accuracy first, among equals the one that got there in fewer epochs; runs that failed come last."""
    return sorted(results, key=lambda result: (result.error is not None, -result.validation_accuracy, result.best_epoch))


def to_markdown(results: Sequence[Result]) -> str:
    """The ranking as a Markdown table of what the runs differ in."""
    records = [result.recipe.as_record() for result in results]
    varied = [name for name in records[0] if len({json.dumps(record[name]) for record in records}) > 1]
    lines = [f"| # | {' | '.join(varied)} | validation | best epoch | lowest validation loss |", "|---" * (len(varied) + 4) + "|"]
    for place, result in enumerate(ranked(results), 1):
        values = " | ".join(str(result.recipe.as_record()[name]) for name in varied)
        score = result.error or f"{result.validation_accuracy:.2%}"
        loss = min((epoch["validation_loss"] for epoch in result.history), default=math.nan)
        lines.append(f"| {place} | {values} | {score} | {result.best_epoch} | {loss:.4f} |")
    return "\n".join(lines) + "\n"
