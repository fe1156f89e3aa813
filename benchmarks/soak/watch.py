"""A server's memory and open files while a soak runs, and what its database is like afterwards."""

import re
import sqlite3
import statistics
import threading
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from app.settings import Settings
from app.store import Store, models
from model_core import artifact

MOST_GROWTH_BYTES = 48 * 2**20  # between the second fifth and the last one
MOST_GROWTH_FILES = 10


class Sample(NamedTuple):
    """What a process has at one moment."""

    resident_bytes: int
    open_files: int


class Watch(threading.Thread):
    """Looks at a process every `pause` seconds until it is told to stop."""

    def __init__(self, pid: int, pause: float) -> None:
        super().__init__()
        self._pid, self._pause, self._over = pid, pause, threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Look, and wait."""
        while not self._over.wait(self._pause):
            self.samples.append(sample(self._pid))

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self.join()

    def fifths(self) -> list[Sample]:
        """The medians of each fifth of the time; the first one is for warming up."""
        size = max(1, len(self.samples) // 5)
        return [_median(self.samples[place * size : (place + 1) * size]) for place in range(5)]


def sample(pid: int) -> Sample:
    """What a process has now."""
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return Sample(1024 * int(kilobytes), len(list(Path(f"/proc/{pid}/fd").iterdir())))


def _median(samples: list[Sample]) -> Sample:
    return Sample(*(int(statistics.median(values)) for values in zip(*samples, strict=True)))


def growth_faults(fifths: list[Sample]) -> list[str]:
    """What grew though nothing asks for it."""
    early, late = fifths[1], fifths[4]
    faults = []
    if late.resident_bytes > early.resident_bytes + MOST_GROWTH_BYTES:
        faults.append(f"memory grew from {early.resident_bytes >> 20} to {late.resident_bytes >> 20} MiB")
    if late.open_files > early.open_files + MOST_GROWTH_FILES:
        faults.append(f"open files grew from {early.open_files} to {late.open_files}")
    return faults


def database_faults(settings: Settings) -> list[str]:
    """What is not as it should be in the database of a stopped server."""
    with closing(sqlite3.connect(settings.state_dir / "rookie.db")) as db:
        faults = [f"integrity_check: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [f"foreign_key_check: {row}" for row in db.execute("PRAGMA foreign_key_check")]
        running = db.execute("SELECT id, status FROM jobs WHERE status IN ('queued', 'running')").fetchall()
        faults += [f"job {job} is {status} though all had ended" for job, status in running]
        rows = db.execute("SELECT version, sha256, weights FROM models").fetchall()
    faults += [f"version {version} is not what its digest says" for version, digest, content in rows if artifact.sha256(content) != digest]
    with closing(Store(settings.store_url)) as store, store.read() as connection:
        current = models.current_version(connection)
    if [version for version, _, _ in rows].count(current or 0) != 1:
        faults.append(f"the current version is {current}, of which there is not one")
    return faults
