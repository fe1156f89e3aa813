"""Which recipes a search tries: the paper's Table 1, or what a JSON file asks for."""

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_core.errors import RecipeError
from model_core.recipe import Recipe

# The paper's Table 1: 6 x 3 x 4 x 3 = 216 runs.
PAPER: Mapping[str, Any] = {
    "recipe": "paper",
    "vary": {
        "learning_rate": [0.5, 0.4, 0.3, 0.2, 0.1, 0.05],
        "l2": [1e-3, 1e-4, 1e-5],
        "hidden": [[500, 324], [500, 256], [400, 324], [400, 256]],
        "lr_decay": [0.8, 0.5, 0.3],
    },
}
MOST_RUNS = 100_000
_SHAPE = (
    'a grid is {"recipe": "paper", "vary": {"learning_rate": [0.2, 0.1]}}, each field with at least one value;'
    ' or {"recipe": "best", "cases": [{}, {"dropout": 0}]}, each case with the fields that it changes; or both'
)


def load(name: str) -> Mapping[str, Any]:
    """The grid called `paper`, or the one in a JSON file. Raises RecipeError."""
    if name == "paper":
        return PAPER
    try:
        grid = json.loads(Path(name).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError("grid", f"{name!r} is neither 'paper' nor a JSON file that can be read ({error})") from error
    if not isinstance(grid, dict):
        raise RecipeError("grid", f"{name} holds a {type(grid).__name__}, not an object")
    return grid


def expand(grid: Mapping[str, Any], epochs: int | None, seed: int) -> list[Recipe]:
    """Every case of a grid in every combination of what it varies, each once. Raises RecipeError.

    {"recipe": preset, "vary": {field: [values]}, "cases": [{field: value}]}; what is missing changes nothing.
    """
    vary, cases = grid.get("vary", {}), grid.get("cases", [{}])
    if not _is_grid(grid, vary, cases):
        raise RecipeError("grid", _SHAPE)
    if math.prod(map(len, vary.values())) * len(cases) > MOST_RUNS:
        raise RecipeError("grid", f"its combinations are more than {MOST_RUNS}; leave some values out")
    fixed = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    combinations = [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]
    wanted = [fixed | case | combination for case in cases for combination in combinations]
    if any(changes["seed"] is None for changes in wanted):
        raise RecipeError("seed", "None is no seed of a search, whose runs can be repeated; name a number, or leave it to --seed")
    recipes = [Recipe.preset(grid.get("recipe", "quick"), **changes) for changes in wanted]
    return list(dict.fromkeys(recipes))


def _is_grid(grid: Mapping[str, Any], vary: Any, cases: Any) -> bool:
    return (
        not grid.keys() - {"recipe", "vary", "cases"}
        and not grid.keys().isdisjoint({"vary", "cases"})
        and isinstance(vary, dict)
        and all(isinstance(values, list) and values for values in vary.values())
        and isinstance(cases, list)
        and bool(cases)
        and all(isinstance(case, dict) for case in cases)
    )
