"""The paper's tables beside ours: `record` measures a finished run, `to_markdown` writes docs/reproduction.md from the records.

A record holds what a weights file's card says of the run, and its accuracy under both kinds of statistics, measured again from the weights.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_core.artifact import Model, write_atomically
from model_core.card import batch_statistics_accuracy, evaluate
from model_core.data import LabelledImages, TrainingData
from model_core.preprocess import Standardizer
from model_core.recipe import PAPER, Recipe

# Table 2: learning rate, lambda, H1, H2, decay, test accuracy in percent.
TABLE_2 = (
    (0.2, 1e-3, 500, 324, 0.5, 89.84),
    (0.3, 1e-3, 400, 324, 0.2, 89.818),
    (0.1, 1e-3, 500, 324, 0.5, 89.79),
    (0.3, 1e-3, 400, 256, 0.2, 89.78),
    (0.4, 1e-3, 400, 324, 0.2, 89.78),
    (0.2, 1e-3, 400, 256, 0.2, 89.75),
    (0.3, 1e-3, 400, 256, 0.5, 89.74),
    (0.2, 1e-3, 500, 324, 0.2, 89.7),
    (0.2, 1e-3, 500, 256, 0.2, 89.7),
    (0.3, 1e-3, 500, 324, 0.2, 89.68),
)
SHORT_EPOCHS = 100  # of rows 2 to 10
ABLATION = {"no L2": {"l2": 0.0}, "no decay": {"lr_decay": 1.0}, "neither": {"l2": 0.0, "lr_decay": 1.0}}
CURVE_EPOCHS = (1, 5, 95, 105, 500)
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


def to_markdown(records: Sequence[Record]) -> str:
    """Table 2, the ablation and the acceptance curve, ours beside the paper's."""
    return "\n".join(
        [
            "# The paper, reproduced",
            "",
            "Written by `python -m model_core reproduction` from the records beside it; each was measured by `python -m model_core record`",
            "from a weights file that `python -m model_core train --recipe paper ...` wrote. Test accuracy chose nothing: the weights are",
            "those of the epoch with the best validation accuracy under stored statistics.",
            "",
            *_table_2(records),
            "",
            *_ablation(records),
            "",
            *_curve(records),
            "",
        ]
    )


def _table_2(records: Sequence[Record]) -> list[str]:
    lines = [
        "## Table 2",
        "",
        f"Row 1 ran 500 epochs; rows 2 to 10 ran {SHORT_EPOCHS}, with the decay every {SHORT_EPOCHS // 5} instead of every 100.",
        "`stored` standardises by the training images' statistics, `batch` every 512 images by their own, as the paper scored itself.",
        "",
        "| rate | lambda | hidden | decay | epochs | seeds | paper, test | test, stored | test, batch | val., stored | val., batch |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row, (rate, l2, h1, h2, decay, paper) in enumerate(TABLE_2):
        epochs = SHORT_EPOCHS if row else PAPER.epochs
        runs = _runs(records, epochs, learning_rate=rate, l2=l2, hidden=(h1, h2), lr_decay=decay)
        lines.append(f"| {rate} | {l2} | {h1}, {h2} | {decay} | {epochs} | {len(runs)} | {paper:.2f} | {_cells(runs)} |")
    return lines


def _ablation(records: Sequence[Record]) -> list[str]:
    lines = [
        "## The ablation that section 3.3 speaks of",
        "",
        "The paper names it and does not print it. These rows are ours: row 1 of Table 2 without its penalty, its decay, or both.",
        "",
        "| recipe | seeds | test, stored | test, batch | validation, stored | validation, batch | train accuracy at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, changes in {"row 1": {}, **ABLATION}.items():
        runs = _runs(records, PAPER.epochs, **changes)
        last = _mean([run.history["train_accuracy"][-1] for run in runs])
        lines.append(f"| {name} | {len(runs)} | {_cells(runs)} | {last} |")
    return lines


def _curve(records: Sequence[Record]) -> list[str]:
    lines = [
        "## Along the way (row 1)",
        "",
        "| epoch | train loss, with penalty | penalty | train accuracy | validation loss | validation accuracy, stored |",
        "|---|---|---|---|---|---|",
    ]
    runs = _runs(records, PAPER.epochs)
    for epoch in CURVE_EPOCHS:
        points = [run.at(epoch) for run in runs]
        losses = [f"{statistics.mean(point[name] for point in points):.3f}" if points else "" for name in ("train_loss", "train_penalty")]
        validation_loss = f"{statistics.mean(point['validation_loss'] for point in points):.3f}" if points else ""
        train, validation = (_mean([point[name] for point in points]) for name in ("train_accuracy", "validation_accuracy"))
        lines.append(f"| {epoch} | {losses[0]} | {losses[1]} | {train} | {validation_loss} | {validation} |")
    return lines


def _runs(records: Iterable[Record], epochs: int, **changes: Any) -> list[Record]:
    """The runs of the paper's recipe with those changes, whatever their seeds."""
    wanted = Recipe.preset("paper", epochs=epochs, **changes).as_record()
    return [run for run in records if {**run.recipe.as_record(), "seed": None} == wanted]


def _cells(runs: Sequence[Record]) -> str:
    return " | ".join(_mean([getattr(run, name) for run in runs]) for name in ("test", "test_batch", "validation", "validation_batch"))


def _mean(values: Sequence[float]) -> str:
    """In percent: the mean, and with several values their standard deviation."""
    if not values:
        return ""
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{spread}"
