"""A server is killed, alone or with its trainer, or told to end in the middle of everything."""

import dataclasses
import os
import signal
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from app.settings import Settings
from app.store import jobs
from tests.support.faults import (
    LONG,
    Weights,
    assert_same_weights,
    hold,
    is_gone,
    kill,
    reach,
    show,
    stop_in,
    submit,
    trainer_of,
    weights_of,
)
from tests.support.pictures import encode, grey
from tests.support.service import eventually, free_port, server, store_of, wait_for
from tests.support.streams import Event, following

PNG = encode(grey())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, port=free_port())


def test_a_trainer_whose_server_is_killed_ends_its_job_by_itself(settings: Settings, tmp_path: Path, undisturbed: Weights) -> None:
    with server(settings, tmp_path / "log") as (process, client):
        job = submit(client)
        pid = trainer_of(settings, job)
        kill(process.pid)
        assert not is_gone(pid)
    assert eventually(lambda: is_gone(pid))
    with server(settings, tmp_path / "log") as (_, client):
        ended = show(client, job)
        assert (ended["status"], ended["attempt"], ended["version"]) == ("succeeded", 1, 2)
        assert_same_weights(weights_of(client, 2), undisturbed)
        assert client.get("/readyz").json()["model"]["version"] == 2


def test_a_job_that_was_stopped_as_planned_and_then_killed_with_its_server_resumes_and_ends_with_the_same_weights(
    settings: Settings, tmp_path: Path, undisturbed: Weights
) -> None:
    hold(settings, "training", attempts=2, epochs=2)
    with server(settings, tmp_path / "log") as (process, client):
        job = submit(client)
        reach(client, job, 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with store_of(settings) as store, store.read() as db:
        row = jobs.find(db, job)
        assert row is not None
        assert (row.status, row.failures, row.attempt, row.epoch) == ("queued", 0, 1, 2)
    with server(settings, tmp_path / "log") as (process, client):
        reach(client, job, 4)
        kill(process.pid, trainer_of(settings, job, attempt=2))
    with server(settings, tmp_path / "log") as (_, client):
        with following(client, job) as events:
            told = list(events)
        ended = wait_for(client, job, "succeeded")
        assert ended["attempt"] == 3
        assert_same_weights(weights_of(client, ended["version"]), undisturbed)
        assert epochs_of(told, attempt=3)[0] == epochs_of(told, attempt=2)[0] == 3  # where the checkpoint stands
        assert [record["epoch"] for record in client.get(f"/train/{job}/history").json()["epochs"]] == list(range(1, 9))


def epochs_of(events: list[Event], attempt: int) -> list[int]:
    """The epochs that an attempt did, by what followers were told."""
    found, on = [], 0
    for event in events:
        on = event.data.get("attempt", on)
        if event.kind == "epoch" and on == attempt:
            found.append(event.data["epoch"])
    return found


class HalfSent:
    """A request whose head and first half are with the server."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {len(PNG)}\r\n\r\n"
        self._connection.sendall(head.encode() + PNG[:100])

    def leave(self) -> None:
        """Never send the rest."""
        self._connection.close()

    def finish(self) -> bytes:
        """Send the rest; the answer."""
        self._connection.sendall(PNG[100:])
        with self._connection:
            return b"".join(iter(lambda: self._connection.recv(2**16), b""))


def test_a_server_that_is_told_to_end_answers_what_it_has_begun_and_ends_its_streams(
    settings: Settings, tmp_path: Path, undisturbed: Weights
) -> None:
    heard: list[list[Event]] = []
    hold(settings, "training", epochs=3)
    with server(settings, tmp_path / "log") as (process, client):
        job = submit(client)
        listeners = [threading.Thread(target=listen, args=(settings.port, job, heard)) for _ in range(5)]
        for listener in listeners:
            listener.start()
        reach(client, job, 3)
        requests = [HalfSent(settings.port) for _ in range(20)]
        time.sleep(0.5)  # until the server has read what was sent
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        answers = [request.finish() for request in requests]
        for listener in listeners:
            listener.join(30)
        assert process.wait(30) == 0
        took = time.monotonic() - told
    assert all(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"}") for answer in answers)
    assert len(heard) == 5, "a stream was cut instead of ended"
    assert all(events[0].id == heard[0][0].id and events[-1].kind != "done" for events in heard)
    assert took < 15
    assert "Traceback" not in (tmp_path / "log").read_text()
    with server(settings, tmp_path / "log") as (_, client):
        ended = wait_for(client, job, "succeeded")
        assert ended["attempt"] == 2
        assert_same_weights(weights_of(client, ended["version"]), undisturbed)


def listen(port: int, job: int, heard: list[list[Event]]) -> None:
    """Follow a job to the stream's orderly end."""
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client, following(client, job) as events:
        heard.append(list(events))


def test_a_trainer_that_goes_on_after_its_job_was_taken_over_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    with server(settings, tmp_path / "log") as (process, client):
        job = submit(client, LONG)
        reach(client, job, 3)
        orphan = stop_in(settings, job, "training")  # between two of its transactions
        kill(process.pid)
    with server(settings, tmp_path / "log") as (_, client), following(client, job) as events:
        trainer_of(settings, job, attempt=2)
        taken_over = next(event for event in events if event.data.get("attempt") == 2)
        os.kill(orphan, signal.SIGCONT)
        assert eventually(lambda: is_gone(orphan), seconds=30)
        reach(client, job, 20)
        client.delete(f"/train/{job}")
        told = [event for event in events if event.id > taken_over.id]
        assert {event.data["attempt"] for event in told if event.kind == "status"} == {2}
        epochs = [event.data["epoch"] for event in told if event.kind == "epoch"]
        assert epochs == list(range(1, len(epochs) + 1))
        assert [version["version"] for version in client.get("/models").json()["models"]] == [1]


def test_a_second_ctrl_c_ends_the_server_and_leaves_no_trainer_behind(settings: Settings, tmp_path: Path) -> None:
    with server(settings, tmp_path / "log") as (process, client):
        job = submit(client, LONG)
        reach(client, job, 3)
        trainer = trainer_of(settings, job)
        request = HalfSent(settings.port)  # for which a stop waits
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        request.leave()
        assert eventually(lambda: is_gone(trainer), seconds=10)
    with closing(sqlite3.connect(settings.state_dir / "rookie.db")) as db:
        assert db.execute("SELECT status FROM jobs").fetchall() == [("queued",)]
