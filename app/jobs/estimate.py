"""How long a job will take, before it has done an epoch: as long for each operation as the last measured epoch took."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from app.store import jobs, models
from model_core import Recipe
from model_core.errors import RecipeError
from model_core.network import weight_count

START_SECONDS = 3.0  # to load NumPy, the data and the buffers, and at the end to score and publish


def estimate_seconds(db: sa.Connection, record: Mapping[str, Any]) -> float | None:
    """Seconds that a recipe's record may take, judged by the newest job that did an epoch, else by the current model's history.

    None where nothing was measured, or a recipe of another release cannot be read here.
    """
    try:
        recipe, measured = Recipe.from_record(record), _last_measured(db)
    except RecipeError:
        return None
    if measured is None:
        return None
    other, seconds = measured
    # Nearly all of an epoch is matrix products, whose work is in proportion to the weights.
    share = weight_count(recipe.hidden) / weight_count(other.hidden)
    return round(START_SECONDS + recipe.epochs * seconds * share, 1)


def _last_measured(db: sa.Connection) -> tuple[Recipe, float] | None:
    row = jobs.last_timed(db)
    if row is not None:
        return Recipe.from_record(row.recipe), row.epoch_seconds
    current = models.current_version(db)
    card = None if current is None else models.find(db, current)
    history = [] if card is None else card.card["history"]
    if card is None or not history:
        return None
    return Recipe.from_record(card.card["recipe"]), history[-1]["seconds"]
