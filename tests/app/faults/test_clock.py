"""The wall clock is for people: nothing waits, times out or is put in order by it."""

import dataclasses
import re
from pathlib import Path

import pytest

import app
import model_core
from app.settings import Settings
from tests.support.faults import LONG, Weights, assert_same_weights, reach, show, submit, weights_of
from tests.support.parts import absent
from tests.support.service import eventually, free_port, server, wait_for
from tests.support.streams import following

WALL_CLOCK = re.compile(r"time\.time\(|datetime\.now\(|datetime\.utcnow\(|time_ns\(|CLOCK_REALTIME")


@pytest.fixture
def clock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the offset of the wall clock that every process started now lives by."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        absent(request.config, "faketime", "libfaketime is not installed; on Debian: apt-get install faketime")
    offset = tmp_path / "offset"
    offset.write_text("+0")
    settings = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    for name, value in {"LD_PRELOAD": str(library), **settings}.items():
        monkeypatch.setenv(name, value)
    return offset


@pytest.mark.parametrize("offset", ["-1d", pytest.param("+400d", marks=pytest.mark.soak)])
def test_a_clock_that_is_set_hurts_no_job_no_stream_and_no_prediction(
    settings: Settings, tmp_path: Path, clock: Path, undisturbed: Weights, offset: str
) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    with server(settings, tmp_path / "log") as (_, client):
        first = submit(client, LONG)
        reach(client, first, 3)
        with following(client, first) as events:
            clock.write_text(offset)
            epoch = show(client, first)["epoch"]
            assert next(event for event in events if event.kind == "epoch" and event.data["epoch"] > epoch + 20)
            client.delete(f"/train/{first}")
            assert list(events)[-1].kind == "done"
        cancelled = show(client, first)
        assert (cancelled["finished"] < cancelled["started"]) == offset.startswith("-"), "the clock was not set"
        ended = wait_for(client, submit(client), "succeeded")
        assert ended["attempt"] == 1
        assert_same_weights(weights_of(client, ended["version"]), undisturbed)
        assert eventually(lambda: client.get("/readyz").json()["model"]["version"] == 2, seconds=10)
        assert [job["id"] for job in client.get("/train").json()["jobs"]] == [2, 1]


def test_only_what_people_read_is_written_by_the_wall_clock() -> None:
    found = {}
    for package in (app, model_core):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            lines = [line for line in path.read_text().splitlines() if WALL_CLOCK.search(line)]
            if lines:
                found[f"{path.parent.name}/{path.name}"] = len(lines)
    # A row's `created`, a card's `created`.
    assert found == {"store/__init__.py": 1, "jobs/trainer.py": 1, "model_core/__main__.py": 1}
