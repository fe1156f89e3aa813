"""Train: a job from its form to its end, watched live, over a connection that is lost, beside another one."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from model_core.recipe import FIELDS
from tests.support.browser import Look, Watched
from tests.support.service import wait_for

pytestmark = pytest.mark.browser
Open = Callable[..., Watched]

EPOCHS = 15


@pytest.fixture(autouse=True)
def no_job_stays(client: httpx2.Client) -> Iterator[None]:
    """A test that fails must not leave a job in the way of the next one."""
    yield
    for job in client.get("/train").json()["jobs"]:
        if job["status"] in ("queued", "running"):
            client.delete(f"/train/{job['id']}")


@pytest.fixture(scope="module")
def ended_jobs(address: str) -> list[int]:
    """Two jobs of as many epochs that have run to their end."""
    with httpx2.Client(base_url=address, trust_env=False) as client:
        fields = {"epochs": EPOCHS, "batch_size": 64, "promote": "never"}
        asked = [client.post("/train", json={**fields, "learning_rate": rate}).json()["id"] for rate in (0.0005, 0.002)]
        return [wait_for(client, job, "succeeded")["id"] for job in asked]


def start(opened: Watched, epochs: int) -> None:
    """Fill the form in and send it."""
    page = opened.page
    page.get_by_label("Recipe").wait_for()
    page.get_by_label("When it is done").select_option("never")
    if not page.get_by_label("epochs", exact=True).is_visible():
        page.get_by_text("Change its parameters").click()
    for name, value in {"epochs": epochs, "batch size": 64}.items():
        page.get_by_label(name, exact=True).fill(str(value))
    page.get_by_role("button", name="Start training").click()
    opened.sees("is queued.")


def ended(opened: Watched, how: str = "Done") -> None:
    opened.page.locator(".job [role=status]").filter(has_text=how).wait_for(timeout=60_000)


def rows_are(number: int) -> str:
    """Whether the job's table has that many epochs, as an expression of the page."""
    return f"document.querySelectorAll('.job tbody tr').length === {number}"


def choose(opened: Watched, job: int) -> None:
    """Choose a job from the list."""
    opened.page.get_by_role("button", name=f"Look: job {job}", exact=True).click()
    opened.page.get_by_role("heading", name=f"Job {job}", exact=True).wait_for()


def look_at(opened: Watched, job: int) -> None:
    """Choose a job that has ended, and wait for all of its figures."""
    choose(opened, job)
    opened.until(rows_are(EPOCHS))


def test_a_job_is_started_and_watched_to_its_end(watched: Open) -> None:
    opened = watched(path="#train")
    start(opened, 6)
    ended(opened)
    opened.sees("the request said promote: never")
    opened.page.locator(".jobs tbody tr").first.get_by_role("cell", name="succeeded").wait_for()
    opened.until(rows_are(6))
    opened.until("document.querySelectorAll('.chart .validation').length === 2")


def test_a_job_that_has_ended_shows_its_curves_and_its_numbers(
    watched: Open, ended_jobs: list[int], every_look: Look, screenshots: Path | None
) -> None:
    opened = watched(every_look, path="#train")
    look_at(opened, ended_jobs[1])
    opened.until("document.querySelectorAll('.chart .validation').length === 2")
    opened.keep(screenshots, "train")
    opened.page.get_by_text("The same numbers as a table").click()
    opened.page.get_by_role("region", name="Figures of each epoch").wait_for()
    opened.assert_accessible()


def test_the_form_says_of_each_field_what_the_library_says(watched: Open, look: Look) -> None:
    opened = watched(look, path="#train")
    opened.page.get_by_text("Change its parameters").click()
    for name in FIELDS.keys() - {"name"}:
        opened.sees(FIELDS[name].metadata["help"])
    epochs = opened.page.get_by_label("epochs", exact=True)
    assert (epochs.get_attribute("min"), epochs.get_attribute("max"), epochs.input_value()) == ("1", "2000", "15")
    opened.page.get_by_label("Recipe").select_option("paper")
    assert epochs.input_value() == "500"
    opened.assert_accessible()


