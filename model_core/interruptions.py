"""Ctrl-C, SIGTERM or the end of the terminal while something is at stake: twice, they must not break off the saving that they begin."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 5.0  # a stop that some library has swallowed can be repeated after that


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block, the first stop is a SystemExit with the code that shells give it (129, 130, 143), and others do nothing.

    What nohup has made deaf to the end of its terminal stays so.
    """
    stopped_at: float | None = None

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped_at
        if stopped_at is None or time.monotonic() - stopped_at > AGAIN_SECONDS:
            stopped_at = time.monotonic()
            raise SystemExit(128 + number)

    heard = [each for each in STOPS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]
    before = {each: signal.signal(each, stop) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():  # after a stop all stay deaf to the end, which a second Ctrl-C would otherwise spoil
            signal.signal(each, handler if stopped_at is None else signal.SIG_IGN)
