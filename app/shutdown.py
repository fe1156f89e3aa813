"""A stop: heard when it is asked for, for the server ends the lifespan only once every open stream has ended; and never without an end."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from app.log_stream import STREAM

log = logging.getLogger("rookie")

# Longer than all that waits for the database in turn: a look of the watcher (10 s), trainers that save (5 s), a last write (10 s).
END_SECONDS = 30.0
Handler = Callable[[int, FrameType | None], object]


def on_stop_signal(close: Callable[[], None]) -> None:
    """Call `close` on the event loop as soon as SIGTERM or SIGINT arrives, before the server's own handler."""
    if not _is_own_process():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _first(close, before, asyncio.get_running_loop()))


def _first(close: Callable[[], None], before: Handler, loop: asyncio.AbstractEventLoop) -> Handler:
    def stop(received: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(close)
        before(received, frame)

    return stop


def end_in_time() -> None:
    """From now on the process has END_SECONDS: a thread that waits for a database without an answer, or that computes, cannot be ended."""
    if _is_own_process():
        guard = threading.Timer(END_SECONDS, _end)
        guard.daemon = True
        try:
            guard.start()
        except RuntimeError as error:  # the process may have no more threads; the stop goes on, in whatever time it takes
            log.warning("nothing will end the stop after %g s: %s", END_SECONDS, error)


def _end() -> None:
    log.error("the stop has waited %g s for a thread, maybe for a database that does not answer; the process ends without it", END_SECONDS)
    STREAM.drain()
    os._exit(1)


def _is_own_process() -> bool:
    """Whether the service is all that there is here: inside a test it runs beside others, for whom no signal and no end is meant."""
    return threading.current_thread() is threading.main_thread()