def test_a_value_out_of_bounds_is_not_sent(watched: Open) -> None:
    opened = watched(path="#train")
    sent: list[str] = []
    opened.page.on("request", lambda request: sent.append(request.method))
    opened.page.get_by_text("Change its parameters").click()
    opened.page.get_by_label("epochs", exact=True).fill("0")
    opened.page.get_by_role("button", name="Start training").click()
    assert opened.page.evaluate("document.activeElement.id") == "epochs"
    assert "POST" not in sent


def test_the_curves_are_read_by_pointer_and_by_keyboard(watched: Open, ended_jobs: list[int]) -> None:
    opened = watched(path="#train")
    look_at(opened, ended_jobs[0])
    chart, reading = opened.page.locator(".chart svg").nth(1), opened.page.locator(".chart .reading").nth(1)
    chart.scroll_into_view_if_needed()
    box: Any = chart.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 60)
    assert f"Epoch {EPOCHS}: training" in reading.inner_text()
    chart.focus()
    opened.page.keyboard.press("ArrowLeft")
    assert f"Epoch {EPOCHS - 1}: training" in reading.inner_text()
    assert "validation" in reading.inner_text()


def test_a_job_is_seen_as_it_learns_and_is_cancelled(watched: Open, look: Look) -> None:
    opened = watched(look, path="#train")
    start(opened, 2000)
    opened.sees("Training: epoch")
    opened.sees("Time left")
    opened.until("document.querySelector('.chart polyline.validation')?.points.length > 2")
    opened.assert_accessible()
    opened.page.get_by_role("button", name="Cancel this job").click()
    ended(opened, "Cancelled")
    assert not opened.page.get_by_role("button", name="Cancel this job").is_visible()


def test_two_jobs_are_compared_in_one_chart(watched: Open, ended_jobs: list[int], look: Look, screenshots: Path | None) -> None:
    opened = watched(look, path="#train")
    look_at(opened, ended_jobs[1])
    opened.page.get_by_role("button", name=f"Compare: job {ended_jobs[0]}", exact=True).click()
    opened.sees(f"dashed: job {ended_jobs[0]}")
    opened.until("document.querySelectorAll('.chart .line').length === 8")
    assert opened.page.locator(".chart .other").count() == 4
    opened.assert_accessible()
    opened.keep(screenshots, "compare", top=".job")


def test_a_connection_that_is_dropped_comes_back_and_goes_on_after_the_last_event(watched: Open, ended_jobs: list[int]) -> None:
    opened = watched(failing=True)
    asked: list[str | None] = []
    numbers = itertools.count()

    def cut(route: Any) -> None:
        """The first stream ends after two events, the second attempt fails, the third is the real one."""
        asked.append(route.request.headers.get("last-event-id"))
        number = next(numbers)
        if number == 0:
            whole = route.fetch().text()
            route.fulfill(body=whole[: whole.index("\n\n", whole.index("event: epoch")) + 2], content_type="text/event-stream")
        elif number == 1:
            route.abort()
        else:
            route.continue_()

    opened.goto("#train")
    opened.page.route(f"**/train/{ended_jobs[0]}/events", cut)
    choose(opened, ended_jobs[0])
    opened.sees("The connection is lost. It comes back by itself.")
    opened.until(rows_are(EPOCHS))
    assert asked[0] is None
    assert asked[1] == asked[2]
    assert int(asked[1] or 0) > 0
    assert not opened.page.get_by_text("The connection is lost").is_visible()


def test_a_failing_server_is_said_with_its_reason_and_a_way_on(watched: Open, look: Look) -> None:
    opened = watched(look, failing=True)
    opened.page.route("**/train", lambda route: route.fulfill(status=503, json={"detail": "the database does not answer"}))
    opened.goto("#train")
    opened.sees("the database does not answer")
    opened.page.get_by_role("button", name="Start training").click()
    opened.page.locator(".recipe").get_by_text("the database does not answer").wait_for()
    opened.assert_accessible()
    opened.page.unroute("**/train")
    opened.page.get_by_role("button", name="Try again").first.click()
    opened.page.locator(".jobs").get_by_text("None yet.").or_(opened.page.locator(".jobs tbody tr").first).wait_for()
