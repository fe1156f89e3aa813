"""The watcher keeps a process in step with the database, and outlives its troubles."""

import asyncio
import threading
from collections.abc import Iterator
from typing import cast

import pytest
import sqlalchemy as sa

from app.events import EventHub
from app.inference import Predictor
from app.jobs.dispatch import Dispatcher
from app.main import open_store
from app.reading import Readers
from app.serving import load_current
from app.settings import Settings
from app.store import Store, models
from app.watcher import STALE_SECONDS, Watcher
from tests.support import tiny
from tests.support.service import PATIENCE_SECONDS, add_version


class Tending:
    """A dispatcher with no jobs, whose look can be held up."""

    def __init__(self) -> None:
        self.looks = 0
        self.may_end = threading.Event()
        self.may_end.set()

    def tick(self) -> None:
        self.looks += 1
        self.may_end.wait(30)
        self.looks_ended = self.looks


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A database with the shipped model."""
    store = open_store(settings)
    yield store
    store.close()


def watcher_of(store: Store, tending: Tending | None = None, seconds: list[float] | None = None) -> Watcher:
    clock = seconds or [0.0]
    hub, clocked = EventHub(store, Readers(), 1), lambda: clock[0]
    return Watcher(store, Predictor(load_current(store)), cast(Dispatcher, tending or Tending()), hub, clocked)


def test_a_stop_waits_for_the_look_that_is_being_taken(store: Store) -> None:
    tending = Tending()
    tending.may_end.clear()

    async def stop_in_the_middle() -> None:
        watcher = watcher_of(store, tending)
        running = asyncio.create_task(watcher.run())
        while not tending.looks:
            await asyncio.sleep(0.01)
        watcher.stop()
        await asyncio.sleep(0.05)
        assert not running.done()
        tending.may_end.set()
        await running

    asyncio.run(stop_in_the_middle())
    assert tending.looks_ended == tending.looks == 1


def test_followers_that_are_slow_to_be_told_hold_up_no_look(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.watcher.INTERVAL_SECONDS", 0.01)
    tending = Tending()

    async def look_beside_them() -> None:
        told = asyncio.Event()
        monkeypatch.setattr(EventHub, "refresh", lambda _: told.wait())
        watcher = watcher_of(store, tending)
        running = asyncio.create_task(watcher.run())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while tending.looks < 3:
                await asyncio.sleep(0.01)
        watcher.stop()
        told.set()
        await running

    asyncio.run(look_beside_them())
    assert tending.looks >= 3


def test_a_failing_look_is_followed_by_another_and_said_once_while_it_lasts(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.watcher.INTERVAL_SECONDS", 0.01)
    away, bug = sa.exc.OperationalError("SELECT", {}, Exception("away")), RuntimeError("a bug")
    failures = iter([away, away, bug, bug, away])
    looks = []

    async def look_six_times() -> None:
        watcher = watcher_of(store)

        def tick() -> None:
            looks.append(1)
            if len(looks) == 6:
                watcher.stop()
            for failure in failures:
                raise failure

        monkeypatch.setattr(watcher, "tick", tick)
        await watcher.run()

    asyncio.run(look_six_times())
    assert len(looks) == 6
    told = [(bool(record.exc_info), record.getMessage()) for record in caplog.records]
    assert [(traceback, "away" in line, "a bug" in line) for traceback, line in told] == [
        (False, True, False),
        (True, False, True),
        (False, True, False),
    ]


def test_a_database_that_was_not_seen_for_long_is_not_fresh(store: Store) -> None:
    seconds = [100.0]
    watcher = watcher_of(store, seconds=seconds)
    assert watcher.is_fresh
    seconds[0] += STALE_SECONDS
    assert not watcher.is_fresh
    watcher.tick()
    assert watcher.is_fresh


def test_a_look_swaps_to_the_current_version(store: Store, settings: Settings) -> None:
    version = add_version(settings, tiny.model())
    predictor = Predictor(load_current(store))
    watcher = Watcher(store, predictor, cast(Dispatcher, Tending()), EventHub(store, Readers(), 1))
    watcher.tick()
    assert predictor.served.version == 1
    with store.write() as db:
        models.activate(db, version, "a test")
    watcher.tick()
    assert predictor.served.version == version


def test_a_version_that_cannot_be_loaded_is_withdrawn_with_one_line_and_the_way_back_stays_open(
    store: Store, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = Predictor(load_current(store))
    watcher = Watcher(store, predictor, cast(Dispatcher, Tending()), EventHub(store, Readers(), 1))
    with store.write() as db:
        damaged = models.add(db, tiny.model(), b"PK damaged", "uploaded")
        models.activate(db, damaged, "a test")
    for _ in range(3):
        watcher.tick()
    assert predictor.served.version == 1
    with store.read() as db:
        assert (models.current_version(db), models.predecessors(db)) == (1, [])
    assert [f"version {damaged} " in text and "version 1 serves" in text for text in caplog.messages] == [True]
    good = add_version(settings, tiny.model())
    with store.write() as db:
        models.activate(db, good, "a test")
    watcher.tick()
    assert predictor.served.version == good
