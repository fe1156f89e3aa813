"""What a recipe takes, and what it refuses."""

import dataclasses
import json
import math
from typing import Any

import pytest

from model_core.errors import RecipeError
from model_core.recipe import FIELDS, MAX_HIDDEN, PRESETS, Recipe

NUMERIC = [name for name, field in FIELDS.items() if field.metadata["low"] is not None]
CHOSEN = [name for name, field in FIELDS.items() if field.metadata["choices"]]


def with_number(name: str, value: Any) -> Recipe:
    """The quick preset with one number changed; in `hidden` it is the first size."""
    return Recipe.preset("quick", **{name: (value, 10) if name == "hidden" else value})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_valid_recipe_under_its_own_name(name: str) -> None:
    assert Recipe.preset(name) == dataclasses.replace(PRESETS[name])
    assert Recipe.preset(name).name == name


def test_every_field_has_help_and_either_bounds_or_choices() -> None:
    for name, field in FIELDS.items():
        assert field.metadata["help"], name
    assert sorted(NUMERIC + CHOSEN) == sorted(FIELDS)


@pytest.mark.parametrize("name", NUMERIC)
def test_a_numbers_own_bounds_are_taken(name: str) -> None:
    for end in ("low", "high"):
        value = FIELDS[name].metadata[end]
        assert getattr(with_number(name, value), name) == ((value, 10) if name == "hidden" else value)


@pytest.mark.parametrize("name", NUMERIC)
def test_a_number_beyond_its_bounds_is_refused_with_field_value_and_bounds(name: str) -> None:
    low, high = FIELDS[name].metadata["low"], FIELDS[name].metadata["high"]
    for value in (low - 1, high + 1, -(10**400), 10**400):
        with pytest.raises(RecipeError) as refused:
            with_number(name, value)
        assert refused.value.field == name
        assert str(refused.value).startswith(f"{name}: {value!r} ")
        assert f"from {low:g} to {high:g}" in str(refused.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, False, "1", "", b"1", [], {}, 1j], ids=repr)
@pytest.mark.parametrize("name", NUMERIC)
def test_what_is_no_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=name):
        with_number(name, value)


@pytest.mark.parametrize("name", [name for name in NUMERIC if FIELDS[name].type is not float])
def test_a_whole_number_takes_no_fraction(name: str) -> None:
    with pytest.raises(RecipeError, match="whole"):
        with_number(name, 2.0)


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "seed"])
def test_nothing_is_refused_wherever_it_is_no_value(name: str) -> None:
    with pytest.raises(RecipeError, match=name):
        Recipe.preset("quick", **{name: None})


@pytest.mark.parametrize("value", ["nonsense", "", 0, True, [], {}], ids=repr)
@pytest.mark.parametrize("name", CHOSEN)
def test_a_choice_that_is_not_offered_is_refused_with_those_that_are(name: str, value: Any) -> None:
    with pytest.raises(RecipeError) as refused:
        Recipe.preset("quick", **{name: value})
    assert all(choice in str(refused.value) for choice in (name, *FIELDS[name].metadata["choices"]))


@pytest.mark.parametrize(
    "hidden", [(0, 5), (5, 0), (5,), (5, 5, 5), (), "55", 5, (MAX_HIDDEN + 1, 5), (True, 5), (5.0, 5), ((5,), 5)], ids=repr
)
def test_hidden_is_two_sizes_and_nothing_else(hidden: Any) -> None:
    with pytest.raises(RecipeError, match="hidden"):
        Recipe.preset("quick", hidden=hidden)


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match=r"colour: no such field.*epochs"):
        Recipe.preset("quick", colour="red")


def test_an_unknown_preset_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(RecipeError, match="'slow' is not one of paper, best, quick"):
        Recipe.preset("slow")


def test_a_million_epochs_are_refused() -> None:
    with pytest.raises(RecipeError, match="epochs: 1000000"):
        Recipe.preset("paper", epochs=1_000_000)


@pytest.mark.parametrize("epochs", [500, 1000])
def test_the_papers_recipe_fits_500_epochs_and_1000(epochs: int) -> None:
    assert Recipe.preset("paper", epochs=epochs).epochs == epochs


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_comes_back_from_its_json_record(name: str) -> None:
    recipe = Recipe.preset(name, seed=5, hidden=[30, 20])
    assert Recipe.from_record(json.loads(json.dumps(recipe.as_record()))) == recipe


@pytest.mark.parametrize("name", FIELDS)
def test_a_record_that_lacks_a_field_is_refused_by_its_name(name: str) -> None:
    record = Recipe.preset("quick").as_record()
    del record[name]
    with pytest.raises(RecipeError, match=name):
        Recipe.from_record(record)


def test_a_record_with_a_field_too_many_is_refused_by_its_name() -> None:
    with pytest.raises(RecipeError, match="colour"):
        Recipe.from_record({**Recipe.preset("quick").as_record(), "colour": "red"})


def test_a_missing_seed_is_filled_in_and_a_given_one_is_kept() -> None:
    assert Recipe.preset("quick").seeded(2**40 + 7).seed == 7
    assert Recipe.preset("quick", seed=0).seeded(7).seed == 0
