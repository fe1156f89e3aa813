"""Start and stop: what an empty or a used database begins with, what stops the start-up, how a server ends."""

import dataclasses
import json
import logging
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config

import model_core
from app import workers
from app.__main__ import main
from app.main import open_store
from app.settings import Settings
from app.store import attempts, jobs, models, schema
from model_core.errors import ArtifactFormatError
from tests.support import tiny
from tests.support.service import (
    activate,
    add_damaged_version,
    add_version,
    client_of,
    environ_of,
    eventually,
    free_port,
    server,
    start_process,
    store_of,
)

OTHER = dataclasses.replace(tiny.RECIPE, epochs=1, seed=2)


def versions(settings: Settings) -> tuple[list[int], int | None]:
    """The versions in the database, and the current one."""
    with store_of(settings) as store, store.read() as db:
        return [row.version for row in models.newest_first(db)], models.current_version(db)


def test_an_empty_database_gets_the_shipped_model(settings: Settings) -> None:
    open_store(settings).close()
    assert versions(settings) == ([1], 1)


def test_a_second_start_finds_the_shipped_model_there(settings: Settings) -> None:
    for _ in range(2):
        open_store(settings).close()
    assert versions(settings) == ([1], 1)


def test_a_new_shipped_model_is_kept_and_does_not_serve_by_itself(settings: Settings, tmp_path: Path) -> None:
    open_store(settings).close()
    newer = dataclasses.replace(settings, model=tmp_path / "newer.npz")
    model_core.save(tiny.model(OTHER), newer.model)
    open_store(newer).close()
    assert versions(settings) == ([2, 1], 1)


def test_a_shipped_model_that_was_removed_stays_away_unless_nothing_else_can_serve(settings: Settings) -> None:
    open_store(settings).close()
    version = add_version(settings, tiny.model(OTHER))
    activate(settings, version)
    with store_of(settings) as store, store.write() as db:
        models.remove(db, 1)
    open_store(settings).close()
    assert versions(settings) == ([version], version)
    with store_of(settings) as store, store.write() as db:
        models.remove(db, version)
    open_store(settings).close()
    assert versions(settings) == ([3], 3)


@pytest.mark.parametrize("damage", ["damaged", "missing", "a folder"])
def test_without_a_good_shipped_model_the_current_one_serves_and_a_warning_says_so(
    settings: Settings, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_store(settings).close()
    damaged = dataclasses.replace(settings, model=spoiled(tmp_path, damage))
    with caplog.at_level(logging.WARNING, "rookie"), client_of(damaged) as client:
        assert client.get("/readyz").json()["model"]["version"] == 1
    assert any(str(damaged.model) in text and "current model serves" in text for text in caplog.messages)


def test_a_damaged_model_in_an_empty_database_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ArtifactFormatError):
        open_store(dataclasses.replace(settings, model=spoiled(tmp_path, "damaged")))


def test_a_current_version_that_cannot_be_loaded_gives_way_to_the_newest_before_it_that_can(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    open_store(settings).close()
    good, *damaged = add_version(settings, tiny.model(OTHER)), add_damaged_version(settings), add_damaged_version(settings)
    activate(settings, good, *damaged)
    with client_of(settings) as client:
        assert client.get("/readyz").json()["model"]["version"] == good
        listed = client.get("/models").json()
    assert (listed["current"], listed["previous"]) == (good, 1)
    assert [f"version {good} serves" in text for text in caplog.messages if "cannot be read" in text] == [True]


ODD_ROWS = {
    "a card that is no JSON": "UPDATE models SET card = '{' WHERE version = 2",
    "a card of endless brackets": f"UPDATE models SET card = '{'[' * 100_000}' WHERE version = 2",
    "a version that is not there": "DELETE FROM models WHERE version = 2",
}


@pytest.mark.parametrize("name", ODD_ROWS)
@pytest.mark.parametrize("when", ["before", "while"])
def test_a_current_version_whose_row_is_damaged_or_missing_is_withdrawn(settings: Settings, name: str, when: str) -> None:
    def damage() -> None:
        assert add_version(settings, tiny.model(OTHER)) == 2
        with closing(sqlite3.connect(settings.state_dir / "rookie.db")) as db, db:
            db.execute(ODD_ROWS[name])
            db.execute("INSERT INTO activations (version, activated, reason) VALUES (2, 'now', 'a test')")

    open_store(settings).close()
    if when == "before":
        damage()
    with client_of(settings) as client:
        if when == "while":
            damage()
        assert eventually(lambda: client.get("/models").json()["current"] == 1)
        assert client.get("/readyz").json()["model"]["version"] == 1
        assert client.get("/models/2").status_code in (404, 503)
        assert client.put("/models/current", json={"version": 2}).status_code in (404, 503)


def test_several_workers_start_beside_a_damaged_current_version_and_say_so_in_one_line(settings: Settings, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings, workers=2, port=free_port())
    open_store(settings).close()
    activate(settings, add_damaged_version(settings))
    with server(settings, tmp_path / "log") as (_, client):
        assert client.get("/models/current").json()["version"] == 1
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["level"] for line in lines if "version 1 serves" in line.get("message", "")] == ["error"]


