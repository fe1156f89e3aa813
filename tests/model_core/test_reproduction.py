"""Records of runs, and the page that is written from them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from model_core import reproduction
from model_core.card import evaluate
from model_core.recipe import PAPER
from model_core.reproduction import Record
from tests.support import tiny

COLUMNS = ("epoch", "train_loss", "train_penalty", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds")


def a_record(test: float, seed: int, epochs: int = 500, **changes: Any) -> Record:
    recipe = dataclasses.replace(PAPER, epochs=epochs, seed=seed, **changes)
    return Record(recipe, epochs, 0.91, 0.912, test, 0.9, {name: [0.5] * epochs for name in COLUMNS})


def test_a_record_holds_what_the_weights_achieve_under_both_statistics(tmp_path: Path) -> None:
    run = reproduction.record(tiny.model(), tiny.training_data(), tiny.test_images())
    assert run.test == evaluate(tiny.model(), tiny.test_images()).accuracy
    assert 0 < run.test_batch <= 1
    assert run.history.keys() == set(COLUMNS)
    assert run.at(2)["epoch"] == 2
    reproduction.save(run, tmp_path / "tiny.json")
    assert reproduction.load_all(tmp_path) == [run]
    assert json.loads((tmp_path / "tiny.json").read_text())["recipe"]["seed"] == tiny.RECIPE.seed


def test_table_2_gives_mean_and_deviation_over_the_seeds_beside_the_papers_figure() -> None:
    page = reproduction.to_markdown([a_record(0.90, 1), a_record(0.902, 2), a_record(0.5, 1, l2=0.0)])
    row = next(line for line in page.splitlines() if "89.84" in line)
    assert "| 2 | 89.84 | 90.10 ± 0.14 | 90.00 ± 0.00 |" in row


@pytest.mark.parametrize(("name", "changes"), reproduction.ABLATION.items())
def test_each_ablation_row_takes_its_own_runs(name: str, changes: dict[str, Any]) -> None:
    page = reproduction.to_markdown([a_record(0.87, 3, **changes), a_record(0.9, 3)])
    assert f"| {name} | 1 | 87.00 |" in page


def test_rows_2_to_10_are_the_short_runs() -> None:
    rate, l2, h1, h2, decay, paper = reproduction.TABLE_2[1]
    short = a_record(0.88, 1, reproduction.SHORT_EPOCHS, learning_rate=rate, l2=l2, hidden=(h1, h2), lr_decay=decay)
    row = next(line for line in reproduction.to_markdown([short]).splitlines() if f"{paper:.2f}" in line)
    assert "| 1 | 89.82 | 88.00 |" in row
