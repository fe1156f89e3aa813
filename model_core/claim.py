"""One run at a time to one output: two would write over each other's checkpoint and weights."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_core.errors import ArtifactError


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Nobody else's while this lasts, by a locked file beside it. Raises ArtifactError where it is somebody's."""
    real = Path(os.path.realpath(out))  # whatever links lead to it
    lock = real.with_name(f".{real.name}.lock")
    handle = _locked(lock, out)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _locked(lock: Path, out: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), lock.stat()):
                    return handle
        except BlockingIOError as error:
            os.close(handle)
            raise ArtifactError(f"another run writes to {out}; wait for its end, or choose another --out") from error
        os.close(handle)  # its last owner has just removed it
