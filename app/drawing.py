"""Pictures of weights, which anybody may ask for: drawn in one thread, each once for all who ask for it meanwhile, and kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from app.errors import UnavailableError
from app.turns import submit

T = TypeVar("T")

MOST_WAITING = 16  # each takes up to a second, and some 60 MB of memory while it is drawn
KEPT_BYTES = 32 * 2**20  # every picture of the shipped model, in every size and colouring


class Shelf:
    """The files last asked for, as many as have room."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def get(self, name: str) -> bytes | None:
        """The file of that name, where it is still here."""
        if name in self._files:
            self._files.move_to_end(name)
        return self._files.get(name)

    def put(self, name: str, content: bytes) -> None:
        """Keep a new file; the ones that were asked for longest ago make room."""
        self._files[name] = content
        self._bytes += len(content)
        while self._bytes > self._most:
            self._bytes -= len(self._files.popitem(last=False)[1])


class _Drawing:
    """A picture that is being drawn, or waits for that, and how many requests wait for it."""

    def __init__(self, future: "asyncio.Future[bytes]") -> None:
        self.future, self.waiting = future, 0

    async def wait(self) -> bytes:
        """The picture, for one more; one who leaves takes it from no other, and with the last one it is given up."""
        self.waiting += 1
        try:
            return await asyncio.shield(self.future)
        finally:
            self.waiting -= 1
            if not self.waiting:
                self.future.cancel()


class Drawings:
    """Draws and keeps pictures; lives on the event loop."""

    def __init__(self, most_waiting: int = MOST_WAITING, kept_bytes: int = KEPT_BYTES) -> None:
        self._most, self._in_hand = most_waiting, 0
        self._shelf = Shelf(kept_bytes)
        self._being_drawn: dict[str, _Drawing] = {}
        self._thread = ThreadPoolExecutor(1, "drawing")

    def close(self) -> None:
        """End the thread; what waits is not drawn any more."""
        self._thread.shutdown(cancel_futures=True)

    async def picture(self, name: str, draw: Callable[[], bytes]) -> bytes:
        """The file of that name: kept, being drawn for somebody else, or drawn now. Raises what `draw` raises, or UnavailableError."""
        kept = self._shelf.get(name)
        if kept is not None:
            return kept
        drawing = self._being_drawn.get(name)
        if drawing is None or drawing.future.cancelled():
            drawing = self._being_drawn[name] = _Drawing(self._in_thread(draw))
            drawing.future.add_done_callback(partial(self._drawn, name))
        return await drawing.wait()

    async def do(self, work: Callable[[], T]) -> T:
        """Other work that takes as much, in its turn, unless the one who asked has left. Raises what `work` raises, or UnavailableError."""
        return await self._in_thread(work)

    def _in_thread(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        if self._in_hand >= self._most:
            raise UnavailableError(f"{self._in_hand} pictures of weights are being drawn, which is the limit; ask again later", 5)
        future = asyncio.wrap_future(submit(self._thread, work))
        self._in_hand += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, future: "asyncio.Future[T]") -> None:
        self._in_hand -= 1
        if not future.cancelled():
            future.exception()  # seen, even where all who asked have left

    def _drawn(self, name: str, future: "asyncio.Future[bytes]") -> None:
        if self._being_drawn[name].future is future:  # a cancelled one may have a successor
            del self._being_drawn[name]
        if not future.cancelled() and future.exception() is None:
            self._shelf.put(name, future.result())
