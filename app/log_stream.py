"""Where the log goes: standard error. A service writes it in a thread of its own, for who reads it may stand still.

A terminal does after Ctrl-S, and so does a full pipe, whose reader hangs. Requests, stops and trainings must not wait for them.
"""

import atexit
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from select import PIPE_BUF

from app.store import now

MOST_CHARACTERS = 2**20  # that wait; what comes then is lost, and how many lines that were is said
GATHER_SECONDS = 0.02  # what comes in that time goes out together
END_SECONDS = 1.0  # for what waits at the end of the process


class LogStream:
    """A stream of text to standard error, at once until it is told to write aside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._waiting: list[str] = []
        self._size = 0  # of what waits and of what is being written
        self._lost_lines = 0
        self._is_aside = False

    def write_aside(self) -> None:
        """From now on a thread writes. What waits is written at the end of the process, if somebody reads it."""
        if not self._is_aside and sys.__stderr__ is not None:  # a closed one's number may be a client's socket by now
            self._is_aside = True
            threading.Thread(target=self._write_on, args=[sys.__stderr__.fileno()], name="log", daemon=True).start()
            atexit.register(self.drain)

    def write(self, text: str) -> None:
        """Write whole lines, soon."""
        if not self._is_aside:
            if sys.stderr is not None:
                sys.stderr.write(text)
            return
        with self._lock:
            if self._size + len(text) > MOST_CHARACTERS:
                self._lost_lines += text.count("\n")
                return
            self._waiting.append(text)
            self._size += len(text)
        self._news.set()

    def flush(self) -> None:
        """As streams have it; a thread flushes by itself."""
        if not self._is_aside and sys.stderr is not None:
            sys.stderr.flush()

    def drain(self) -> None:
        """Wait until all is written, END_SECONDS at most."""
        given_up = time.monotonic() + END_SECONDS
        while self._is_aside and self._size and time.monotonic() < given_up:
            time.sleep(0.005)

    def _write_on(self, descriptor: int) -> None:
        while self._news.wait():
            time.sleep(GATHER_SECONDS)
            self._news.clear()
            with self._lock:
                lines, self._waiting = self._waiting, []
                lost, self._lost_lines = self._lost_lines, 0
            if lost:
                message = f"{lost} lines of the log are lost: nobody read them"
                lines.append(json.dumps({"time": now(), "level": "warning", "logger": "rookie", "message": message}) + "\n")
            for piece in _pieces("".join(lines).encode(errors="backslashreplace")):
                _write(descriptor, piece)
            with self._lock:
                self._size = sum(map(len, self._waiting))


def _pieces(content: bytes) -> Iterator[bytes]:
    """Whole lines, as many as a pipe takes in one piece, which no other process's come between."""
    start = 0
    while start < len(content):
        end = content.rfind(b"\n", start, start + PIPE_BUF) + 1 or content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


def _write(descriptor: int, content: bytes) -> None:
    """Write it, however long that takes; where it cannot be written, it is lost."""
    rest = memoryview(content)
    with suppress(OSError):
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # somebody has set it to refuse instead of to wait
                time.sleep(GATHER_SECONDS)


STREAM = LogStream()
