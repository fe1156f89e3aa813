"""GET /recipes: the presets and what can be set, as Recipe itself says it. Forms are made from this."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.reading import ReadingRoute
from model_core.recipe import FIELDS, PRESETS

router = APIRouter(route_class=ReadingRoute, prefix="/recipes", tags=["train"])


class RecipeField(BaseModel):
    """A field that a training request may set."""

    name: str
    help: str
    kind: str = Field(description="int, float, choice or sizes (two whole numbers)")
    low: float | None
    high: float | None
    choices: list[str]


class Recipes(BaseModel):
    """What POST /train takes."""

    default: str = Field(description="the preset where none is named")
    presets: dict[str, dict[str, Any]]
    fields: list[RecipeField]


@router.get("")
def list_recipes() -> Recipes:
    """The presets with their values, and each field with its help and bounds."""
    presets = {name: recipe.as_record() for name, recipe in PRESETS.items()}
    return Recipes(default="quick", presets=presets, fields=[_field(name) for name in FIELDS if name != "name"])


def _field(name: str) -> RecipeField:
    metadata = FIELDS[name].metadata
    kind = "sizes" if name == "hidden" else "choice" if metadata["choices"] else "float" if FIELDS[name].type is float else "int"
    choices = list(metadata["choices"])
    return RecipeField(name=name, help=metadata["help"], kind=kind, low=metadata["low"], high=metadata["high"], choices=choices)
