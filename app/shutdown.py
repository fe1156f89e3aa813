"""A stop: heard when it is asked for, for the server ends the lifespan only once every open stream has ended; and never without an end."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

log = logging.getLogger("rookie")

# Longer than everything that waits for the database may: trainers save for 5 s, writes wait for 10 s, one after the other.
STEP_SECONDS = 25.0
Handler = Callable[[int, FrameType | None], object]


def on_stop_signal(close: Callable[[], None]) -> None:
    """Call `close` on the event loop as soon as SIGTERM or SIGINT arrives, before the server's own handler."""
    if threading.current_thread() is not threading.main_thread():
        return  # an application inside a test: no signal is meant for it
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _first(close, before, asyncio.get_running_loop()))


def _first(close: Callable[[], None], before: Handler, loop: asyncio.AbstractEventLoop) -> Handler:
    def stop(received: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(close)
        before(received, frame)

    return stop


async def in_time(step: Coroutine[Any, Any, None] | asyncio.Task[None]) -> None:
    """Await a step of the stop. A thread that waits for a database without an answer cannot be ended, so then the process is."""
    task = asyncio.ensure_future(step)
    await asyncio.wait([task], timeout=STEP_SECONDS)  # which leaves it alone: cancelled, it would still wait for its thread
    if not task.done():
        log.error("the stop waits for a database that does not answer; after %g s the process ends without it", STEP_SECONDS)
        logging.shutdown()
        os._exit(1)
    task.result()
