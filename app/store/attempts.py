"""What a trainer writes of its job. Every write is conditional on the attempt, and False says that it is no longer the trainer's own."""

from typing import Any

import sqlalchemy as sa

from app.store import events, jobs
from app.store.schema import checkpoints, epochs
from app.store.schema import jobs as table

MOST_FAILURES = 3  # attempts without progress, in a row, before a job is given up


def beat(db: sa.Connection, job: int, attempt: int) -> bool:
    """Say that the attempt's trainer is alive."""
    return _change(db, job, attempt, heartbeat=table.c.heartbeat + 1)


def enter(db: sa.Connection, job: int, attempt: int, stage: str) -> bool:
    """Say what the trainer does now."""
    mine = _change(db, job, attempt, stage=stage)
    if mine:
        events.append(db, job, "status", {"status": "running", "stage": stage, "attempt": attempt})
    return mine


def record_epoch(db: sa.Connection, job: int, attempt: int, record: dict[str, Any]) -> bool:
    """Keep what an epoch did. A resumed run repeats the epochs after its checkpoint: they take the place of what stands there."""
    mine = _change(db, job, attempt, epoch=record["epoch"], epoch_seconds=record["seconds"], metrics=record)
    if mine:
        db.execute(epochs.delete().where(epochs.c.job == job, epochs.c.epoch >= record["epoch"]))
        db.execute(epochs.insert().values(job=job, epoch=record["epoch"], record=record))
        events.append(db, job, "epoch", record)
    return mine


def save_checkpoint(db: sa.Connection, job: int, attempt: int, epoch: int, content: bytes) -> bool:
    """Replace the job's checkpoint. Progress forgives earlier failures."""
    mine = _change(db, job, attempt, failures=0)
    if mine:
        db.execute(checkpoints.delete().where(checkpoints.c.job == job))
        db.execute(checkpoints.insert().values(job=job, epoch=epoch, content=content))
    return mine


def load_checkpoint(db: sa.Connection, job: int) -> bytes | None:
    """Where the job's training can be taken up again."""
    return db.scalar(sa.select(checkpoints.c.content).where(checkpoints.c.job == job))


def interrupted(db: sa.Connection, job: int, attempt: int, error: dict[str, Any]) -> bool:
    """The trainer died: queue its job again, or give it up with `error` after too many attempts without progress."""
    failures = db.scalar(sa.select(table.c.failures).where(*_own(job, attempt)))
    if failures is not None and failures + 1 >= MOST_FAILURES:
        return fail(db, job, attempt, error)
    return _give_back(db, job, attempt, failures=table.c.failures + 1)


def requeue(db: sa.Connection, job: int, attempt: int) -> bool:
    """Give a job back in good order, at a planned stop: it costs no attempt."""
    return _give_back(db, job, attempt)


def succeed(db: sa.Connection, job: int, attempt: int, version: int, test_accuracy: float, promotion: dict[str, Any]) -> bool:
    """End a job whose model is published."""
    metrics = {**(db.scalar(sa.select(table.c.metrics).where(table.c.id == job)) or {}), "test_accuracy": test_accuracy}
    return jobs.end(db, job, "succeeded", *_own(job, attempt), version=version, promotion=promotion, metrics=metrics)


def fail(db: sa.Connection, job: int, attempt: int, error: dict[str, Any]) -> bool:
    """End a job with an error."""
    return jobs.end(db, job, "failed", *_own(job, attempt), error=error)


def _give_back(db: sa.Connection, job: int, attempt: int, **values: Any) -> bool:
    mine = _change(db, job, attempt, status="queued", stage=None, **values)
    if mine:
        events.append(db, job, "status", {"status": "queued", "stage": None, "attempt": attempt})
    return mine


def _change(db: sa.Connection, job: int, attempt: int, **values: Any) -> bool:
    return db.execute(table.update().where(*_own(job, attempt)).values(**values)).rowcount == 1


def _own(job: int, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.id == job, table.c.attempt == attempt, table.c.status == "running"
