"""The files in which several serving processes keep their counts, each its own; a scrape adds them up.

prometheus-client maps them into memory. A file with holes would end the process (SIGBUS) on a disk that is full, so each has its room
from the start; and they lie in the state folder, where nobody cleans up as in /tmp.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client reads it when it is first imported
FILE_BYTES = 2**20  # some ten thousand figures
KINDS = ("counter", "histogram", "gauge_livesum", "gauge_max")
_PREFIX = "metrics-"
log = logging.getLogger("rookie.metrics")


@contextmanager
def folder(state: Path, workers: int) -> Iterator[None]:
    """A folder for them, which the serving processes find in their environment; gone at the end. One process alone needs none."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_place(state)) as path, _held(Path(path)):
        os.environ[FOLDER_VARIABLE] = path
        yield


def _place(state: Path) -> Path | None:
    """The state folder; where there is none (PostgreSQL has the state), the system's for temporary files."""
    with suppress(OSError):
        state.mkdir(parents=True, exist_ok=True)
        for left in state.glob(f"{_PREFIX}*"):  # by a service that was killed
            with suppress(OSError), _held(left):
                shutil.rmtree(left)
        if os.access(state, os.W_OK):
            return state
    return None


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody else's while this lasts. Raises BlockingIOError where it is somebody's."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def reserve() -> None:
    """Take the room for this process's files. Where there is none, it counts for itself alone, and the log says so."""
    place = os.environ.get(FOLDER_VARIABLE)
    if not place:
        return
    files = [Path(place, f"{kind}_{os.getpid()}.db") for kind in KINDS]
    try:
        for path in files:
            path.write_bytes(bytes(FILE_BYTES))
    except OSError as error:
        log.warning("%s takes no files (%s): /metrics shows this process's figures to itself alone, until it is started anew", place, error)
        for path in files:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        values.ValueClass = values.MutexValue


def shared_registry(own: CollectorRegistry) -> CollectorRegistry:
    """What all processes count, or where there is but one, what it counts."""
    place = os.environ.get(FOLDER_VARIABLE)
    if not place or values.ValueClass is values.MutexValue:
        return own
    _forget_dead_processes(Path(place))
    shared = CollectorRegistry()
    MultiProcessCollector(shared, place)  # type: ignore[no-untyped-call]
    return shared


def _forget_dead_processes(place: Path) -> None:
    """The gauges of a process that was killed count no longer; its counters still do."""
    for file in place.glob("gauge_live*_*.db"):
        number = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            mark_process_dead(number, str(place))  # type: ignore[no-untyped-call]
