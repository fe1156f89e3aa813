"""Predict: from opening the page to an answer, by every way in."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.browser import DESKTOP, Look, Watched
from tests.support.garments import EXAMPLES
from tests.support.photos import photograph
from tests.support.pictures import encode, grey

pytestmark = pytest.mark.browser
Open = Callable[..., Watched]

BAG = {"name": "bag.jpg", "mimeType": "image/jpeg", "buffer": encode(photograph("bag", "wood"), "JPEG")}
NOISE = {"name": "noise.png", "mimeType": "image/png", "buffer": encode(grey() // 3)}
DRESS = {"name": "dress.png", "mimeType": "image/png", "buffer": (EXAMPLES / "dress.png").read_bytes()}
TEXT = {"name": "=letter.png", "mimeType": "image/png", "buffer": b"Dear Sir"}
HAND_OVER = """([kind, name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
  const event = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.getElementById("drop").dispatchEvent(event);
}"""


def answer(opened: Watched) -> Any:
    return opened.page.locator("#answer")


def says(opened: Watched, label: str) -> None:
    """Wait until the answer's headline is this."""
    answer(opened).get_by_role("heading", name=label, exact=True).wait_for()


def test_opening_the_page_shows_an_answered_example(watched: Open, every_look: Look, screenshots: Path | None) -> None:
    opened = watched(every_look)
    says(opened, "Ankle boot")
    assert answer(opened).locator("li").count() == 10
    opened.sees("model version 1")
    opened.page.locator("#why canvas").nth(1).wait_for()
    opened.assert_accessible()
    opened.keep(screenshots, "predict")


def test_one_click_on_an_example_answers(watched: Open) -> None:
    opened = watched()
    for name, label in (("Trouser", "Trouser"), ("T-shirt", "T-shirt/top"), ("Bag", "Bag")):
        opened.page.get_by_role("button", name=name, exact=True).click()
        says(opened, label)
        assert opened.page.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("slow", ["**/static/examples/trouser.png", "**/explain*"])
def test_what_was_chosen_last_is_answered_however_slow_the_choice_before_it_is(watched: Open, slow: str) -> None:
    opened = watched()
    says(opened, "Ankle boot")
    held: list[Any] = []
    opened.page.route(slow, lambda route: route.continue_() if held else held.append(route))
    with opened.page.expect_request(slow):
        opened.page.get_by_role("button", name="Trouser").click()
    with opened.page.expect_event("requestfailed"):  # called off by the page, so that it can no longer come late
        opened.page.get_by_role("button", name="Bag").click()
    says(opened, "Bag")


def test_a_photograph_is_prepared_in_view(watched: Open, look: Look, screenshots: Path | None) -> None:
    opened = watched(look)
    says(opened, "Ankle boot")
    opened.page.locator("#choose").set_input_files([BAG])
    says(opened, "Bag")
    told = opened.page.locator(".steps summary")
    assert told.inner_text().replace("\N{MULTIPLICATION SIGN}", "x") == "360 x 480 became 28 x 28, inverted"
    told.click()
    opened.sees("margin of the ground's colour trimmed")
    seen = opened.page.evaluate("[...document.querySelector('#seen canvas').getContext('2d').getImageData(0, 0, 28, 28).data]")
    lights = np.array(seen).reshape(28, 28, 4)[..., 0]
    assert lights[0].max() < lights[20].max()
    opened.assert_accessible()
    opened.keep(screenshots, "photograph")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(watched: Open, kind: str) -> None:
    opened = watched()
    says(opened, "Ankle boot")
    opened.page.evaluate(HAND_OVER, [kind, "bag.jpg", list(BAG["buffer"])])
    says(opened, "Bag")


def test_a_telephone_offers_its_camera(watched: Open, look: Look) -> None:
    opened = watched(look)
    says(opened, "Ankle boot")
    button = opened.page.get_by_text("Photograph", exact=True)
    assert button.is_visible() == (look.size != DESKTOP)
    opened.page.locator("#photograph").set_input_files([BAG])
    says(opened, "Bag")


def test_a_drawing_is_answered_stroke_by_stroke(watched: Open, look: Look) -> None:
    opened = watched(look)
    says(opened, "Ankle boot")
    opened.page.get_by_role("button", name="Draw").click()
    board = opened.page.get_by_role("application", name="Drawing board")
    board.scroll_into_view_if_needed()
    box, mouse = board.bounding_box(), opened.page.mouse
    corners = [(0.38, 0.9), (0.38, 0.15), (0.62, 0.15), (0.62, 0.9)]
    for number, (x, y) in enumerate(corners):
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=1 if number == 0 else 6)
        if number == 0:
            mouse.down()
    mouse.up()
    says(opened, "Trouser")
    opened.assert_accessible()


