"""Reading the database, and what else GETs do in threads: a few at a time, so that a crowd leaves the interpreter to predictions.

A thread that is stuck in the database cannot be ended. So each place has one, and whoever leaves it behind takes no other.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.turns import Turns, in_time

T = TypeVar("T")

PLACES = 2
PATIENCE_SECONDS = 10.0
READING = "reading the database"


class Readers(Turns):
    """Those who read, and those who wait for their turn; lives on the event loop."""

    def __init__(self, places: int = PLACES, patience_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__(places, patience_seconds, READING)
        self._patience_seconds = patience_seconds
        self._threads = ThreadPoolExecutor(places, "reading")

    def close(self) -> None:
        """Let the threads end; what waits for them is not read any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def do(self, read: Callable[..., T], *arguments: Any) -> T:
        """What `read` returns. One who leaves leaves the queue; a thread that has begun ends before the next one does.

        Raises what `read` raises, or UnavailableError where it takes too long.
        """
        async with in_time(self._patience_seconds, READING):
            return await asyncio.get_running_loop().run_in_executor(self._threads, read, *arguments)


class ReadingRoute(APIRoute):
    """A route that takes turns with its like where it is a GET that works in a thread."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()
        if self.methods != {"GET"} or inspect.iscoroutinefunction(self.endpoint):
            return answer

        async def answer_in_turn(request: Request) -> Response:
            readers: Readers = request.app.state.readers
            async with readers.turn():
                return await answer(request)

        return answer_in_turn
