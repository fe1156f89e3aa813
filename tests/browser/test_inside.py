"""Inside: the weights as pictures, unit by unit, of one version or of two."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Look, Watched

pytestmark = pytest.mark.browser
Open = Callable[..., Watched]

DRAWN = "[...document.querySelectorAll('.sheet img')].every((image) => image.naturalWidth > 0)"


def open_inside(watched: Open, *look: Look) -> Watched:
    opened = watched(*look, path="#inside")
    opened.until(DRAWN)
    opened.page.get_by_role("heading", name="Unit 0 of version 1").wait_for()
    opened.page.locator(".mark").wait_for()  # from now on tiles can be pointed at
    return opened


def test_the_first_layer_shows_its_units_and_what_one_is_for(watched: Open, every_look: Look, screenshots: Path | None) -> None:
    opened = open_inside(watched, every_look)
    opened.sees("of the second layer")
    assert opened.page.locator(".pulls li").count() == 10
    opened.assert_accessible()
    opened.keep(screenshots, "inside")


def test_pointing_at_a_tile_shows_its_unit(watched: Open) -> None:
    opened = open_inside(watched)
    box: Any = opened.page.locator(".sheet img").bounding_box()
    columns, rows = 25, 20
    opened.page.mouse.move(box["x"] + box["width"] * 7.5 / columns, box["y"] + box["height"] * 2.5 / rows)
    opened.page.get_by_role("heading", name=f"Unit {2 * columns + 7} of version 1").wait_for()


def test_arrow_keys_and_the_number_reach_every_unit(watched: Open) -> None:
    opened = open_inside(watched)
    opened.page.locator(".view").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowLeft"):
        opened.page.keyboard.press(key)
    opened.page.keyboard.press("ArrowDown")
    opened.page.get_by_role("heading", name="Unit 25 of version 1").wait_for()
    number = opened.page.get_by_label("Unit, 0 to 499")
    number.fill("499")
    number.press("Enter")
    opened.page.get_by_role("heading", name="Unit 499 of version 1").wait_for()


@pytest.mark.parametrize("name", ["Directions", "Last layer", "Together"])
def test_the_other_pictures_are_there_in_grey_and_signed(watched: Open, name: str) -> None:
    opened = open_inside(watched)
    opened.page.get_by_text(name, exact=True).click()
    opened.until(DRAWN)
    grey = opened.page.locator(".sheet img").get_attribute("src")
    opened.page.get_by_text("Signed", exact=True).click()
    opened.until(DRAWN)
    assert opened.page.locator(".sheet img").get_attribute("src") != grey
    assert not opened.page.locator(".unit").count()
    opened.assert_accessible()


def test_a_picture_is_zoomed(watched: Open) -> None:
    opened = open_inside(watched)
    width = "document.querySelector('.sheet img').clientWidth"
    before = opened.page.evaluate(width)
    for _ in range(2):
        opened.page.get_by_role("button", name="Larger").click()
    assert opened.page.evaluate(width) == pytest.approx(2 * before, abs=2)
    opened.page.get_by_role("button", name="Smaller").click()
    assert opened.page.evaluate(width) == pytest.approx(1.5 * before, abs=2)


def test_any_version_is_looked_into(watched: Open) -> None:
    opened = open_inside(watched)
    opened.page.get_by_role("combobox", name="Version", exact=True).select_option("2")
    opened.page.get_by_role("heading", name="Unit 0 of version 2").wait_for()
    opened.page.get_by_label("Unit, 0 to 15").wait_for()  # its first layer has 16


def test_two_versions_stand_side_by_side(watched: Open, look: Look, screenshots: Path | None) -> None:
    opened = open_inside(watched, look)
    opened.page.get_by_label("Beside it").select_option("2")
    opened.until(f"document.querySelectorAll('.sheet').length === 2 && {DRAWN}")
    opened.page.get_by_role("heading", name="Unit 0 of version 2").wait_for()
    opened.assert_accessible()
    opened.keep(screenshots, "two-versions")


def test_a_unit_that_one_of_two_versions_lacks_is_said_to_be_missing(watched: Open) -> None:
    opened = watched(failing=True)  # the browser tells its console of the 404
    opened.goto("#inside")
    opened.page.get_by_label("Beside it").select_option("2")
    opened.page.get_by_role("heading", name="Unit 0 of version 2").wait_for()
    number = opened.page.get_by_label("Unit, 0 to 499")
    number.fill("100")
    number.press("Enter")
    opened.sees("there is no unit 100")
    opened.page.get_by_role("heading", name="Unit 100 of version 1").wait_for()


def test_a_tile_that_does_not_come_says_why(watched: Open) -> None:
    opened = watched(failing=True)
    opened.page.route("**/weights/w1/0.png*", lambda route: route.fulfill(status=503, json={"detail": "the database does not answer"}))
    opened.goto("#inside")
    opened.page.get_by_alt_text("the database does not answer").wait_for()


def test_a_failing_server_is_said_with_its_reason_and_a_way_on(watched: Open, look: Look) -> None:
    opened = watched(look, failing=True)
    opened.page.route("**/weights/w1.png*", lambda route: route.fulfill(status=503, json={"detail": "the database does not answer"}))
    opened.goto("#inside")
    opened.sees("the database does not answer")
    opened.assert_accessible()
    opened.page.unroute("**/weights/w1.png*")
    opened.page.get_by_role("button", name="Try again").click()
    opened.until(f"document.querySelector('.sheet img') && {DRAWN}")
