"""A database that is locked or full, and a checkpoint that is damaged in it."""

import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.settings import Settings
from app.store import MOST_CHANGES, StoreError, schema
from app.store.attempts import MOST_FAILURES
from app.store.backup import back_up
from tests.support.faults import (
    RECIPE,
    Client,
    Weights,
    assert_same_weights,
    hold,
    is_gone,
    locked,
    reach,
    release,
    show,
    stop_in,
    submit,
    weights_of,
)
from tests.support.parts import absent
from tests.support.pictures import encode, grey
from tests.support.service import client_of, environ_of, eventually, free_port, server, start_process, store_of, wait_for

PNG = encode(grey())
LOCKED_SECONDS = 3
DISK_BYTES = 48 * 2**20


def predict(client: Client) -> tuple[int, float]:
    """Post a picture: the version that answered, and the seconds that it took."""
    began = time.perf_counter()
    answer = client.post("/predict", content=PNG, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200
    return answer.json()["model"]["version"], time.perf_counter() - began


def test_a_database_that_is_locked_hurts_no_prediction_and_no_job(own_client: TestClient, settings: Settings, undisturbed: Weights) -> None:
    hold(settings, "evaluating")
    job = submit(own_client)
    reach(own_client, job, 1)
    with locked(settings):
        until = time.monotonic() + LOCKED_SECONDS
        seconds = []
        while time.monotonic() < until:
            seconds.append(predict(own_client)[1])
        assert own_client.get("/readyz").status_code == 200
        assert show(own_client, job)["status"] == "running"
    assert len(seconds) > 20
    assert max(seconds) < LOCKED_SECONDS / 2  # none waited for the lock
    release(settings, "evaluating")
    ended = wait_for(own_client, job, "succeeded")
    assert ended["attempt"] == 1
    assert_same_weights(weights_of(own_client, 2), undisturbed)


def test_a_change_that_waits_too_long_for_a_locked_database_is_told_when_to_come_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.BUSY_SECONDS", 0.1)
    with client_of(settings) as client:
        with locked(settings):
            answer = client.post("/train", json=RECIPE)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            assert client.get("/models").status_code == 200
        assert client.delete(f"/train/{submit(client)}").status_code == 202


def test_a_crowd_of_changes_that_wait_for_a_locked_database_keeps_nobody_from_reading(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.BUSY_SECONDS", 60)
    settings = dataclasses.replace(settings, database_url=database_url)
    with client_of(settings) as client, store_of(settings) as store, ThreadPoolExecutor(60) as crowd:
        with store.write():
            changes = [crowd.submit(client.put, "/models/current", json={"version": 1}) for _ in range(60)]
            assert eventually(lambda: sum(change.done() for change in changes) == 60 - MOST_CHANGES)
            for path in ("/", "/static/css/base.css", "/models", "/train", "/recipes", "/metrics", "/weights/w3.png", "/readyz"):
                assert client.get(path).status_code == 200
            predict(client)
            assert client.post("/explain", content=PNG, headers={"Content-Type": "image/png"}).status_code == 200
            assert sum(change.done() for change in changes) == 60 - MOST_CHANGES  # the others wait on
        answers = [change.result() for change in changes]
    assert sorted(answer.status_code for answer in answers) == [200] * MOST_CHANGES + [503] * (60 - MOST_CHANGES)
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 503)


@pytest.mark.parametrize("part", ["head", "meta", "activations"])
def test_a_damaged_database_file_is_503_for_who_needs_it_and_predictions_go_on(settings: Settings, tmp_path: Path, part: str) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    with server(settings, tmp_path / "log") as (_, client):
        assert client.get("/models").status_code == 200
        damage(settings, part)
        for method, path in (("GET", "/models"), ("GET", "/models/1/card.md"), ("GET", "/train"), ("GET", "/metrics"), ("POST", "/train")):
            answer = client.request(method, path)
            assert answer.status_code in (200, 202, 503), answer.text
        assert client.put("/models/current", json={"version": 1}).status_code == (200 if part == "meta" else 503)
        predict(client)
    assert "Traceback" not in (tmp_path / "log").read_text()
    with (tmp_path / "log").open("wb") as output:
        assert start_process(environ_of(settings), output).wait(60) == 1
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("rookie: the database ")


def test_a_database_file_that_is_removed_or_replaced_is_503_until_the_next_start_and_predictions_go_on(
    settings: Settings, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    hold(settings, "training")
    path, copy = settings.state_dir / "rookie.db", tmp_path / "copy.db"
    with server(settings, tmp_path / "log") as (process, client):
        job = submit(client)
        stop_in(settings, job, "training")
        with closing(sqlite3.connect(path)) as db:
            db.execute("VACUUM INTO ?", [str(copy)])
        for file in settings.state_dir.glob("rookie.db*"):
            file.unlink()
        for replaced in (False, True):
            if replaced:
                shutil.copy(copy, path)
            answers = [client.get("/train"), client.post("/train", json=RECIPE), client.put("/models/current", json={"version": 1})]
            assert [(answer.status_code, "Retry-After" in answer.headers) for answer in answers] == [(503, True)] * 3
            predict(client)
        assert eventually(lambda: client.get("/readyz").status_code == 503)
        predict(client)
        process.terminate()
        assert process.wait(60) in (0, 1)
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "rookie.db was removed or replaced" in log
    release(settings, "training")
    with server(settings, tmp_path / "log") as (_, client):
        wait_for(client, job, "succeeded")


def damage(settings: Settings, part: str) -> None:
    """Overwrite the SQLite file's head, or a table's first page, as a failing disk may."""
    path = settings.state_dir / "rookie.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [part]).fetchone()
        (page,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek(page * (found[0] - 1) if found else 0)
        file.write(np.random.default_rng(0).bytes(page))


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        absent(request.config, "tmpfs", "mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Write until nothing more goes in; the file that did it."""
    path = folder / "filler"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(2**16)):
            pass
    assert shutil.disk_usage(folder).free == 0
    return path


def test_a_disk_that_is_full_when_a_model_is_published_leaves_the_old_one_serving(
    settings: Settings, small_disk: Path, undisturbed: Weights
) -> None:
    settings = dataclasses.replace(settings, state_dir=small_disk / "state")
    hold(settings, "publishing")
    with client_of(settings) as client:
        job = submit(client)
        pid = stop_in(settings, job, "publishing")
        filler = fill(small_disk)
        os.kill(pid, signal.SIGCONT)
        assert eventually(lambda: is_gone(pid) and predict(client)[0] == 1)
        assert client.get("/readyz").status_code == 200
        refused = client.put("/models/current", json={"version": 1})
        assert refused.status_code in (200, 503)
        filler.unlink()
        ended = wait_for(client, job, "succeeded", "failed")
        assert ended["attempt"] > 1
        if ended["status"] == "failed":
            assert (ended["error"]["code"], "full" in ended["error"]["detail"]) == ("database", True)
        else:
            assert_same_weights(weights_of(client, ended["version"]), undisturbed)
        again = wait_for(client, submit(client), "succeeded")
        assert client.get("/models/current").json()["version"] == again["version"]
    assert_consistent(settings)


def assert_consistent(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.state_dir / "rookie.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_job_whose_disk_stays_full_fails_with_the_reason(settings: Settings, small_disk: Path) -> None:
    settings = dataclasses.replace(settings, state_dir=small_disk / "state")
    hold(settings, "publishing", attempts=MOST_FAILURES)
    with client_of(settings) as client:
        job = submit(client)
        for turn in range(1, MOST_FAILURES + 1):
            pid = stop_in(settings, job, "publishing", attempt=turn)
            filler = fill(small_disk)
            with filler.open("r+b") as file:  # the weights of the model have 4 MB
                file.truncate(filler.stat().st_size - 2**19)
            os.kill(pid, signal.SIGCONT)
            assert eventually(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
            filler.unlink()
        ended = wait_for(client, job, "failed")
        assert (ended["error"]["code"], ended["version"]) == ("database", None)
        assert "full" in ended["error"]["detail"]
        assert client.get("/models/current").json()["version"] == 1
    assert_consistent(settings)


@pytest.mark.parametrize("damage", ["a bit", "cut short", "empty"])
def test_a_damaged_checkpoint_costs_time_and_no_weights(settings: Settings, undisturbed: Weights, damage: str) -> None:
    hold(settings, "evaluating")
    with client_of(settings) as client:
        job = submit(client)
        reach(client, job, 2)
    with store_of(settings) as store, store.write() as db:
        content = db.scalars(sa.select(schema.checkpoints.c.content)).one()
        damaged = {"a bit": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "cut short": content[:-1], "empty": b""}[damage]
        db.execute(schema.checkpoints.update().values(content=damaged))
    with client_of(settings) as client:
        ended = wait_for(client, job, "succeeded")
        assert_same_weights(weights_of(client, ended["version"]), undisturbed)
        history = client.get(f"/train/{job}/history").json()["epochs"]
        assert [record["epoch"] for record in history] == list(range(1, RECIPE["epochs"] + 1))


@pytest.mark.parametrize("room", [share / 8 for share in range(1, 13)])
def test_a_backup_for_which_there_is_not_enough_room_is_refused_and_not_half_written(
    settings: Settings, small_disk: Path, room: float
) -> None:
    with client_of(settings), store_of(settings) as store:
        needed = sum(path.stat().st_size for path in settings.state_dir.glob("rookie.db*"))
        filler = fill(small_disk)
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - int(room * needed))
        copy = small_disk / "copy.db"
        try:
            rows = back_up(store, copy)
        except StoreError:
            assert list(small_disk.iterdir()) == [filler]
            return
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("SELECT count(*) FROM models").fetchall() == [(1,)]
        assert rows > 1
        assert set(small_disk.iterdir()) == {filler, copy}
