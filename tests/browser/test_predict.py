"""Predict: from opening the page to an answer, by every way in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.browser.files import BAG, GAMMA, PIXELS
from tests.support.browser import DESKTOP, Look, Watched

pytestmark = pytest.mark.browser
Open = Callable[..., Watched]

HAND_OVER = """([kind, name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
  const event = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  document.getElementById("drop").dispatchEvent(event);
}"""


def test_opening_the_page_shows_an_answered_example(watched: Open, every_look: Look, screenshots: Path | None) -> None:
    opened = watched(every_look)
    opened.says("Ankle boot")
    assert opened.answer.locator("li").count() == 10
    opened.sees("model version 1")
    opened.page.locator("#why canvas").nth(1).wait_for()
    opened.assert_accessible()
    opened.keep(screenshots, "predict")


def test_one_click_on_an_example_answers(watched: Open) -> None:
    opened = watched()
    for name, label in (("Trouser", "Trouser"), ("T-shirt", "T-shirt/top"), ("Bag", "Bag")):
        opened.page.get_by_role("button", name=name, exact=True).click()
        opened.says(label)
        assert opened.page.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed") == "true"


def test_a_photograph_is_prepared_in_view(watched: Open, every_look: Look, screenshots: Path | None) -> None:
    opened = watched(every_look)
    opened.says("Ankle boot")
    opened.page.locator("#choose").set_input_files([BAG])
    opened.says("Bag")
    told = opened.page.locator(".steps summary")
    assert told.inner_text().replace("\N{MULTIPLICATION SIGN}", "x") == "360 x 480 became 28 x 28, inverted"
    told.click()
    opened.sees("margin of the ground's colour trimmed")
    lights = seen_pixels(opened)
    assert lights[0].max() < lights[20].max()
    opened.assert_accessible()
    opened.keep(screenshots, "photograph")


def seen_pixels(opened: Watched) -> NDArray[np.int64]:
    """What the page shows as seen by the network, (28, 28)."""
    seen = opened.page.evaluate("[...document.querySelector('#seen canvas').getContext('2d').getImageData(0, 0, 28, 28).data]")
    return np.array(seen).reshape(28, 28, 4)[..., 0]


def test_what_the_network_sees_is_what_stands_in_the_file(watched: Open) -> None:
    opened = watched()
    opened.says("Ankle boot")
    opened.page.locator("#choose").set_input_files([GAMMA])
    opened.sees("Taken as it is")
    assert np.abs(seen_pixels(opened) - PIXELS).max() <= 1


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(watched: Open, kind: str) -> None:
    opened = watched()
    opened.says("Ankle boot")
    opened.page.evaluate(HAND_OVER, [kind, "bag.jpg", list(BAG["buffer"])])
    opened.says("Bag")


def test_a_telephone_offers_its_camera(watched: Open, look: Look) -> None:
    opened = watched(look)
    opened.says("Ankle boot")
    button = opened.page.get_by_text("Photograph", exact=True)
    assert button.is_visible() == (look.size != DESKTOP)
    opened.page.locator("#photograph").set_input_files([BAG])
    opened.says("Bag")


def test_a_drawing_is_answered_stroke_by_stroke(watched: Open, look: Look) -> None:
    opened = watched(look)
    opened.says("Ankle boot")
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
    opened.says("Trouser")
    opened.assert_accessible()


def test_a_drawing_is_made_by_keyboard_alone(watched: Open) -> None:
    opened = watched()
    opened.says("Ankle boot")
    opened.page.get_by_role("button", name="Draw").focus()
    opened.page.keyboard.press("Enter")
    for keys in (["ArrowLeft"] * 4, ["ArrowDown"] * 10, [" "], ["ArrowUp"] * 20, ["ArrowRight"] * 8, ["ArrowDown"] * 20, [" "]):
        for key in keys:
            opened.page.keyboard.press(key)
    opened.sees("Pen up at 18, 24.")
    opened.says("Trouser")


def test_the_parts_are_reached_and_used_by_keyboard_alone(watched: Open) -> None:
    opened = watched()
    opened.says("Ankle boot")
    press = opened.page.keyboard.press
    press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(2):
        press("Tab")
    press("Enter")
    opened.page.get_by_role("heading", name="What it has learned").wait_for()
    assert opened.page.evaluate("document.activeElement.id") == "inside-title"
