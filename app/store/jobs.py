"""Training jobs: a queue, claimed in order, and what can be read of it. `attempts` has what a trainer may write."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from app.store import Row, events, now
from app.store.schema import checkpoints, epochs, jobs, models
from app.store.schema import events as events_table

STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
UNFINISHED = ("queued", "running")
TOLD_SECONDS = 60  # how long an ended job stays at least: whoever follows it, or asks now and then, shall hear of its end


def submit(db: sa.Connection, recipe: dict[str, Any], promote: str, key: str | None = None, digest: str | None = None) -> int:
    """Put a job at the end of the queue; its number. `key` and `digest` are those of a request that may be sent again."""
    values = {"recipe": recipe, "promote": promote, "idempotency_key": key, "request_digest": digest}
    job: int = db.execute(jobs.insert().values(status="queued", created=now(), **values).returning(jobs.c.id)).scalar_one()
    events.append(db, job, "status", {"status": "queued", "stage": None, "attempt": 0})
    return job


def prune(db: sa.Connection, keep: int) -> None:
    """Forget jobs before the newest `keep` that ended a minute ago or earlier, but for those whose models are kept.

    A hundred at a time, so that nobody waits long.
    """
    newest = db.scalar(sa.select(sa.func.max(jobs.c.id))) or 0
    with_models = sa.select(models.c.job).where(models.c.job.is_not(None))
    told = jobs.c.finished < now(ago=TOLD_SECONDS)
    old = sa.select(jobs.c.id).where(jobs.c.id <= newest - keep, told, jobs.c.id.not_in(with_models))
    gone = list(db.scalars(old.order_by(jobs.c.id).limit(100)))
    for table in (events_table, epochs, checkpoints):
        db.execute(table.delete().where(table.c.job.in_(gone)))
    db.execute(jobs.delete().where(jobs.c.id.in_(gone)))


def find(db: sa.Connection, job: int) -> Row | None:
    """One job."""
    return db.execute(sa.select(jobs).where(jobs.c.id == job)).one_or_none()


def which_exist(db: sa.Connection, wanted: Iterable[int]) -> set[int]:
    """Those of the jobs that were not forgotten."""
    return set(db.scalars(sa.select(jobs.c.id).where(jobs.c.id.in_(wanted))))


def with_key(db: sa.Connection, key: str) -> Row | None:
    """The job that was submitted with that idempotency key."""
    return db.execute(sa.select(jobs).where(jobs.c.idempotency_key == key)).one_or_none()


def newest_first(db: sa.Connection, limit: int = 100) -> list[Row]:
    """The newest jobs."""
    return list(db.execute(sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)))


def running(db: sa.Connection) -> list[Row]:
    """The jobs that some trainer works on."""
    return list(db.execute(sa.select(jobs).where(jobs.c.status == "running")))


def pulses(db: sa.Connection) -> list[Row]:
    """Of those the number, the attempt and the heartbeat: of whatever else a job holds, nothing must stand in the way of the others."""
    return list(db.execute(sa.select(jobs.c.id, jobs.c.attempt, jobs.c.heartbeat).where(jobs.c.status == "running")))


def count_queued(db: sa.Connection) -> int:
    """How many jobs wait for a trainer."""
    return db.scalar(sa.select(sa.func.count()).select_from(jobs).where(jobs.c.status == "queued")) or 0


def count_by_status(db: sa.Connection) -> dict[str, int]:
    """How many jobs there are of each status that any has."""
    counted = db.execute(sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status))
    return {row[0]: row[1] for row in counted}


def last_timed(db: sa.Connection) -> Row | None:
    """The newest job that has done an epoch: its recipe and the epoch's seconds."""
    timed = sa.select(jobs.c.recipe, jobs.c.epoch_seconds).where(jobs.c.epoch_seconds.is_not(None))
    return db.execute(timed.order_by(jobs.c.id.desc()).limit(1)).one_or_none()


def history(db: sa.Connection, job: int) -> list[dict[str, Any]]:
    """A job's Epoch records, in order."""
    return list(db.scalars(sa.select(epochs.c.record).where(epochs.c.job == job).order_by(epochs.c.epoch)))


def claim(db: sa.Connection, slots: int) -> Row | None:
    """Start the oldest queued job as a new attempt, unless `slots` jobs run already: its number and the attempt's."""
    busy = db.scalar(sa.select(sa.func.count()).where(jobs.c.status == "running")) or 0
    oldest = db.scalar(sa.select(sa.func.min(jobs.c.id)).where(jobs.c.status == "queued"))
    if busy >= slots or oldest is None:
        return None
    values = {"status": "running", "attempt": jobs.c.attempt + 1, "started": sa.func.coalesce(jobs.c.started, now())}
    change = jobs.update().where(jobs.c.id == oldest, jobs.c.status == "queued").values(values)
    claimed = db.execute(change.returning(jobs.c.id, jobs.c.attempt)).one_or_none()
    if claimed is not None:
        events.append(db, claimed.id, "status", {"status": "running", "stage": None, "attempt": claimed.attempt})
    return claimed


def cancel(db: sa.Connection, job: int) -> bool:
    """End a job that has not ended; its trainer, finding itself without a job, stops."""
    return end(db, job, "cancelled", jobs.c.status.in_(UNFINISHED))


def end(db: sa.Connection, job: int, status: str, *conditions: sa.ColumnElement[bool], **values: Any) -> bool:
    """Give a job its last status, under `conditions`; False where they do not hold. Its checkpoint goes."""
    change = jobs.update().where(jobs.c.id == job, *conditions)
    if db.execute(change.values(status=status, stage=None, finished=now(), **values)).rowcount != 1:
        return False
    db.execute(checkpoints.delete().where(checkpoints.c.job == job))
    events.append(db, job, "done", {"status": status, **values})
    return True
