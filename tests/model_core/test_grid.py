"""Grids: what they expand to, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_core import grid, search
from model_core.errors import RecipeError
from model_core.recipe import BEST, PAPER


def test_the_papers_grid_has_216_different_runs() -> None:
    recipes = grid.expand(grid.load("paper"), epochs=10, seed=0)
    assert len({search.run_name(recipe) for recipe in recipes}) == len(recipes) == 216
    assert {recipe.epochs for recipe in recipes} == {10}
    assert any((r.learning_rate, r.l2, r.hidden, r.lr_decay) == (PAPER.learning_rate, PAPER.l2, PAPER.hidden, 0.5) for r in recipes)


def test_every_case_is_tried_in_every_combination() -> None:
    wanted = {"recipe": "best", "vary": {"seed": [0, 1]}, "cases": [{}, {"dropout": 0}, {"augment": "none", "l2": 0}]}
    recipes = grid.expand(wanted, epochs=100, seed=7)
    assert [(r.seed, r.dropout, r.augment, r.l2) for r in recipes] == [
        (0, BEST.dropout, BEST.augment, BEST.l2),
        (1, BEST.dropout, BEST.augment, BEST.l2),
        (0, 0, BEST.augment, BEST.l2),
        (1, 0, BEST.augment, BEST.l2),
        (0, BEST.dropout, "none", 0),
        (1, BEST.dropout, "none", 0),
    ]


def test_a_case_that_changes_nothing_is_tried_once() -> None:
    assert len(grid.expand({"recipe": "best", "cases": [{}, {"dropout": BEST.dropout}]}, None, 0)) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"vary": 3},
        {"vary": {"l2": 1e-3}},
        {"vary": {"l2": []}},
        {"vary": {"colour": [1]}},
        {"vary": {}, "x": 1},
        {"vary": {"l2": [-1]}},
        {"cases": []},
        {"cases": {}},
        {"cases": [3]},
        {"cases": [{"colour": 1}]},
        {"cases": [{"seed": None}]},
        {"vary": {"seed": [None]}},
        {"recipe": "worst", "cases": [{}]},
    ],
)
def test_a_grid_that_says_nothing_sensible_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        grid.expand(wanted, None, 0)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000])
def test_a_file_that_holds_no_grid_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "grid.json"
    path.write_text(content)
    with pytest.raises(RecipeError, match=r"grid\.json"):
        grid.load(str(path))


def test_a_grid_is_read_from_a_file(tmp_path: Path) -> None:
    path, wanted = tmp_path / "grid.json", {"recipe": "quick", "cases": [{"epochs": 3}]}
    path.write_text(json.dumps(wanted))
    assert [recipe.epochs for recipe in grid.expand(grid.load(str(path)), None, 0)] == [3]


def test_a_grid_beyond_all_bounds_is_refused_before_it_is_written_out() -> None:
    fields = ("learning_rate", "l2", "lr_decay", "momentum", "dropout", "average")
    with pytest.raises(RecipeError, match="more than 100000"):
        grid.expand({"vary": {field: [0.1] * 100 for field in fields}}, None, 0)
