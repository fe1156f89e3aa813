"""Training jobs over HTTP, with real trainer processes."""

import dataclasses
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from app.store.attempts import MOST_FAILURES
from model_core.recipe import FIELDS
from tests.support.pictures import encode, grey
from tests.support.service import ENDED, client_of, eventually, wait_for

SHORT = {"epochs": 3, "hidden": [16, 9], "batch_size": 64, "promote": "always"}
LONG = {**SHORT, "epochs": 2000}
PNG = encode(grey())


def submit(client: TestClient, **request: Any) -> int:
    answer = client.post("/train", json=request)
    assert answer.status_code == 202, answer.text
    number: int = answer.json()["id"]
    return number


def predicted_by(client: TestClient) -> int:
    """The version that answers a prediction."""
    answer = client.post("/predict", content=PNG, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200
    version: int = answer.json()["model"]["version"]
    return version


@pytest.fixture
def started(caplog: pytest.LogCaptureFixture) -> "Started":
    """What the dispatcher's log says of the trainers that it started."""
    caplog.set_level(logging.INFO, "rookie.jobs")
    return Started(caplog)


class Started:
    """The trainer processes, found in the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def pid(self, job: int, attempt: int = 1) -> int:
        """The process of that attempt, once it is there."""
        assert eventually(lambda: (job, attempt) in self._all()), f"job {job} has no attempt {attempt}"
        return self._all()[job, attempt]

    def _all(self) -> dict[tuple[int, int], int]:
        starts = [record.args for record in self._caplog.records if "is process" in str(record.msg)]
        return {(args[0], args[1]): args[2] for args in starts if isinstance(args, tuple)}  # type: ignore[misc]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_job_lives_from_queued_to_serving_without_a_restart(own_client: TestClient) -> None:
    client, seen = own_client, []
    job = submit(client, **{**SHORT, "epochs": 60, "seed": 5})

    def is_over() -> bool:
        seen.append(client.get(f"/train/{job}").json())
        assert predicted_by(client) in (1, 2)
        return seen[-1]["status"] in ENDED

    assert eventually(is_over)
    last = seen[-1]
    assert last["status"] == "succeeded", last
    order = ["queued", "running", "succeeded"]
    assert [each["status"] for each in seen] == sorted((each["status"] for each in seen), key=order.index)
    assert any(each["stage"] == "training" for each in seen)
    for figure in ("progress", "epoch", "attempt"):
        assert [each[figure] for each in seen] == sorted(each[figure] for each in seen)
    assert (last["progress"], last["epoch"], last["epochs"], last["stage"], last["error"]) == (1, 60, 60, None, None)
    assert last["recipe"].keys() == FIELDS.keys()
    assert last["created"] < last["started"] < last["finished"]
    assert {"train_loss", "validation_accuracy", "test_accuracy"} <= last["metrics"].keys()
    history = client.get(f"/train/{job}/history").json()["epochs"]
    assert [record["epoch"] for record in history] == list(range(1, 61))
    assert history[-1].items() <= last["metrics"].items()
    assert (last["version"], last["promotion"]["promoted"]) == (2, True)
    assert eventually(lambda: predicted_by(client) == 2)
    assert all(client.get(link).status_code == 200 for link in last["links"].values())
    version = client.get("/models/current").json()
    assert (version["version"], version["source"], version["job"]) == (2, "trained", job)
    assert version["card"]["recipe"] == last["recipe"]


def assert_tells_how_far_it_is(client: TestClient, job: int) -> None:
    shown = client.get(f"/train/{job}").json()
    assert (shown["status"], shown["stage"], shown["finished"], shown["version"]) == ("running", "training", None, None)
    assert 0 < shown["progress"] < 1
    assert shown["eta_seconds"] > 0
    assert shown["metrics"]["train_accuracy"] > 0
    assert client.get(f"/train/{job}/history").json()["epochs"]


def test_a_second_job_waits_for_the_first_and_runs_when_that_is_cancelled(own_client: TestClient, started: Started) -> None:
    first, second, third = submit(own_client, **LONG), submit(own_client, **SHORT), submit(own_client, **SHORT)
    pid = started.pid(first)
    assert eventually(lambda: own_client.get(f"/train/{first}").json()["epoch"] > 1)
    assert_tells_how_far_it_is(own_client, first)
    assert [own_client.get(f"/train/{job}").json()["status"] for job in (second, third)] == ["queued", "queued"]
    assert [job["id"] for job in own_client.get("/train").json()["jobs"]] == [third, second, first]

    for job in (third, first):
        answer = own_client.delete(f"/train/{job}")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
        assert answer.json()["finished"]
        again = own_client.delete(f"/train/{job}")
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert eventually(lambda: is_gone(pid), seconds=10)
    assert predicted_by(own_client) == 1

    wait_for(own_client, second, "succeeded")
    assert own_client.delete(f"/train/{second}").status_code == 409
    assert [own_client.get(f"/train/{job}").json()["status"] for job in (first, third)] == ["cancelled", "cancelled"]
    assert [version["job"] for version in own_client.get("/models").json()["models"]] == [second, None]


@pytest.mark.parametrize(
    "path", ["/train/99", "/train/99/history", "/train/0", "/train/-1", "/train/first", f"/train/{2**31}", f"/train/{10**30}"]
)
def test_a_job_that_there_is_not_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
    if "history" not in path:
        assert client.delete(path).status_code == 404


def test_a_job_whose_trainer_is_killed_is_done_by_another(own_client: TestClient, started: Started) -> None:
    job = submit(own_client, **SHORT)
    os.kill(started.pid(job), signal.SIGKILL)
    assert wait_for(own_client, job, "succeeded")["attempt"] == 2
    assert eventually(lambda: predicted_by(own_client) == 2)


def test_a_job_whose_trainers_are_killed_again_and_again_fails_with_the_reason(own_client: TestClient, started: Started) -> None:
    job = submit(own_client, **LONG)
    for attempt in range(1, MOST_FAILURES + 1):
        os.kill(started.pid(job, attempt), signal.SIGKILL)
    ended = wait_for(own_client, job, "failed")
    assert (ended["attempt"], ended["error"]["code"], ended["stage"]) == (MOST_FAILURES, "trainer-died", None)
    assert "SIGKILL" in ended["error"]["detail"]
    assert predicted_by(own_client) == 1


def test_a_trainer_that_hangs_is_replaced(own_client: TestClient, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit(own_client, **LONG)
    assert eventually(lambda: own_client.get(f"/train/{job}").json()["epoch"] > 0)
    pid = started.pid(job)
    monkeypatch.setattr("app.jobs.dispatch.SILENCE_SECONDS", 0.6)
    os.kill(pid, signal.SIGSTOP)
    started.pid(job, 2)
    monkeypatch.undo()
    assert eventually(lambda: is_gone(pid))


def test_a_training_that_diverges_ends_with_the_epoch_the_step_and_what_to_lower(own_client: TestClient) -> None:
    job = submit(own_client, **{**SHORT, "epochs": 50, "learning_rate": 10, "momentum": 0.999})
    error = wait_for(own_client, job, "failed")["error"]
    assert (error["code"], error["status"]) == ("diverged", 500)
    assert all(word in error["detail"] for word in ("epoch", "step", "lower learning_rate"))
    assert own_client.get(f"/train/{job}").json()["attempt"] == 1
    assert predicted_by(own_client) == 1


def test_a_dataset_that_is_nowhere_fails_the_job_with_the_way_out(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):  # so that nothing is fetched on a machine that could
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with client_of(dataclasses.replace(settings, data_dir=tmp_path / "empty")) as client:
        error = wait_for(client, submit(client, **SHORT), "failed")["error"]
        assert error["code"] == "data"
        assert "could not be fetched" in error["detail"]
        assert str(tmp_path / "empty") in error["detail"]
        assert predicted_by(client) == 1


def test_a_service_without_slots_only_queues(client: TestClient) -> None:
    job = submit(client, **SHORT)
    assert not eventually(lambda: client.get(f"/train/{job}").json()["status"] != "queued", seconds=0.6)
    assert client.delete(f"/train/{job}").json()["status"] == "cancelled"


def test_a_service_that_stops_gives_its_jobs_back_and_the_next_one_goes_on(settings: Settings) -> None:
    with client_of(settings) as client:
        job = submit(client, **LONG)
        assert eventually(lambda: client.get(f"/train/{job}").json()["epoch"] > 3)
    with client_of(dataclasses.replace(settings, training_slots=0)) as client:
        waiting = client.get(f"/train/{job}").json()
        assert (waiting["status"], waiting["attempt"]) == ("queued", 1)
    with client_of(settings) as client:
        assert eventually(lambda: client.get(f"/train/{job}").json()["epoch"] > waiting["epoch"])
        epochs = [record["epoch"] for record in client.get(f"/train/{job}/history").json()["epochs"]]
        assert epochs == list(range(1, len(epochs) + 1))
