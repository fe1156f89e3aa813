"""One per serving process: every 250 ms it looks at the database for what is current, tends the jobs and tells their followers."""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from app.events import EventHub
from app.inference import Predictor, Served
from app.jobs.dispatch import Dispatcher
from app.store import Store, models
from model_core import artifact
from model_core.errors import ArtifactError

log = logging.getLogger("rookie.watcher")

INTERVAL_SECONDS = 0.25
STALE_SECONDS = 10.0  # without a look at the database, the service is not ready


class NoModelError(Exception):
    """The database has no version that could serve."""


class Watcher:
    """Keeps a process's predictor and trainers in step with the database."""

    def __init__(
        self, store: Store, predictor: Predictor, dispatcher: Dispatcher, hub: EventHub, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._predictor, self._dispatcher, self._hub, self._clock = store, predictor, dispatcher, hub, clock
        self._looked_at = clock()
        self._refused: int | None = None  # a version that turned out to be damaged, so as to say so once
        self._trouble = ""  # the last failure of the database, while it lasts
        self._stopping = asyncio.Event()

    @property
    def is_fresh(self) -> bool:
        """Whether the database answered lately."""
        return self._clock() - self._looked_at < STALE_SECONDS

    async def run(self) -> None:
        """Look again and again, until `stop`. A failing database is waited for; predictions go on."""
        while not self._stopping.is_set():
            for look in (lambda: run_in_threadpool(self.tick), self._hub.refresh):  # where one fails the other goes on
                await self._outlive(look)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), INTERVAL_SECONDS)

    async def _outlive(self, look: Callable[[], Awaitable[None]]) -> None:
        try:
            await look()
        except sa.exc.SQLAlchemyError as error:
            self._report(f"the database does not do what it should: {error}")
        except Exception:
            log.exception("the watcher met an error of its own and goes on")

    def _report(self, trouble: str) -> None:
        """Say so once, not four times a second."""
        if trouble != self._trouble:
            log.warning("%s", trouble)
        self._trouble = trouble

    def stop(self) -> None:
        """Let `run` return after the look that it takes now: cancelled, it would leave that behind in its thread."""
        self._stopping.set()

    def tick(self) -> None:
        """One look."""
        with self._store.read() as db:
            current = models.current_version(db)
        self._looked_at = self._clock()
        if current not in (None, self._predictor.served.version, self._refused):
            self._swap_to(current)
        self._dispatcher.tick()
        self._trouble = ""

    def _swap_to(self, version: int | None) -> None:
        try:
            served = load_current(self._store)
        except (ArtifactError, NoModelError) as error:
            self._refused = version
            log.error("version %s stays out, version %d goes on serving: %s", version, self._predictor.served.version, error)
            return
        self._predictor.swap(served)
        log.info("version %d serves (sha256 %s)", served.version, served.sha256)


def load_current(store: Store) -> Served:
    """The current version, from the database, with the card that stands there. Raises NoModelError or ArtifactError.

    An uploaded file's own card says what its sender wrote; the database's was measured here.
    """
    with store.read() as db:
        version = models.current_version(db)
        row = None if version is None else models.find(db, version)
        content = None if version is None else models.weights(db, version)
    if version is None or row is None or content is None:
        raise NoModelError("the database has no current model version")
    model = artifact.from_bytes(content, f"version {version}")
    return Served(version, row.sha256, dataclasses.replace(model, card=row.card))
