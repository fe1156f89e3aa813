"""Waiting for a turn, in order and not for ever: who has waited too long is told to come again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from app.errors import UnavailableError

T = TypeVar("T")


def submit(threads: Executor, function: Callable[..., T], *arguments: Any) -> "Future[T]":
    """What `function` will have returned in a thread. Raises UnavailableError where the process may have no more of them."""
    try:
        return threads.submit(function, *arguments)
    except RuntimeError as error:
        raise UnavailableError(f"no thread can be had for that ({error}); ask again later", 5) from error


@asynccontextmanager
async def in_time(seconds: float, what: str) -> AsyncIterator[None]:
    """Raises UnavailableError, which names `what`, where it takes longer to do what stands inside."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise UnavailableError(f"{what}, or the wait for a turn at it, took {seconds:g} s; ask again later", 5) from error


class Turns:
    """So many places; lives on the event loop."""

    def __init__(self, places: int, seconds: float, what: str) -> None:
        self._places, self._seconds, self._what = asyncio.Semaphore(places), seconds, what

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place, when it is free. Raises UnavailableError where that takes too long."""
        await self._take_place()
        try:
            yield
        finally:
            self._places.release()

    async def _take_place(self) -> None:
        async with in_time(self._seconds, self._what):
            await self._places.acquire()


class Workers(Turns):
    """The same, each place with a thread; `name` is theirs."""

    def __init__(self, places: int, seconds: float, what: str, name: str) -> None:
        super().__init__(places, seconds, what)
        self._threads = ThreadPoolExecutor(places, name)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        """What `function` returns, off the event loop. Raises what it raises, or UnavailableError where the turn does not come."""
        loop = asyncio.get_running_loop()

        def leave(_: object) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._places.release)

        await self._take_place()
        try:
            work = submit(self._threads, function, *arguments)
        except UnavailableError:
            self._places.release()
            raise
        work.add_done_callback(leave)  # not where the client is gone: the thread goes on, and the next one's bytes would lie there
        try:
            return await asyncio.wrap_future(work)
        finally:
            del work  # it holds an error that holds this frame: until the collector comes, all that the function was given would stay