def test_a_drawing_is_made_by_keyboard_alone(watched: Open) -> None:
    opened = watched()
    says(opened, "Ankle boot")
    opened.page.get_by_role("button", name="Draw").focus()
    opened.page.keyboard.press("Enter")
    for keys in (["ArrowLeft"] * 4, ["ArrowDown"] * 10, [" "], ["ArrowUp"] * 20, ["ArrowRight"] * 8, ["ArrowDown"] * 20, [" "]):
        for key in keys:
            opened.page.keyboard.press(key)
    opened.sees("Pen up at 18, 24.")
    says(opened, "Trouser")


def test_several_pictures_give_a_table_that_can_be_saved(watched: Open, look: Look, screenshots: Path | None) -> None:
    opened = watched(look, failing=True)  # one of them is no picture, which the browser tells its console too
    opened.goto()
    says(opened, "Ankle boot")
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
    says(opened, "Dress")
    assert rows.count() == 4
    opened.assert_accessible()
    opened.keep(screenshots, "several")


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
    answer(opened).get_by_text("the dataset says").wait_for()
    opened.assert_accessible()


def test_there_is_no_gallery_without_the_dataset(watched: Open) -> None:
    opened = watched(failing=True)
    opened.page.route("**/samples*", lambda route: route.fulfill(json={"count": 0, "offset": 0, "samples": []}))
    opened.goto()
    says(opened, "Ankle boot")
    assert not opened.page.locator("#gallery").is_visible()


def test_a_picture_like_nothing_in_training_is_called_a_guess(watched: Open, look: Look, screenshots: Path | None) -> None:
    opened = watched(look)
    says(opened, "Ankle boot")
    opened.page.locator("#choose").set_input_files([NOISE])
    opened.sees("This is unlike anything it was trained on.")
    assert answer(opened).get_by_role("heading").inner_text().endswith("?")
    opened.assert_accessible()
    opened.keep(screenshots, "unfamiliar")


def test_why_shows_the_sums_and_the_units_with_their_tiles(watched: Open, every_look: Look, screenshots: Path | None) -> None:
    opened = watched(every_look)
    opened.sees("The sums agree with the network to")
    assert opened.page.locator("#why canvas").count() == 2
    opened.page.get_by_text("The most active of").click()
    tiles = opened.page.locator("#why .tile")
    opened.until("[...document.querySelectorAll('#why .tile')].every((tile) => tile.naturalWidth === 28)")
    assert tiles.count() == 12
    opened.assert_accessible()
    opened.page.locator("#why").scroll_into_view_if_needed()
    opened.keep(screenshots, "why")


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
    says(opened, "Ankle boot")


def test_a_file_that_is_no_picture_is_refused_with_the_reason(watched: Open) -> None:
    opened = watched(failing=True)
    opened.goto()
    says(opened, "Ankle boot")
    opened.page.locator("#choose").set_input_files([TEXT])
    opened.sees("the upload is not a picture")


def test_the_parts_are_reached_and_used_by_keyboard_alone(watched: Open) -> None:
    opened = watched()
    says(opened, "Ankle boot")
    press = opened.page.keyboard.press
    press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(2):
        press("Tab")
    press("Enter")
    opened.page.get_by_role("heading", name="What it has learned").wait_for()
    assert opened.page.evaluate("document.activeElement.id") == "inside-title"
