"""A planned stop of a trainer: SIGTERM as an exception, which waits while a transaction is open."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequestedError(BaseException):
    """The service stops, as planned; a BaseException so that nothing in between handles it."""


class StopSignal:
    """Raises StopRequestedError in the main thread, once, when SIGTERM arrives."""

    def __init__(self) -> None:
        self._held = self._arrived = False

    def listen(self) -> None:
        """From now on SIGTERM raises."""
        signal.signal(signal.SIGTERM, self._on_signal)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, the signal waits: broken off at any place, a transaction could leave the database locked."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._arrived:
            self._arrived = False
            raise StopRequestedError

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not self._held:
            raise StopRequestedError
        self._arrived = True
