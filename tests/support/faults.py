"""What fault tests do to processes and databases, and what they compare."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from app.settings import Settings
from model_core import artifact
from tests.support.service import ENDED, PATIENCE_SECONDS, eventually

Client = httpx2.Client | TestClient
Weights = dict[str, NDArray[np.float32]]

# All that a run carries from epoch to epoch is in use: momentum, averages, dropout's random numbers, the best weights so far.
RECIPE: dict[str, Any] = {
    "epochs": 8,
    "hidden": [768, 512],  # weights of 4 MB, which a nearly full disk does not take
    "batch_size": 64,
    "seed": 5,
    "momentum": 0.9,
    "average": 0.9,
    "dropout": 0.2,
    "promote": "always",
}
LONG = {**RECIPE, "epochs": 2000, "hidden": [16, 9]}


def hold(settings: Settings, stage: str, attempts: int = 1, epochs: int = 0) -> None:
    """Let the trainers of the first `attempts` attempts wait in `stage`, each until it is released, or stopped by `stop_in`.

    In training each does `epochs` epochs before, and waits at the end of the next one.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, attempts + 1):
        _hold_file(settings, stage, attempt).write_text(str(epochs + 1))


def release(settings: Settings, stage: str, attempt: int = 1) -> None:
    """Let that attempt's trainer go on."""
    _hold_file(settings, stage, attempt).unlink(missing_ok=True)


def _hold_file(settings: Settings, stage: str, attempt: int) -> Path:
    return settings.state_dir / f"{stage} {attempt}"


def submit(client: Client, request: dict[str, Any] = RECIPE) -> int:
    """Queue a job; its number."""
    answer = client.post("/train", json=request)
    assert answer.status_code == 202, answer.text
    job: int = answer.json()["id"]
    return job


def show(client: Client, job: int) -> dict[str, Any]:
    """The job as the service shows it."""
    found: dict[str, Any] = client.get(f"/train/{job}").json()
    return found


def reach(client: Client, job: int, epoch: int) -> None:
    """Wait until the job has done that epoch."""
    assert eventually(lambda: show(client, job)["epoch"] >= epoch or show(client, job)["status"] in ENDED)
    assert show(client, job)["status"] == "running"


def weights_of(client: Client, version: int) -> Weights:
    """The arrays of a version."""
    content = client.get(f"/models/{version}/weights.npz").content
    return artifact.from_bytes(content, f"version {version}").parameters._asdict()


def assert_same_weights(found: Weights, expected: Weights) -> None:
    """Bit by bit."""
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def trainers(settings: Settings) -> dict[tuple[int, int], int]:
    """The process of each job and attempt whose server has these settings: found where the system lists processes."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile, or is another's
            words = (folder / "cmdline").read_bytes().split(b"\0")
            environ = (folder / "environ").read_bytes().split(b"\0")
            if b"app.jobs.trainer" in words and f"ROOKIE_STATE_DIR={settings.state_dir}".encode() in environ:
                found[int(words[-3]), int(words[-2])] = int(folder.name)
    return found


def trainer_of(settings: Settings, job: int, attempt: int = 1) -> int:
    """The process of that attempt, once it is there."""
    assert eventually(lambda: (job, attempt) in trainers(settings)), f"job {job} has no attempt {attempt}"
    return trainers(settings)[job, attempt]


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be buried has."""
    return _state(Path(f"/proc/{pid}/stat")) == "Z"


def kill(*pids: int) -> None:
    """SIGKILL, and wait for the end."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in pids)  # type: ignore[misc]


@contextmanager
def no_trainer_left(settings: Settings) -> Iterator[None]:
    """End, at the end, what a test left behind."""
    try:
        yield
    finally:
        for pid in trainers(settings).values():
            os.kill(pid, signal.SIGKILL)


@contextmanager
def locked(settings: Settings) -> Iterator[sqlite3.Connection]:
    """The SQLite database locked against all other writers."""
    with closing(sqlite3.connect(settings.state_dir / "rookie.db", timeout=0, isolation_level=None)) as db:
        assert eventually(lambda: _lock(db), pause=0.001)
        try:
            yield db
        finally:
            db.execute("ROLLBACK")


def _lock(db: sqlite3.Connection) -> bool:
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("BEGIN IMMEDIATE")
    return db.in_transaction


def freeze(pid: int) -> None:
    """SIGSTOP, and wait until each of the process's threads stands still: one of them may write yet when the signal is sent."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    assert eventually(lambda: all(_state(thread / "stat") in "TtZ" for thread in threads.iterdir()), pause=0.001)


def _state(path: Path) -> str:
    """The letter for what a process or thread does, as its stat file has it; Z where it has ended."""
    try:
        return path.read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def stop_in(settings: Settings, job: int, stage: str, attempt: int = 1) -> int:
    """Let a job come to `stage` and stop its trainer (SIGSTOP) there; its process. `hold` sees to it that it does not pass by.

    Nobody can write while the database is locked, so what a look finds is true until the lock is given back.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with locked(settings) as db:
            status, found, on = db.execute("SELECT status, stage, attempt FROM jobs WHERE id = ?", [job]).fetchone()
            if (found, on) == (stage, attempt):
                pid = trainer_of(settings, job, attempt)
                freeze(pid)
                release(settings, stage, attempt)
                return pid
            assert status not in ENDED, f"the job has {status} before {stage!r} was seen"
        time.sleep(0.002)
    raise AssertionError(f"the job does not come to {stage!r}")
