"""Answers: why it is this one, several at once, which one counts, and what is said where there is none."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.files import BAG, DRESS, NOISE, TEXT
from tests.support.browser import Look, Watched

pytestmark = pytest.mark.browser
Open = Callable[..., Watched]


@pytest.mark.parametrize("slow", ["**/static/examples/trouser.png", "**/explain*"])
def test_what_was_chosen_last_is_answered_however_slow_the_choice_before_it_is(watched: Open, slow: str) -> None:
    opened = watched()
    opened.says("Ankle boot")
    held: list[Any] = []
    opened.page.route(slow, lambda route: route.continue_() if held else held.append(route))
    with opened.page.expect_request(slow):
        opened.page.get_by_role("button", name="Trouser").click()
    with opened.page.expect_event("requestfailed"):  # called off by the page, so that it can no longer come late
        opened.page.get_by_role("button", name="Bag").click()
    opened.says("Bag")


def test_several_pictures_give_a_table_that_can_be_saved(watched: Open, look: Look, screenshots: Path | None) -> None:
    opened = watched(look, failing=True)  # one of them is no picture, which the browser tells its console too
    opened.goto()
    opened.says("Ankle boot")
    opened.page.locator("#choose").set_input_files([BAG, NOISE, TEXT, DRESS])
    opened.page.get_by_text("4 pictures", exact=True).wait_for()  # before: "3 of 4 pictures"
    rows = opened.page.locator("#table tbody tr")
    assert [rows.nth(k).locator("td").nth(1).inner_text() for k in (0, 3)] == ["Bag", "Dress"]
    assert "not a picture" in rows.nth(2).inner_text()
    assert "unfamiliar" in rows.nth(1).inner_text()
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Save as CSV").click()
    lines = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert [line["label"] for line in lines] == ["Bag", lines[1]["label"], "", "Dress"]
    assert lines[2]["file"] == "'=letter.png", "a spreadsheet must not take it for a formula"
    assert sum(float(lines[0][name]) for name in list(lines[0])[6:]) == pytest.approx(1, abs=1e-4)
    rows.nth(3).get_by_role("button", name="Why?").click()
    opened.says("Dress")
    assert rows.count() == 4
    opened.assert_accessible()
    opened.keep(screenshots, "several", top="#table")


def test_the_gallery_tells_right_from_wrong(watched: Open, look: Look) -> None:
    opened = watched(look)
    opened.page.get_by_text("Test images of the dataset").click()
    images = opened.page.locator("#gallery li button")
    images.first.wait_for()
    assert images.count() == 12
    opened.sees("1 to 12 of 100")
    opened.page.get_by_role("button", name="On", exact=True).click()
    opened.sees("13 to 24 of 100")
    images.first.click()
    opened.answer.get_by_text("the dataset says").wait_for()
    opened.assert_accessible()


def test_there_is_no_gallery_without_the_dataset(watched: Open) -> None:
    opened = watched(failing=True)
    opened.page.route("**/samples*", lambda route: route.fulfill(json={"count": 0, "offset": 0, "samples": []}))
    opened.goto()
    opened.says("Ankle boot")
    assert not opened.page.locator("#gallery").is_visible()


def test_a_picture_like_nothing_in_training_is_called_a_guess(watched: Open, look: Look, screenshots: Path | None) -> None:
    opened = watched(look)
    opened.says("Ankle boot")
    opened.page.locator("#choose").set_input_files([NOISE])
    opened.sees("This is unlike anything it was trained on.")
    assert opened.answer.get_by_role("heading").inner_text().endswith("?")
    opened.assert_accessible()
    opened.keep(screenshots, "unfamiliar", top="#drop")


def test_why_shows_the_sums_and_the_units_with_their_tiles(watched: Open, every_look: Look, screenshots: Path | None) -> None:
    opened = watched(every_look)
    opened.sees("The sums agree with the network to")
    assert opened.page.locator("#why canvas").count() == 2
    opened.page.get_by_text("The most active of").click()
    tiles = opened.page.locator("#why .tile")
    tiles.first.wait_for()
    opened.until("[...document.querySelectorAll('#why .tile')].every((tile) => tile.naturalWidth === 28)")
    assert tiles.count() == 12
    opened.assert_accessible()
    opened.keep(screenshots, "why", top="#why")


@pytest.mark.parametrize("fault", ["busy", "gone"])
def test_a_failing_server_is_said_with_its_reason_and_a_way_on(watched: Open, fault: str) -> None:
    opened = watched(failing=True)
    problem = {"detail": "too many pictures at once; try again in a second", "status": 503}
    opened.page.route("**/explain*", lambda route: route.fulfill(status=503, json=problem) if fault == "busy" else route.abort())
    opened.goto()
    opened.sees("try again in a second" if fault == "busy" else "The service does not answer")
    opened.assert_accessible()
    opened.page.unroute("**/explain*")
    opened.page.get_by_role("button", name="Try again").click()
    opened.says("Ankle boot")


def test_a_file_that_is_no_picture_is_refused_with_the_reason(watched: Open) -> None:
    opened = watched(failing=True)
    opened.goto()
    opened.says("Ankle boot")
    opened.page.locator("#choose").set_input_files([TEXT])
    opened.sees("the upload is not a picture")
