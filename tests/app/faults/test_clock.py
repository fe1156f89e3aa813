"""The wall clock is for people: nothing waits, times out or is put in order by it."""

import dataclasses
import re
from pathlib import Path

import pytest

import app
import model_core
from app.settings import Settings
from tests.support.faults import LONG, Weights, assert_same_weights, reach, show, submit, weights_of
from tests.support.service import eventually, free_port, server, wait_for
from tests.support.streams import following

WALL_CLOCK = re.compile(r"time\.time\(|datetime\.now\(|datetime\.utcnow\(|time_ns\(|CLOCK_REALTIME")


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says by how many seconds the wall clock of every process started now is off."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support" / "clock"))
    monkeypatch.setenv("CLOCK_OFFSET_FILE", str(offset))
    return offset


@pytest.mark.parametrize("days", [-1, 400])
def test_a_clock_that_is_set_hurts_no_job_no_stream_and_no_prediction(
    settings: Settings, tmp_path: Path, clock: Path, undisturbed: Weights, days: int
) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    with server(settings, tmp_path / "log") as (_, client):
        first = submit(client, LONG)
        reach(client, first, 3)
        with following(client, first) as events:
            set_by(clock, days)
            epoch = show(client, first)["epoch"]
            assert next(event for event in events if event.kind == "epoch" and event.data["epoch"] > epoch + 20)
            client.delete(f"/train/{first}")
            assert list(events)[-1].kind == "done"
        cancelled = show(client, first)
        assert (cancelled["finished"] < cancelled["started"]) == (days < 0)
        ended = wait_for(client, submit(client), "succeeded")
        assert ended["attempt"] == 1
        assert_same_weights(weights_of(client, ended["version"]), undisturbed)
        assert eventually(lambda: client.get("/readyz").json()["model"]["version"] == 2, seconds=10)
        assert [job["id"] for job in client.get("/train").json()["jobs"]] == [2, 1]


def set_by(clock: Path, days: int) -> None:
    """Set the clock, at once: half a file would be no number."""
    new = clock.with_name("new")
    new.write_text(str(days * 24 * 3600))
    new.replace(clock)


def test_only_what_people_read_is_written_by_the_wall_clock() -> None:
    found = {}
    for package in (app, model_core):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            lines = [line for line in path.read_text().splitlines() if WALL_CLOCK.search(line)]
            if lines:
                found[f"{path.parent.name}/{path.name}"] = len(lines)
    # A row's `created`, a card's `created`.
    assert found == {"store/__init__.py": 1, "jobs/trainer.py": 1, "model_core/run.py": 1}
