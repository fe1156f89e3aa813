"""The service as a test meets it: an application in this process, or a process of its own on a free port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import httpx2
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import FIELDS, Settings
from app.store import Store, models
from model_core import Model, artifact
from tests.support import tiny

BASE_URL = "http://127.0.0.1"
PATIENCE_SECONDS = 60.0  # machines can be busy; nothing here waits this long unless it is broken
ENDED = ("succeeded", "failed", "cancelled")


@contextmanager
def client_of(settings: Settings, **options: Any) -> Iterator[TestClient]:
    """The started application behind a client in this process."""
    with TestClient(create_app(settings), base_url=BASE_URL, **options) as client:
        yield client


@contextmanager
def store_of(settings: Settings) -> Iterator[Store]:
    """The database that a service with those settings uses."""
    with closing(Store(settings.store_url)) as store:
        store.prepare()
        yield store


def add_version(settings: Settings, model: Model) -> int:
    """Put a model beside those that the database has; its version."""
    with store_of(settings) as store, store.write() as db:
        return models.add(db, model, artifact.to_bytes(model), "uploaded")


def add_damaged_version(settings: Settings) -> int:
    """Put a version there whose file cannot be loaded; its number."""
    with store_of(settings) as store, store.write() as db:
        return models.add(db, tiny.model(), b"PK damaged", "trained")


def activate(settings: Settings, *versions: int) -> None:
    """Let versions serve, one after the other, without a look at what they are."""
    with store_of(settings) as store, store.write() as db:
        for version in versions:
            models.activate(db, version, "a test")


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return artifact.sha256(path.read_bytes())


def eventually(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS, pause: float = 0.02) -> bool:
    """Whether it becomes so within `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def wait_for(client: TestClient | httpx2.Client, job: int, *statuses: str) -> dict[str, Any]:
    """The job, once it has one of `statuses`; it fails the test where the job ends otherwise."""
    found: dict[str, Any] = {}

    def is_there() -> bool:
        found.update(client.get(f"/train/{job}").json())
        return found["status"] in (*statuses, *ENDED)

    assert eventually(is_there), found
    assert found["status"] in statuses, found
    return found


def environ_of(settings: Settings) -> dict[str, str]:
    """An environment that asks for those settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOKIE_")}
    ours = {name: getattr(settings, field.name) for name, field in FIELDS.items() if getattr(settings, field.name) != field.default}
    shown = {
        name: ",".join(value) if isinstance(value, tuple) else str(int(value) if value is True else value) for name, value in ours.items()
    }
    return {**kept, "OPENBLAS_NUM_THREADS": "1", **shown}


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_process(environ: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """`python -m app` from this checkout, its words going to `output`."""
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-m", "app"], env=environ, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


@contextmanager
def launched(settings: Settings, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx2.Client]]:
    """A server process with those settings, and a client of it; `log` gets what it prints."""
    with log.open("wb") as output:
        process = start_process(environ_of(settings), output)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=PATIENCE_SECONDS, trust_env=False) as client:
            yield process, client
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@contextmanager
def server(settings: Settings, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx2.Client]]:
    """The same, ready."""
    with launched(settings, log) as (process, client):
        assert eventually(lambda: process.poll() is not None or is_ready(client)), "it does not get ready"
        assert process.poll() is None, log.read_text()
        yield process, client


def is_ready(client: httpx2.Client) -> bool:
    """Whether the service answers and has a model."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False
