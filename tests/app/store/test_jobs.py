"""The queue: claimed in order, and deaf to trainers that were replaced."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.errors import document
from app.store import attempts, events, jobs, models, schema
from model_core import artifact
from tests.support import tiny

RECIPE = tiny.RECIPE.as_record()
ERROR = document(500, "trainer-died", "its trainer died")
PROMOTION = {"promoted": False, "reason": "a test"}


def submit(db: sa.Connection) -> int:
    return jobs.submit(db, RECIPE, "if-better")


def claim(db: sa.Connection) -> tuple[int, int]:
    """Start the oldest job: its number and attempt."""
    row = jobs.claim(db, slots=16)
    assert row is not None
    return row.id, row.attempt


def status(db: sa.Connection, job: int) -> str:
    row = jobs.find(db, job)
    assert row is not None
    return str(row.status)


def record(epoch: int, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, "seconds": 0.5, "train_loss": 1.0, **more}


# Everything that a trainer writes, by what it does; each says whether the job was its own.
WRITES: dict[str, Callable[[sa.Connection, int, int], bool]] = {
    "beat": attempts.beat,
    "enter": lambda db, job, attempt: attempts.enter(db, job, attempt, "training"),
    "record_epoch": lambda db, job, attempt: attempts.record_epoch(db, job, attempt, record(1)),
    "save_checkpoint": lambda db, job, attempt: attempts.save_checkpoint(db, job, attempt, 1, b"state"),
    "requeue": attempts.requeue,
    "fail": lambda db, job, attempt: attempts.fail(db, job, attempt, ERROR),
    "succeed": lambda db, job, attempt: attempts.succeed(db, job, attempt, 1, 0.9, PROMOTION),
}
ENDS: dict[str, Callable[[sa.Connection, int, int], object]] = {
    "succeeded": WRITES["succeed"],
    "failed": WRITES["fail"],
    "cancelled": lambda db, job, _: jobs.cancel(db, job),
}


def everything(db: sa.Connection) -> list[Any]:
    return [list(db.execute(sa.select(table).order_by(*table.primary_key))) for table in (schema.jobs, schema.epochs, schema.checkpoints)]


def test_jobs_are_claimed_in_the_order_they_came(db: sa.Connection) -> None:
    submitted = [submit(db) for _ in range(3)]
    assert [claim(db) for _ in range(3)] == [(number, 1) for number in submitted]
    assert jobs.claim(db, slots=16) is None
    assert not jobs.count_queued(db)


def test_no_more_jobs_run_than_there_are_slots(db: sa.Connection) -> None:
    for _ in range(3):
        submit(db)
    assert jobs.claim(db, slots=0) is None
    assert [jobs.claim(db, slots=2) is not None for _ in range(3)] == [True, True, False]
    assert len(jobs.running(db)) == 2
    assert jobs.count_queued(db)


@pytest.mark.parametrize("write", WRITES)
def test_the_attempt_that_has_the_job_writes(db: sa.Connection, write: str) -> None:
    submit(db)
    assert WRITES[write](db, *claim(db))


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("what", ["replaced", "not yet claimed", *ENDS])
def test_an_attempt_that_has_lost_the_job_writes_nothing(db: sa.Connection, what: str, write: str) -> None:
    job = submit(db)
    attempt = 0
    if what != "not yet claimed":
        _, attempt = claim(db)
    if what == "replaced":
        attempts.requeue(db, job, attempt)
        claim(db)
    elif what in ENDS:
        ENDS[what](db, job, attempt)
    before = everything(db)
    assert not WRITES[write](db, job, attempt)
    attempts.interrupted(db, job, attempt, ERROR)
    assert everything(db) == before


def test_a_planned_stop_costs_nothing(db: sa.Connection) -> None:
    job = submit(db)
    for turn in range(1, 6):
        _, attempt = claim(db)
        assert attempt == turn
        attempts.requeue(db, job, attempt)
        row = jobs.find(db, job)
        assert row is not None
        assert (row.status, row.failures, row.stage) == ("queued", 0, None)


def test_a_job_keeps_its_place_and_its_first_start_when_it_is_queued_again(db: sa.Connection) -> None:
    first, _ = submit(db), submit(db)
    _, attempt = claim(db)
    row = jobs.find(db, first)
    assert row is not None
    attempts.interrupted(db, first, attempt, ERROR)
    assert claim(db) == (first, attempt + 1)
    again = jobs.find(db, first)
    assert again is not None
    assert again.started == row.started


def test_a_job_whose_trainer_dies_too_often_fails_with_the_reason(db: sa.Connection) -> None:
    job = submit(db)
    for turn in range(attempts.MOST_FAILURES):
        assert status(db, job) == "queued", turn
        attempts.interrupted(db, *claim(db), ERROR)
    row = jobs.find(db, job)
    assert row is not None
    assert (row.status, row.error) == ("failed", ERROR)
    assert row.finished is not None


def test_progress_forgives_earlier_failures(db: sa.Connection) -> None:
    job = submit(db)
    for _ in range(3 * attempts.MOST_FAILURES):
        _, attempt = claim(db)
        assert attempts.save_checkpoint(db, job, attempt, 1, b"state")
        attempts.interrupted(db, job, attempt, ERROR)
        assert status(db, job) == "queued"


def test_a_checkpoint_is_the_last_one_until_the_job_ends(db: sa.Connection) -> None:
    job = submit(db)
    assert attempts.load_checkpoint(db, job) is None
    _, attempt = claim(db)
    for epoch, content in ((1, b"first"), (2, b"second")):
        attempts.save_checkpoint(db, job, attempt, epoch, content)
        assert attempts.load_checkpoint(db, job) == content


@pytest.mark.parametrize("end", ENDS)
def test_a_job_that_has_ended_keeps_its_history_and_no_checkpoint(db: sa.Connection, end: str) -> None:
    job = submit(db)
    _, attempt = claim(db)
    attempts.record_epoch(db, job, attempt, record(1))
    attempts.save_checkpoint(db, job, attempt, 1, b"state")
    ENDS[end](db, job, attempt)
    assert status(db, job) == end
    assert attempts.load_checkpoint(db, job) is None
    assert jobs.history(db, job) == [record(1)]
    assert not jobs.cancel(db, job)


def test_a_run_that_starts_again_writes_its_history_anew_from_there(db: sa.Connection) -> None:
    job = submit(db)
    _, attempt = claim(db)
    for epoch in (1, 2, 3, 4):
        attempts.record_epoch(db, job, attempt, record(epoch))
    attempts.interrupted(db, job, attempt, ERROR)
    _, attempt = claim(db)
    attempts.record_epoch(db, job, attempt, record(2, train_loss=0.7))
    assert jobs.history(db, job) == [record(1), record(2, train_loss=0.7)]
    row = jobs.find(db, job)
    assert row is not None
    assert (row.epoch, row.metrics) == (2, record(2, train_loss=0.7))


def test_the_figures_of_a_job_that_succeeded_have_the_test_accuracy_too(db: sa.Connection) -> None:
    job = submit(db)
    _, attempt = claim(db)
    attempts.record_epoch(db, job, attempt, record(1))
    attempts.succeed(db, job, attempt, 7, 0.875, PROMOTION)
    row = jobs.find(db, job)
    assert row is not None
    assert (row.metrics, row.version, row.promotion) == ({**record(1), "test_accuracy": 0.875}, 7, PROMOTION)


def test_the_newest_jobs_come_first(db: sa.Connection) -> None:
    numbers = [submit(db) for _ in range(5)]
    assert [row.id for row in jobs.newest_first(db, limit=3)] == numbers[:1:-1]


def test_a_job_that_there_is_not_is_nothing(db: sa.Connection) -> None:
    assert jobs.find(db, 1) is None
    assert not jobs.cancel(db, 1)
    assert jobs.history(db, 1) == []


def test_old_jobs_are_forgotten_with_all_that_they_left_but_for_unfinished_ones_and_those_of_kept_models(
    db: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TOLD_SECONDS", -1)
    modelled, failed, waiting = submit(db), submit(db), submit(db)
    for _ in (modelled, failed):
        attempts.record_epoch(db, *claim(db), record(1))
    model = tiny.model()
    attempts.succeed(db, modelled, 1, models.add(db, model, artifact.to_bytes(model), "trained", modelled), 0.9, PROMOTION)
    attempts.fail(db, failed, 1, ERROR)
    newer = [submit(db) for _ in range(3)]
    jobs.prune(db, keep=3)
    assert [row.id for row in jobs.newest_first(db)] == [*newer[::-1], waiting, modelled]
    for table in (schema.epochs, schema.events):
        assert failed not in set(db.scalars(sa.select(table.c.job)))
        assert modelled in set(db.scalars(sa.select(table.c.job)))
    assert submit(db) == newer[-1] + 1


def test_a_job_that_has_just_ended_is_not_forgotten_before_its_followers_hear_of_it(db: sa.Connection) -> None:
    ended, _ = submit(db), submit(db)
    jobs.cancel(db, ended)
    jobs.prune(db, keep=1)
    assert [event.kind for event in events.after(db, ended, 0)][-1] == "done"