def test_without_a_version_before_it_the_shipped_model_serves(settings: Settings) -> None:
    damaged = add_damaged_version(settings)
    activate(settings, damaged)
    with client_of(settings) as client:
        assert client.get("/readyz").json()["model"]["version"] == client.get("/models/current").json()["version"] == damaged + 1


def test_a_damaged_row_of_the_shipped_model_gives_way_to_its_file(settings: Settings) -> None:
    open_store(settings).close()
    with store_of(settings) as store, store.write() as db:
        db.execute(schema.models.update().values(weights=b"PK damaged"))
    for _ in range(2):
        open_store(settings).close()
        assert versions(settings) == ([2, 1], 2)


def test_without_a_shipped_model_either_any_version_serves_that_can_be_loaded(settings: Settings, tmp_path: Path) -> None:
    good, damaged = add_version(settings, tiny.model()), add_damaged_version(settings)
    activate(settings, damaged)
    with client_of(dataclasses.replace(settings, model=spoiled(tmp_path, "missing"))) as client:
        assert client.get("/readyz").json()["model"]["version"] == client.get("/models/current").json()["version"] == good


def test_where_nothing_can_be_loaded_the_start_stops_and_the_database_stays_as_it_is(settings: Settings, tmp_path: Path) -> None:
    damaged = add_damaged_version(settings)
    activate(settings, damaged)
    with pytest.raises(ArtifactFormatError):
        open_store(dataclasses.replace(settings, model=spoiled(tmp_path, "damaged")))
    assert versions(settings) == ([damaged], damaged)


ODD_CARDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no metrics": lambda card: {name: value for name, value in card.items() if name != "metrics"},
    "nothing but the classes": lambda card: {"classes": card["classes"]},
    "a recipe of another program": lambda card: {**card, "recipe": {"x": 1}},
    "a word for an accuracy": lambda card: {**card, "metrics": {**card["metrics"], "test_accuracy": "abc"}},
}


@pytest.mark.parametrize("name", ODD_CARDS)
def test_a_shipped_model_whose_card_cannot_be_used_is_like_a_damaged_one(settings: Settings, tmp_path: Path, name: str) -> None:
    whole = tiny.model(OTHER)
    odd = dataclasses.replace(settings, model=tmp_path / "odd.npz")
    model_core.save(dataclasses.replace(whole, card=ODD_CARDS[name](whole.card)), odd.model)
    with pytest.raises(ArtifactFormatError, match=r"odd\.npz has a card that cannot be used"):
        open_store(odd)
    open_store(settings).close()
    open_store(odd).close()
    assert versions(settings) == ([1], 1)


