"""The dispatcher outlives a database that refuses: what it could not write it writes later."""

import dataclasses
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import sqlalchemy as sa

from app.jobs.dispatch import SILENCE_SECONDS, START_PAUSE_SECONDS, Dispatcher
from app.main import open_store
from app.settings import Settings
from app.store import Row, Store, jobs
from tests.support import tiny
from tests.support.faults import is_gone, kill, no_trainer_left, trainer_of
from tests.support.service import eventually


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A database with the shipped model and a job."""
    store = open_store(settings)
    with store.write() as db:
        jobs.submit(db, {**tiny.RECIPE.as_record(), "epochs": 2000}, "always")
    with no_trainer_left(settings):
        yield store
    store.close()


def refuse(*_: Any) -> AbstractContextManager[sa.Connection]:
    raise sa.exc.OperationalError("UPDATE", {}, Exception("database or disk is full"))


def job(store: Store) -> Row:
    with store.read() as db:
        (row,) = jobs.newest_first(db)
    return row


def tick_twice(dispatcher: Dispatcher) -> None:
    """A job that one look queues again is claimed by the next."""
    for _ in range(2):
        dispatcher.tick()


def test_a_trainers_death_that_cannot_be_written_is_written_later(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = Dispatcher(store, settings, os.environ)
    dispatcher.tick()
    kill(trainer_of(settings, 1))
    with monkeypatch.context() as full:
        full.setattr(Store, "write", refuse)
        for _ in range(2):
            with pytest.raises(sa.exc.OperationalError):
                dispatcher.tick()
    assert (job(store).status, job(store).failures) == ("running", 0)
    tick_twice(dispatcher)
    assert (job(store).attempt, job(store).failures) == (2, 1)
    dispatcher.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, 34, 40], ids=int)  # some systems have no names for the others
def test_a_trainer_is_buried_whatever_signal_ended_it(
    store: Store, settings: Settings, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    class Dead:
        pid, returncode = 2**30, -number

        def poll(self) -> int:
            return self.returncode

    dispatcher = Dispatcher(store, dataclasses.replace(settings, training_slots=0), os.environ)
    with store.write() as db:
        jobs.claim(db, slots=1)
    dispatcher._children[1, 1] = Dead()  # type: ignore[assignment]
    dispatcher.tick()
    assert (job(store).status, job(store).failures, dispatcher._children) == ("queued", 1, {})
    assert "its trainer ended with " in caplog.text


def test_trainers_that_cannot_be_started_cost_no_job_anything_and_are_tried_again_later(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse_to_start(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    with store.write() as db:
        jobs.submit(db, tiny.RECIPE.as_record(), "always")
    seconds = [0.0]
    dispatcher = Dispatcher(store, settings, os.environ, lambda: seconds[0])
    with monkeypatch.context() as crowded:
        crowded.setattr(subprocess, "Popen", refuse_to_start)
        for _ in range(10):
            dispatcher.tick()
        seconds[0] += START_PAUSE_SECONDS
        dispatcher.tick()
    with store.read() as db:
        assert [(row.status, row.failures) for row in jobs.newest_first(db)] == [("queued", 0)] * 2
    assert caplog.text.count("no trainer can be started (Resource temporarily unavailable); the next try is in 30 s") == 2
    seconds[0] += START_PAUSE_SECONDS
    dispatcher.tick()
    with store.read() as db:
        assert [row.id for row in jobs.pulses(db)] == [1]
    dispatcher.stop()


def test_a_stop_that_cannot_be_written_ends_the_trainers_all_the_same(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = Dispatcher(store, settings, os.environ)
    dispatcher.tick()
    kill(trainer_of(settings, 1))
    with monkeypatch.context() as full:
        full.setattr(Store, "write", refuse)
        dispatcher.stop()
    assert job(store).status == "running"
    seconds = [0.0]
    next_one = Dispatcher(store, settings, os.environ, lambda: seconds[0])
    for _ in range(4):
        next_one.tick()
        seconds[0] += SILENCE_SECONDS / 3
    tick_twice(next_one)
    assert job(store).attempt == 2
    next_one.stop()


def test_a_stop_waits_for_a_locked_database_once_however_many_jobs_it_gives_back(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.write() as db:
        jobs.submit(db, {**tiny.RECIPE.as_record(), "epochs": 2000}, "always")
    dispatcher = Dispatcher(store, dataclasses.replace(settings, training_slots=2), os.environ)
    dispatcher.tick()
    kill(trainer_of(settings, 1), trainer_of(settings, 2))
    waits = []

    def wait_in_vain(store: Store) -> AbstractContextManager[sa.Connection]:
        waits.append(store)
        return refuse()

    monkeypatch.setattr(Store, "write", wait_in_vain)
    dispatcher.stop()
    assert len(waits) == 1


@pytest.mark.parametrize("end", ["succeeded", "cancelled"])
def test_a_trainer_that_outlives_its_job_is_ended_and_nothing_is_said_of_it(
    store: Store, settings: Settings, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    dispatcher = Dispatcher(store, settings, os.environ)
    dispatcher.tick()
    pid = trainer_of(settings, 1)
    with store.write() as db:
        if end == "cancelled":
            jobs.cancel(db, 1)
        else:
            jobs.end(db, 1, "succeeded")  # its trainer says so, and then takes a moment to leave

    def is_ended() -> bool:
        dispatcher.tick()
        return is_gone(pid)

    assert eventually(is_ended)
    tick_twice(dispatcher)
    assert (job(store).status, job(store).failures) == (end, 0)
    assert [text for text in caplog.messages if "is over" in text] == []
    dispatcher.stop()


def test_a_job_without_a_process_is_given_to_another_after_the_silence_and_not_before(store: Store, settings: Settings) -> None:
    with store.write() as db:
        assert jobs.claim(db, slots=1), "a server claims the job, and is killed before it starts a trainer"
    seconds = [100.0]
    dispatcher = Dispatcher(store, settings, os.environ, lambda: seconds[0])
    for _ in range(3):
        dispatcher.tick()
        seconds[0] += SILENCE_SECONDS / 3
    assert (job(store).attempt, job(store).failures) == (1, 0)
    seconds[0] += 1
    tick_twice(dispatcher)
    assert (job(store).attempt, job(store).failures) == (2, 1)
    dispatcher.stop()
    assert job(store).status == "queued"


def test_a_machine_that_stood_still_costs_no_trainer_its_attempt(store: Store, settings: Settings) -> None:
    with store.write() as db:
        assert jobs.claim(db, slots=1)
    seconds = [100.0]
    dispatcher = Dispatcher(store, settings, os.environ, lambda: seconds[0])
    for _ in range(3):
        dispatcher.tick()
        seconds[0] += SILENCE_SECONDS + 1  # docker pause
    assert (job(store).attempt, job(store).failures) == (1, 0)
    dispatcher.stop()
