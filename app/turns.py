"""Waiting for a turn, in order and not for ever: who has waited too long is told to come again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import UnavailableError


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
        async with in_time(self._seconds, self._what):
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()