def spoiled(folder: Path, damage: str) -> Path:
    """The path of a weights file that cannot be used."""
    path = folder / "spoiled.npz"
    if damage == "damaged":
        path.write_bytes(b"PK damaged")
    elif damage == "a folder":
        path.mkdir()
    return path


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ROOKIE_MODEL", "{folder}/spoiled.npz", "spoiled.npz"),
        ("ROOKIE_PORT", "{port}", "set ROOKIE_PORT to a free one"),
        ("ROOKIE_PRT", "80", "ROOKIE_PRT is not a setting"),
        ("ROOKIE_WORKERS", "many", "ROOKIE_WORKERS is 'many'"),
        ("ROOKIE_STATE_DIR", "{folder}/spoiled.npz/state", "ROOKIE_STATE_DIR"),
        ("ROOKIE_DATABASE_URL", "postgresql+psycopg://127.0.0.1:1/rookie", "ROOKIE_DATABASE_URL"),
        ("ROOKIE_HOST", "0.0.0.0", "ROOKIE_TOKEN"),  # noqa: S104 (it is refused)
        ("ROOKIE_HOST", "nowhere.invalid", "cannot listen"),
        ("ROOKIE_HOST", "\u00fc..invalid", "cannot listen"),
        ("ROOKIE_DATABASE_URL", "sqlite:///{folder}/%00", "null"),
    ],
)
def test_what_stops_the_start_is_said_in_one_line(
    settings: Settings, tmp_path: Path, taken_port: int, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    spoiled(tmp_path, "damaged")
    monkeypatch.setenv("ROOKIE_PUBLISHED_ON_LOOPBACK", "1" if "invalid" in value else "0")
    environ = {**environ_of(settings), "ROOKIE_PORT": str(free_port()), name: value.format(folder=tmp_path, port=taken_port)}
    for each, text in environ.items():
        monkeypatch.setenv(each, text)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it starts"))
    with pytest.raises(SystemExit) as end:
        main()
    assert str(end.value.code).startswith("rookie: ")
    assert "\n" not in str(end.value.code)
    assert words in str(end.value.code)


@pytest.fixture
def few_open_files() -> Iterator[int]:
    """The lower limit of open files, which a process may raise, as low as on some systems; it is the higher one."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, usual[1]))
    yield usual[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def start(settings: Settings, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Settings], None]) -> None:
    """The start, up to where it would `serve`."""
    for name, text in {**environ_of(settings), "ROOKIE_PORT": str(free_port())}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("app.__main__._serve", serve)
    main()


def test_the_start_raises_the_limit_of_open_files_to_what_the_connections_need(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, few_open_files: int
) -> None:
    seen: list[tuple[int, int]] = []
    start(settings, monkeypatch, lambda _: seen.append(resource.getrlimit(resource.RLIMIT_NOFILE)))
    ((soft, hard),) = seen
    assert soft >= min(settings.connections + 2048, hard)
    assert hard == few_open_files


def test_a_start_that_may_not_open_enough_files_is_refused_with_both_numbers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with pytest.raises(SystemExit, match=r"ROOKIE_CONNECTIONS is 512.* 832 open files, and it may have 256; .*ulimit -n"):
        start(settings, monkeypatch, lambda _: pytest.fail("it starts"))


def test_a_start_that_fails_ends_with_code_1_and_that_line(settings: Settings, tmp_path: Path) -> None:
    broken = dataclasses.replace(settings, model=spoiled(tmp_path, "damaged"), port=free_port())
    with (tmp_path / "log").open("wb") as output:
        process = start_process(environ_of(broken), output)
    assert process.wait(60) == 1
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith(f"rookie: {broken.model} ")


def test_of_two_services_that_have_bound_one_port_the_second_to_listen_is_refused() -> None:
    config = Config("app.workers:create_app", port=free_port())
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((config.host, config.port))
        assert workers._listening(config, lambda _: first) is first
        with pytest.raises(SystemExit, match=f"cannot listen on 127.0.0.1 port {config.port} .*; set ROOKIE_PORT"):
            workers._listening(config, lambda _: second)


def test_arguments_start_nothing(settings: Settings) -> None:
    command = [sys.executable, "-m", "app", "--help"]
    done = subprocess.run(command, env=environ_of(settings), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "takes no arguments; settings come from the environment" in done.stderr


def test_a_server_that_is_told_to_end_gives_its_job_back_and_leaves_with_code_0(settings: Settings, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    log = tmp_path / "log"
    with server(settings, log) as (process, client):
        job = client.post("/train", json={"epochs": 2000, "hidden": [16, 9], "batch_size": 64}).json()["id"]
        assert eventually(lambda: client.get(f"/train/{job}").json()["epoch"] > 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    with store_of(settings) as store, store.read() as db:
        row = jobs.find(db, job)
        assert row is not None
        assert (row.status, row.failures) == ("queued", 0)
        assert attempts.load_checkpoint(db, job) is not None
