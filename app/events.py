"""Event streams: what happens to a job, told to all who follow it. Followers share one reading of the database and never hold it up."""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from app.errors import NotFoundError, UnavailableError
from app.reading import Readers
from app.store import Row, Store, events, jobs

EVENTS_AT_A_TIME = 8  # told before others have their turn
HEARTBEAT_SECONDS = 15.0  # proxies close a connection that is silent for long


@dataclass
class _Feed:
    """A followed job's events so far, in order."""

    events: list[Row] = field(default_factory=list)
    followers: int = 0
    is_known: bool = False  # there is such a job
    is_gone: bool = False  # it was forgotten
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last_id(self) -> int:
        return self.events[-1].id if self.events else 0

    def tell(self) -> None:
        """Wake everyone who waits, and let the next ones wait anew."""
        self.news.set()
        self.news = asyncio.Event()


class EventHub:
    """One per serving process; lives on the event loop."""

    def __init__(self, store: Store, readers: Readers, most_followers: int) -> None:
        self._store, self._readers, self._most = store, readers, most_followers
        self._feeds: dict[int, _Feed] = {}
        self._closed = False

    @asynccontextmanager
    async def follow(self, job: int, after: int) -> AsyncIterator[AsyncIterator[Row | None]]:
        """A job's events with a number above `after`, up to its `done` or until it is forgotten; now and then None, a sign of life.

        Raises UnavailableError where too many follow already, and NotFoundError where there is no such job.
        """
        if self._closed or sum(feed.followers for feed in self._feeds.values()) >= self._most:
            raise UnavailableError(f"{self._most} event streams are open, which is the limit; ask /train/{job} instead", 5)
        feed = self._feeds.setdefault(job, _Feed())
        feed.followers += 1
        try:
            last = feed.last_id
            rows = (await self._readers.do(self._fetch, {job: last}))[job]
            if rows is None:
                raise no_such_job(job)
            feed.is_known = True
            self._tell(job, last, rows)
            yield self._events(feed, after)
        finally:
            feed.followers -= 1
            if not feed.followers:
                del self._feeds[job]

    async def refresh(self) -> None:
        """Tell followers what is new in the database."""
        known = {job: feed.last_id for job, feed in self._feeds.items() if feed.is_known}
        if known:
            for job, rows in (await run_in_threadpool(self._fetch, known)).items():
                self._tell(job, known[job], rows)

    def close(self) -> None:
        """End every stream: the service stops."""
        self._closed = True
        for feed in self._feeds.values():
            feed.tell()

    def _tell(self, job: int, last: int, rows: list[Row] | None) -> None:
        """Add the events after `last` to a job's feed, unless another reading came first, or nobody follows it any more."""
        feed = self._feeds.get(job)
        if feed is None:
            return
        if rows is None:
            feed.is_gone = True
            feed.tell()
        elif rows and feed.last_id == last:
            feed.events.extend(rows)
            feed.tell()

    def _fetch(self, known: Mapping[int, int]) -> dict[int, list[Row] | None]:
        """The events of each job after the last one that is known; None for a job that is no longer there."""
        with self._store.read() as db:
            there = jobs.which_exist(db, known)
            return {job: events.after(db, job, last) if job in there else None for job, last in known.items()}

    async def _events(self, feed: _Feed, after: int) -> AsyncIterator[Row | None]:
        place = bisect_right([event.id for event in feed.events], after)
        if place and place == len(feed.events) and feed.events[-1].kind == "done":
            place -= 1  # a client that comes back for more of an ended job hears once more that it ended
        while not self._closed and not feed.is_gone:
            news = feed.news
            for event in feed.events[place:]:
                yield event
                if event.kind == "done":
                    return
                place += 1
                if place % EVENTS_AT_A_TIME == 0:  # the history of a long job is half a megabyte
                    await asyncio.sleep(0)
            if place == len(feed.events) and not await _comes(news):
                yield None


def no_such_job(job: int) -> NotFoundError:
    """What to answer whoever asks for it."""
    return NotFoundError(f"there is no job {job}; GET /train lists them")


async def _comes(news: asyncio.Event) -> bool:
    """Whether there is news before it is time for a sign of life."""
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(news.wait(), HEARTBEAT_SECONDS)
    return False
