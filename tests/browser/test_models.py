"""Models: the versions, their figures, and the way from one to another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.settings import Settings
from model_core import artifact
from tests.support.browser import Look, Watched
from tests.support.service import add_version
from tests.support.tiny import another_model

pytestmark = pytest.mark.browser
Open = Callable[..., Watched]


def row(opened: Watched, version: int) -> Any:
    """The line of a version."""
    return opened.page.locator(".models tbody tr").filter(has=opened.page.get_by_role("cell", name=str(version), exact=True))


def test_the_versions_stand_there_with_their_accuracy(
    watched: Open, every_look: Look, client: httpx2.Client, screenshots: Path | None
) -> None:
    opened = watched(every_look, path="#models")
    accuracy = client.get("/models/1").json()["validation_accuracy"]
    row(opened, 1).get_by_text(f"{accuracy:.2%}".replace("%", " %")).wait_for()
    opened.assert_accessible()
    row(opened, 1).get_by_role("button", name="Look").click()
    opened.sees("rows are what they truly are")
    assert opened.page.locator(".confusion tbody tr").count() == 10
    opened.page.get_by_text("Model card").click()
    opened.sees("Intended use and limits")
    opened.assert_accessible()
    opened.assert_fits()
    opened.page.get_by_text("Model card").click()
    opened.keep(screenshots, "models")


def test_a_version_is_activated_and_rolled_back(watched: Open) -> None:
    opened = watched(path="#models")
    row(opened, 2).get_by_role("button", name="Activate").click()
    opened.sees("Version 2 serves.")
    row(opened, 2).get_by_text("serves", exact=True).wait_for()
    opened.page.get_by_role("button", name="Roll back to version 1").click()
    opened.sees("Version 1 serves.")
    row(opened, 1).get_by_text("serves", exact=True).wait_for()
    opened.assert_accessible()


def test_a_double_click_activates_only_what_it_was_meant_for(watched: Open, settings: Settings) -> None:
    others = [add_version(settings, another_model(seed=seed, epochs=1)) for seed in (7, 8, 9)]
    opened = watched(path="#models")
    box = row(opened, others[0]).get_by_role("button", name="Activate").bounding_box()
    assert box
    for _ in range(2):
        opened.page.mouse.click(box["x"] + 4, box["y"] + 4)
        opened.page.wait_for_timeout(200)
    opened.sees(f"Version {others[0]} serves.")
    assert opened.page.evaluate("fetch('models/current').then((answer) => answer.json())")["version"] == others[0]
    opened.page.get_by_role("button", name="Roll back to version 1").click()
    opened.sees("Version 1 serves.")


def test_a_version_is_downloaded_whole(watched: Open, settings: Settings) -> None:
    opened = watched(path="#models")
    with opened.page.expect_download() as download:
        row(opened, 1).get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "rookie-1.npz"
    assert Path(download.value.path()).read_bytes() == settings.model.read_bytes()


def test_a_version_is_deleted_at_the_second_click(watched: Open, settings: Settings) -> None:
    version = add_version(settings, another_model(seed=5, epochs=1))
    opened = watched(path="#models")
    row(opened, version).get_by_role("button", name="Delete").dblclick()
    opened.page.wait_for_timeout(600)  # a click that comes sooner would be the second half of a double click
    row(opened, version).get_by_text("Delete for good?").click()
    opened.sees(f"Version {version} is deleted.")
    row(opened, version).wait_for(state="detached")


def test_a_file_is_uploaded_scored_and_told_of(watched: Open) -> None:
    opened = watched(path="#models")
    content = artifact.to_bytes(another_model(seed=6, epochs=1))
    opened.page.locator("#upload").set_input_files([{"name": "mine.npz", "mimeType": "application/octet-stream", "buffer": content}])
    opened.page.get_by_role("button", name="Upload").click()
    opened.page.get_by_text("It is version").wait_for(timeout=60_000)
    opened.assert_accessible()


def test_a_file_that_is_no_model_is_refused_with_the_reason(watched: Open) -> None:
    opened = watched(failing=True)
    opened.goto("#models")
    opened.page.locator("#upload").set_input_files([{"name": "mine.npz", "mimeType": "application/octet-stream", "buffer": b"no"}])
    opened.page.get_by_role("button", name="Upload").click()
    opened.sees("cannot be read as an .npz file")


def test_a_failing_server_is_said_with_its_reason_and_a_way_on(watched: Open, look: Look) -> None:
    opened = watched(look, failing=True)
    opened.page.route("**/models", lambda route: route.abort())
    opened.goto("#models")
    opened.sees("The service does not answer")
    opened.assert_accessible()
    opened.page.unroute("**/models")
    opened.page.get_by_role("button", name="Try again").click()
    row(opened, 1).wait_for()


def test_a_change_that_fails_is_said_with_its_reason(watched: Open) -> None:
    opened = watched(failing=True)
    opened.goto("#models")
    opened.page.route("**/models/current", lambda route: route.fulfill(status=503, json={"detail": "the database does not answer"}))
    row(opened, 2).get_by_role("button", name="Activate").click()
    opened.sees("the database does not answer")
    assert row(opened, 2).get_by_role("button", name="Activate").is_enabled()


def test_a_version_that_was_deleted_elsewhere_goes_from_the_list_when_it_is_asked_for(
    watched: Open, settings: Settings, client: httpx2.Client
) -> None:
    version = add_version(settings, another_model(seed=5, epochs=1))
    opened = watched(failing=True)
    opened.goto("#models")
    row(opened, version).wait_for()
    assert client.delete(f"/models/{version}").status_code == 204
    row(opened, version).get_by_role("button", name="Activate").click()
    opened.page.get_by_role("alert").get_by_text(f"version {version}").wait_for()
    assert row(opened, version).count() == 0
