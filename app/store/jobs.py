"""Training jobs: a queue, claimed in order. What a trainer writes is conditional on its attempt."""

from typing import Any

import sqlalchemy as sa

from app.store import Row, now
from app.store.schema import checkpoints, epochs, jobs, meta

MOST_FAILURES = 3  # attempts without progress, in a row, before a job is given up
UNFINISHED = ("queued", "running")


def submit(db: sa.Connection, recipe: dict[str, Any], promote: str) -> int:
    """Put a job at the end of the queue; its number."""
    row = jobs.insert().values(status="queued", recipe=recipe, promote=promote, created=now()).returning(jobs.c.id)
    number: int = db.execute(row).scalar_one()
    return number


def find(db: sa.Connection, job: int) -> Row | None:
    """One job."""
    return db.execute(sa.select(jobs).where(jobs.c.id == job)).one_or_none()


def newest_first(db: sa.Connection, limit: int = 100) -> list[Row]:
    """The newest jobs."""
    return list(db.execute(sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)))


def running(db: sa.Connection) -> list[Row]:
    """The jobs that some trainer works on."""
    return list(db.execute(sa.select(jobs).where(jobs.c.status == "running")))


def any_queued(db: sa.Connection) -> bool:
    """Whether a job waits for a trainer."""
    return bool(db.scalar(sa.select(sa.exists().where(jobs.c.status == "queued"))))


def history(db: sa.Connection, job: int) -> list[dict[str, Any]]:
    """A job's Epoch records, in order."""
    return list(db.scalars(sa.select(epochs.c.record).where(epochs.c.job == job).order_by(epochs.c.epoch)))


def claim(db: sa.Connection, slots: int) -> Row | None:
    """Start the oldest queued job as a new attempt, unless `slots` jobs run already."""
    # The one row that all claims lock makes them take turns on PostgreSQL; on SQLite a writing transaction is alone anyway.
    db.execute(sa.select(meta.c.value).where(meta.c.key == "schema").with_for_update())
    busy = db.scalar(sa.select(sa.func.count()).where(jobs.c.status == "running")) or 0
    oldest = db.scalar(sa.select(sa.func.min(jobs.c.id)).where(jobs.c.status == "queued"))
    if busy >= slots or oldest is None:
        return None
    started = sa.func.coalesce(jobs.c.started, now())
    change = jobs.update().where(jobs.c.id == oldest).values(status="running", attempt=jobs.c.attempt + 1, started=started)
    return db.execute(change.returning(*jobs.c)).one()


def cancel(db: sa.Connection, job: int) -> bool:
    """End a job that has not ended; its trainer, finding itself without a job, stops."""
    change = jobs.update().where(jobs.c.id == job, jobs.c.status.in_(UNFINISHED))
    return _end(db, job, change.values(status="cancelled", stage=None, finished=now()))


def interrupted(db: sa.Connection, job: int, attempt: int, error: dict[str, Any]) -> None:
    """A trainer died: queue its job again, or give it up with `error` after too many attempts without progress."""
    mine = _mine(job, attempt)
    failures = db.scalar(sa.select(jobs.c.failures).where(*mine))
    if failures is None:
        return
    if failures + 1 >= MOST_FAILURES:
        fail(db, job, attempt, error)
        return
    db.execute(jobs.update().where(*mine).values(status="queued", stage=None, failures=failures + 1))


def requeue(db: sa.Connection, job: int, attempt: int) -> bool:
    """Give a job back in good order, at a planned stop: it costs no attempt."""
    return db.execute(jobs.update().where(*_mine(job, attempt)).values(status="queued", stage=None)).rowcount == 1


def beat(db: sa.Connection, job: int, attempt: int) -> bool:
    """Say that attempt's trainer is alive; False where the job is no longer its own."""
    return db.execute(jobs.update().where(*_mine(job, attempt)).values(heartbeat=jobs.c.heartbeat + 1)).rowcount == 1


def enter(db: sa.Connection, job: int, attempt: int, stage: str) -> bool:
    """Say what the trainer does now; False where the job is no longer its own."""
    return db.execute(jobs.update().where(*_mine(job, attempt)).values(stage=stage)).rowcount == 1


def record_epoch(db: sa.Connection, job: int, attempt: int, record: dict[str, Any]) -> bool:
    """Keep what an epoch did; False where the job is no longer the trainer's own."""
    change = jobs.update().where(*_mine(job, attempt))
    mine = db.execute(change.values(epoch=record["epoch"], epoch_seconds=record["seconds"], metrics=record)).rowcount == 1
    if mine:
        # A resumed run repeats the epochs after its checkpoint; those of the attempt before it are no longer this job's.
        db.execute(epochs.delete().where(epochs.c.job == job, epochs.c.epoch >= record["epoch"]))
        db.execute(epochs.insert().values(job=job, epoch=record["epoch"], record=record))
    return mine


def save_checkpoint(db: sa.Connection, job: int, attempt: int, epoch: int, content: bytes) -> bool:
    """Replace the job's checkpoint; False where the job is no longer the trainer's own. Progress forgives earlier failures."""
    mine = db.execute(jobs.update().where(*_mine(job, attempt)).values(failures=0)).rowcount == 1
    if mine:
        db.execute(checkpoints.delete().where(checkpoints.c.job == job))
        db.execute(checkpoints.insert().values(job=job, epoch=epoch, content=content))
    return mine


def load_checkpoint(db: sa.Connection, job: int) -> bytes | None:
    """Where the job's training can be taken up again."""
    return db.scalar(sa.select(checkpoints.c.content).where(checkpoints.c.job == job))


def drop_checkpoint(db: sa.Connection, job: int) -> None:
    """Forget a checkpoint."""
    db.execute(checkpoints.delete().where(checkpoints.c.job == job))


def succeed(db: sa.Connection, job: int, attempt: int, version: int, test_accuracy: float, promotion: dict[str, Any]) -> bool:
    """End a job whose model is published; False where the job is no longer the trainer's own."""
    metrics = {**(db.scalar(sa.select(jobs.c.metrics).where(jobs.c.id == job)) or {}), "test_accuracy": test_accuracy}
    change = jobs.update().where(*_mine(job, attempt))
    values = {"status": "succeeded", "stage": None, "finished": now(), "version": version, "promotion": promotion, "metrics": metrics}
    return _end(db, job, change.values(values))


def fail(db: sa.Connection, job: int, attempt: int, error: dict[str, Any]) -> bool:
    """End a job with an error; False where the job is no longer the trainer's own."""
    change = jobs.update().where(*_mine(job, attempt))
    return _end(db, job, change.values(status="failed", stage=None, finished=now(), error=error))


def _mine(job: int, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.id == job, jobs.c.attempt == attempt, jobs.c.status == "running"


def _end(db: sa.Connection, job: int, change: sa.Update) -> bool:
    ended = db.execute(change).rowcount == 1
    if ended:
        drop_checkpoint(db, job)
    return ended
