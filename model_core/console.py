"""What the command line shows: progress bars and tables."""

import io
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from model_core.card import Evaluation
from model_core.data import CLASSES
from model_core.download import Report
from model_core.metrics import per_class
from model_core.search import Result
from model_core.training import Epoch

# Paths are printed as they are, whatever brackets and colons stand in them.
out = Console(soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, markup=False, emoji=False)


def take_any_text() -> None:
    """Let the streams write what their encoding lacks as escapes: a file's name may hold anything."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str, kept: str = "") -> str:
    """The text, its control characters but those `kept` written out: what a file or its name holds does not command the terminal."""
    return "".join(sign if sign.isprintable() or sign in kept else ascii(sign)[1:-1] for sign in text)


def say(text: str) -> None:
    """One line of what a command has to say."""
    out.print(printable(text))


def complain(text: str, style: str = "") -> None:
    """One line of what went otherwise."""
    err.print(printable(text), style=style, highlight=False)


def follow(epochs: Iterator[Epoch], done: int, total: int) -> Iterator[Epoch]:
    """Pass epochs on, with a live bar of `total` epochs (`done` of them already run) that shows loss, accuracy and the time left."""
    columns = TextColumn("epoch {task.completed}/{task.total}"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with Progress(*columns, console=err, speed_estimate_period=600) as bar:
        task = bar.add_task("first epoch", total=total, completed=done)
        for epoch in epochs:
            loss, accuracy = epoch.train_loss, epoch.validation_accuracy
            best = epoch.state.best_accuracy
            text = f"loss {loss:.4f}  train {epoch.train_accuracy:.2%}  validation {accuracy:.2%} (best {best:.2%})"
            bar.update(task, completed=epoch.epoch, description=text)
            yield epoch


def follow_search(results: Iterator[Result], before: Sequence[Result], total: int) -> Iterator[Result]:
    """Pass results on, with a live bar of `total` runs that shows the best so far and the time left."""
    columns = TextColumn("run {task.completed}/{task.total}"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    best = max((result.validation_accuracy for result in before), default=0.0)
    with Progress(*columns, console=err, speed_estimate_period=3600) as bar:
        task = bar.add_task(f"best validation {best:.2%}", total=total, completed=len(before))
        for result in results:
            best = max(best, result.validation_accuracy)
            bar.update(task, advance=1, description=f"best validation {best:.2%}")
            yield result


@contextmanager
def downloads() -> Iterator[Report]:
    """A bar for each file that is being fetched."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err) as bar:
        tasks: dict[str, int] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total or None)
            bar.update(tasks[name], completed=done)  # type: ignore[arg-type]

        yield report


def show_evaluation(evaluation: Evaluation) -> None:
    """Accuracy, per-class figures and the confusion matrix."""
    count, accuracy = len(evaluation.predicted), evaluation.accuracy
    error = math.sqrt(accuracy * (1 - accuracy) / count)
    out.print(f"accuracy {accuracy:.2%} on {count} images (standard error {error:.2%})")
    out.print(f"expected calibration error {evaluation.calibration_error:.4f}\n")
    title = "rows: true class; columns 0 to 9: predicted class"
    table = Table("", "precision", "recall", *map(str, range(len(CLASSES))), box=None, padding=(0, 1, 0, 0), title=title)
    for k, figures in enumerate(per_class(evaluation.confusion)):
        cells = (str(cell) if cell else "." for cell in evaluation.confusion[k])
        table.add_row(f"{k} {CLASSES[k]}", f"{figures.precision:.3f}", f"{figures.recall:.3f}", *cells)
    out.print(table)
