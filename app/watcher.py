"""One per serving process: every 250 ms it looks at the database for what is current, tends the jobs and tells their followers."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from app.events import EventHub
from app.inference import Predictor
from app.jobs.dispatch import Dispatcher
from app.serving import UNUSABLE, NoModelError, load_current, settle
from app.store import DamagedError, Store, models

log = logging.getLogger("rookie.watcher")

INTERVAL_SECONDS = 0.25
STALE_SECONDS = 10.0  # without a look at the database, the service is not ready


class Watcher:
    """Keeps a process's predictor and trainers in step with the database."""

    def __init__(
        self, store: Store, predictor: Predictor, dispatcher: Dispatcher, hub: EventHub, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._predictor, self._dispatcher, self._hub, self._clock = store, predictor, dispatcher, hub, clock
        self._looked_at = clock()
        self._stopping = asyncio.Event()

    @property
    def is_fresh(self) -> bool:
        """Whether the database answered lately."""
        return self._clock() - self._looked_at < STALE_SECONDS

    async def run(self) -> None:
        """Look again and again, until `stop`. A failing database is waited for; predictions go on. No look waits for the other."""
        await asyncio.gather(self._repeat(lambda: run_in_threadpool(self.tick)), self._repeat(self._hub.refresh))

    async def _repeat(self, look: Callable[[], Awaitable[None]]) -> None:
        trouble = ""  # that the last look met
        while not self._stopping.is_set():
            trouble = await _outlive(look, trouble)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), INTERVAL_SECONDS)

    def stop(self) -> None:
        """Let `run` return after the look that it takes now: cancelled, it would leave that behind in its thread."""
        self._stopping.set()

    def tick(self) -> None:
        """One look."""
        with self._store.read() as db:
            current = models.current_version(db)
        self._looked_at = self._clock()
        if current not in (None, self._predictor.served.version):
            self._swap_to_current()
        self._dispatcher.tick()

    def _swap_to_current(self) -> None:
        try:
            served = load_current(self._store)
        except NoModelError:
            return
        except UNUSABLE:
            with self._store.write() as db:
                settle(db)  # the next look finds what it settled on
            return
        self._predictor.swap(served)
        log.info("version %d serves (sha256 %s)", served.version, served.sha256)


async def _outlive(look: Callable[[], Awaitable[None]], before: str) -> str:
    """The trouble that a look meets, if it does; the log has it once, and not four times a second. `before` is that of the last look."""
    try:
        await look()
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
        if trouble != before:
            ours = not isinstance(error, (sa.exc.SQLAlchemyError, DamagedError))
            log.warning("the database does not do what it should, or the watcher: %s; it goes on", error, exc_info=ours)
        return trouble
    return ""
