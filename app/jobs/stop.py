"""A planned stop of a trainer: SIGTERM as an exception, which waits while a transaction is open."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequestedError(BaseException):
    """The service stops, as planned; a BaseException so that nothing in between handles it."""


class StopSignal:
    """Raises StopRequestedError in the main thread, once, when SIGTERM arrives: in `heard`, and not in `held`."""

    def __init__(self) -> None:
        self._held, self._arrived = True, False

    def listen(self) -> None:
        """From now on SIGTERM waits to be heard."""
        signal.signal(signal.SIGTERM, self._on_signal)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Inside, the signal raises, and so does one that waits."""
        self._held = False
        try:
            self._raise_what_waits()
            yield
        finally:
            self._held = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, the signal waits again: broken off at any place, a transaction could leave the database locked."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before
        self._raise_what_waits()

    def _raise_what_waits(self) -> None:
        if self._arrived and not self._held:
            self._arrived = False
            raise StopRequestedError

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not self._held:
            raise StopRequestedError
        self._arrived = True
