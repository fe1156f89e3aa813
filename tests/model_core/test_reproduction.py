"""Records of runs, and the page that is written from them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from model_core import records, reproduction
from model_core.card import evaluate
from model_core.recipe import PAPER
from model_core.records import Record
from tests.support import tiny

COLUMNS = ("epoch", "train_loss", "train_penalty", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds")


def a_record(test: float, seed: int, epochs: int = 500, **changes: Any) -> Record:
    recipe = dataclasses.replace(PAPER, epochs=epochs, seed=seed, **changes)
    return Record(recipe, epochs, 0.91, 0.912, test, 0.9, {name: [0.5] * epochs for name in COLUMNS})


def test_a_record_holds_what_the_weights_achieve_under_both_statistics(tmp_path: Path) -> None:
    run = records.record(tiny.model(), tiny.training_data(), tiny.test_images())
    assert run.test == evaluate(tiny.model(), tiny.test_images()).accuracy
    assert 0 < run.test_batch <= 1
    assert run.history.keys() == set(COLUMNS)
    assert run.at(2)["epoch"] == 2
    records.save(run, tmp_path / "tiny.json")
    assert records.load_all(tmp_path) == [run]
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


def table_2(tests: list[float], validations: list[float]) -> list[Record]:
    """A record for each of Table 2's rows."""
    found = []
    for row, (rate, l2, h1, h2, decay, _) in enumerate(reproduction.TABLE_2):
        epochs = reproduction.SHORT_EPOCHS if row else PAPER.epochs
        run = a_record(tests[row], 0, epochs, learning_rate=rate, l2=l2, hidden=(h1, h2), lr_decay=decay)
        found.append(dataclasses.replace(run, validation=validations[row]))
    return found


def test_the_page_says_what_choosing_by_the_test_set_pretends() -> None:
    page = reproduction.to_markdown(table_2([0.9, 0.903, *[0.89] * 8], [0.91, 0.90, *[0.89] * 8]))
    assert "best of our ten has 90.30 %; chosen by validation accuracy, 90.00 %" in page
    assert "0.30 points are what choosing by the test set pretends" in page


@pytest.mark.parametrize(("score", "verdict"), [(0.899, "agrees"), (0.88, "does not agree")])
def test_the_page_says_whether_row_1_agrees(score: float, verdict: str) -> None:
    page = reproduction.to_markdown([dataclasses.replace(a_record(0.9, 1), test_batch=score)])
    assert f"- Row 1 {verdict}: {100 * score:.2f} %" in page


def test_figures_outside_figure_4_are_called_so() -> None:
    page = reproduction.to_markdown([a_record(0.9, 1)])
    assert "| 1 | train accuracy | 0.785 to 0.805 | 0.500 | no |" in page


def test_an_ablation_is_told_in_points() -> None:
    page = reproduction.to_markdown([a_record(0.9, 1), a_record(0.887, 1, l2=0.0)])
    assert "- Row 1 with no L2: -1.30 points on test" in page
