"""Hearing of a stop when it is asked for. The server ends the lifespan only once every open stream has ended, which would be never."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

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
