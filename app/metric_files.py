"""The files in which several serving processes keep their counts, each its own; a scrape adds them up.

prometheus-client maps them into memory. A file with holes would end the process (SIGBUS) on a disk that is full, so each has its room
from the start; and they lie in the state folder, where nobody cleans up as in /tmp.
"""

import fcntl
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from app.settings import SettingsError

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client reads it when it is first imported
FILE_BYTES = 2**20  # some ten thousand figures
LIVE_KIND = "gauge_livesum"  # of those processes alone that live
KINDS = ("counter", "histogram", LIVE_KIND, "gauge_max")
SPARE_BYTES = 2**18  # of a file, for all that is not counted by version
_PREFIX = "rookie-metrics-"  # which no other program's folders have
_NEW = ".new"  # what is not whole yet
MOST_TRIES = 10  # of a scrape, while processes come and go
log = logging.getLogger("rookie.metrics")


@contextmanager
def folder(state: Path, workers: int) -> Iterator[None]:
    """A folder for them, which the serving processes find in their environment; gone at the end. One process alone needs none.

    Raises SettingsError where none can be made.
    """
    if workers == 1:
        with suppress(OSError):
            _clear(state)
        yield
        return
    with _made(state) as path, _held(Path(path)):
        os.environ[FOLDER_VARIABLE] = path
        yield


def _made(state: Path) -> tempfile.TemporaryDirectory[str]:
    """A new folder in the state folder; where that takes none (PostgreSQL has the state), in the system's for temporary files."""
    try:
        return _made_in(state)
    except OSError:
        pass
    try:
        return _made_in(Path(tempfile.gettempdir()))
    except OSError as error:
        raise SettingsError(
            f"ROOKIE_WORKERS is more than 1, and neither ROOKIE_STATE_DIR nor TMPDIR takes a folder for their metrics ({error.strerror})"
        ) from error


def _made_in(place: Path) -> tempfile.TemporaryDirectory[str]:
    place.mkdir(parents=True, exist_ok=True)
    _clear(place)
    return tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place)


def _clear(place: Path) -> None:
    """Remove what a service that was killed has left; one that has not come to lock its own yet has no files."""
    for left in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or another start has just removed it
            if _files(left) and left.lstat().st_uid == os.geteuid():
                with _held(left):
                    _remove(left)


def _files(place: Path, kinds: str = "|".join(KINDS), suffix: str = ".db") -> dict[Path, int]:
    """The files of such `kinds` in a folder, and the number of the process that each belongs to."""
    named = ((path, re.fullmatch(rf"(?:{kinds})_(\d+)", path.stem)) for path in place.glob(f"*{suffix}"))
    return {path: int(name[1]) for path, name in named if name}


def _remove(left: Path) -> None:
    """What is ours in a folder, and the folder if there is nothing else in it."""
    for path in (*_files(left), *_files(left, suffix=_NEW)):
        path.unlink()
    left.rmdir()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody else's while this lasts. Raises BlockingIOError where it is somebody's."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def reserve() -> None:
    """Take over a dead process's files, or make some. Where there is no room, this one counts for itself alone, and the log says so."""
    place = os.environ.get(FOLDER_VARIABLE)
    if not place:
        return
    _forget_dead_processes(Path(place))
    files = {kind: Path(place, f"{kind}_{os.getpid()}.db") for kind in KINDS}
    due = [path for kind, path in files.items() if not path.exists() and not _inherit(kind, path)]
    try:
        for path in due:
            _make(path)
    except OSError as error:
        log.warning("%s takes no files (%s): /metrics shows this process's figures to itself alone, until it is started anew", place, error)
        for path in due:  # what was inherited stays, and counts for the others
            path.unlink(missing_ok=True)
        values.ValueClass = values.MutexValue


def has_room() -> bool:
    """Whether this process's files have room for one more version's figures. They must not grow: a file that does has holes."""
    return all(_used_bytes(Path(os.environ[FOLDER_VARIABLE], f"{kind}_{os.getpid()}.db")) < FILE_BYTES - SPARE_BYTES for kind in KINDS)


def are_used() -> bool:
    """Whether this process counts in files."""
    return bool(os.environ.get(FOLDER_VARIABLE)) and values.ValueClass is not values.MutexValue


def _used_bytes(path: Path) -> int:
    """As prometheus-client writes it at a file's beginning; nothing where there is no file."""
    try:
        with path.open("rb") as file:
            return int.from_bytes(file.read(4), sys.byteorder)
    except FileNotFoundError:
        return 0


def _make(path: Path) -> None:
    """A new file, of which nobody sees a part."""
    new = path.with_suffix(_NEW)
    try:
        new.write_bytes(bytes(FILE_BYTES))
        new.rename(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _inherit(kind: str, path: Path) -> bool:
    """Go on where a process has died: its counts are counted on, and its file is not there for ever."""
    for left, process in _files(path.parent, kind).items():
        if not _is_alive(process):
            with suppress(FileNotFoundError):  # another process was quicker
                left.rename(path)
                return True
    return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, who has its number now
    return True


def shared_registry(own: CollectorRegistry) -> CollectorRegistry:
    """What all processes count, or where there is but one, what it counts."""
    if not are_used():
        return own
    place = os.environ[FOLDER_VARIABLE]
    _forget_dead_processes(Path(place))
    shared = CollectorRegistry()
    _Collector(shared, place)  # type: ignore[no-untyped-call]
    return shared


class _Collector(MultiProcessCollector):
    """Prometheus-client's; it begins again where a file was inherited between finding and reading it."""

    def collect(self) -> Any:
        """The sums of what all files hold."""
        for _ in range(MOST_TRIES):
            with suppress(FileNotFoundError):
                return super().collect()  # type: ignore[no-untyped-call]
        return super().collect()  # type: ignore[no-untyped-call]


def _forget_dead_processes(place: Path) -> None:
    """The gauges of a process that was killed count no longer; its counters still do."""
    for path, process in _files(place, LIVE_KIND).items():
        if not _is_alive(process):
            path.unlink(missing_ok=True)
