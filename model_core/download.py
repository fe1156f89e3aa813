"""Fetch Fashion-MNIST's files: resumed where a download broke off, counted as there only once the SHA-256 is right."""

import fcntl
import hashlib
import os
import time
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO

from model_core.data import FILES
from model_core.errors import DownloadError

SOURCES = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the dataset's official address
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",  # its repository
)
TIMEOUT_SECONDS = 30  # without a byte
LEAST_RATE = 4096  # bytes a second, beyond those: a source that trickles gives way to the next
STALL_SECONDS = 150  # longer than all sources together may be silent
LOOK_SECONDS = 0.5
MAX_FILE_BYTES = 64 * 2**20  # the largest file has 26 MB; a source that sends more is not the dataset
_CHUNK_BYTES = 64 * 2**10

Report = Callable[[str, int, int], None]  # file name, bytes so far, bytes in all (0: not known)


def _silent(name: str, done: int, total: int) -> None:
    pass


def fetch(folder: Path, report: Report = _silent, sources: Sequence[str] = SOURCES) -> list[str]:
    """Bring every file that is missing into `folder`; the names of those fetched. Raises DownloadError, before anything is fetched
    where another file has the name of one of the dataset's: that may be a dataset of the user's own.

    A broken download stays as NAME.part and is taken up again by the next call. Two calls at once share the work: the
    second waits for the first.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _insist_on_no_others(folder)
        return [name for name, digest in FILES.items() if _fetch_file(folder / name, digest, report, sources)]
    except OSError as error:  # of the folder: those of the sources have become a DownloadError
        raise DownloadError(f"{folder} cannot be written ({error.strerror}); set ROOKIE_DATA_DIR to a folder that can") from error


def _insist_on_no_others(folder: Path) -> None:
    others = [name for name, digest in FILES.items() if (folder / name).is_file() and not _has_digest(folder / name, digest)]
    if others:
        raise DownloadError(
            f"{folder} has files that are not Fashion-MNIST's, or damaged ({', '.join(others)}); take them away, or add yourself what is"
            " missing, or set ROOKIE_DATA_DIR to another folder"
        )


def _fetch_file(path: Path, digest: str, report: Report, sources: Sequence[str]) -> bool:
    """Whether the file had to be fetched."""
    if _has_digest(path, digest):
        return False
    failures = []
    part_path = path.with_name(path.name + ".part")
    with part_path.open("a+b") as part:
        _wait_for_others(part, path)
        if _has_digest(path, digest):  # another process fetched it while this one waited
            return False
        for source in sources:
            try:
                _download(source + path.name, part, lambda done, total: report(path.name, done, total))
                if _has_digest(part_path, digest):
                    os.replace(part_path, path)
                    return True
                failures.append(f"{source}: the file's SHA-256 is not the dataset's")
                part.truncate(0)
            except (OSError, HTTPException) as error:
                failures.append(f"{source}: {error}")
    raise DownloadError(
        f"{path.name} could not be fetched ({'; '.join(failures)}); try again, or put the four files into {path.parent} yourself"
    )


def _wait_for_others(part: IO[bytes], path: Path) -> None:
    """Until this process alone holds the part. DownloadError where another one does, and has brought nothing for STALL_SECONDS."""
    size, since = -1, time.monotonic()
    while True:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            grown = os.fstat(part.fileno()).st_size
        if grown != size:
            size, since = grown, time.monotonic()
        elif time.monotonic() - since > STALL_SECONDS:
            raise DownloadError(f"another process fetches {path} and gets no further; end it, and try again")
        time.sleep(LOOK_SECONDS)


def _download(url: str, part: IO[bytes], report: Callable[[int, int], None]) -> None:
    """Append what `part` still lacks of the file at `url`."""
    done = part.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310 (the addresses are ours)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 (as above)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send: the part is whole, or longer than the file
            return
        raise
    with response:
        if done and response.status != 206:  # the source starts over
            done = 0
            part.truncate(0)
        total = done + int(response.headers.get("Content-Length") or 0)
        began, before = time.monotonic(), done
        while chunk := response.read1(_CHUNK_BYTES):
            done += len(chunk)
            if time.monotonic() - began > TIMEOUT_SECONDS + (done - before) / LEAST_RATE:
                raise OSError(f"sends less than {LEAST_RATE} bytes a second")
            if done > MAX_FILE_BYTES:
                part.truncate(0)
                raise OSError(f"sends more than {MAX_FILE_BYTES} bytes")
            part.write(chunk)
            report(done, total)
        part.flush()
        if done < total:
            raise OSError(f"the connection ended after {done} of {total} bytes")


def _has_digest(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest
