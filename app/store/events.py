"""What happened to jobs, in order: `status` (it changed), `epoch` (its record), and as the last one `done`."""

from typing import Any, Literal

import sqlalchemy as sa

from app.store import Row
from app.store.schema import events

Kind = Literal["status", "epoch", "done"]


def append(db: sa.Connection, job: int, kind: Kind, data: dict[str, Any]) -> None:
    """Add an event; the caller has changed the job's row in this transaction."""
    db.execute(events.insert().values(job=job, kind=kind, data=data))


def after(db: sa.Connection, job: int, last: int) -> list[Row]:
    """A job's events with a number above `last`, in order: id, kind, data."""
    wanted = sa.select(events.c.id, events.c.kind, events.c.data).where(events.c.job == job, events.c.id > last)
    return list(db.execute(wanted.order_by(events.c.id)))
