"""From an older database to the present one: one step a version, each in the transaction that opens the database."""

from collections.abc import Callable

import sqlalchemy as sa

from app.store import schema


class SchemaError(Exception):
    """The database's schema is none that this version can use."""


def bring_up_to_date(db: sa.Connection) -> None:
    """Create the tables in an empty database, or take an older one's steps. Raises SchemaError for a newer one, or another program's."""
    found = _version(db)
    if found is None:
        _insist_on_room(db)
        schema.metadata.create_all(db)
        db.execute(schema.meta.insert().values(key="schema", value=str(schema.VERSION)))
        return
    if found < min(_STEPS):
        raise SchemaError(f"has schema {found}, which no version of Rookie has made; name another database")
    if found > schema.VERSION:
        raise SchemaError(f"has schema {found}, this version of Rookie knows {schema.VERSION}; run the newer one")
    for version in range(found, schema.VERSION):
        _STEPS[version](db)
    if found < schema.VERSION:
        db.execute(schema.meta.update().where(schema.meta.c.key == "schema").values(value=str(schema.VERSION)))


def insist_on_present(db: sa.Connection) -> None:
    """Raises SchemaError unless the database is as this version makes it."""
    found = _version(db)
    if found != schema.VERSION:
        state = "has no tables of Rookie's" if found is None else f"has schema {found}, this version of Rookie needs {schema.VERSION}"
        raise SchemaError(f"{state}; start the service once, or name another database")


def _insist_on_room(db: sa.Connection) -> None:
    """Raises SchemaError where a name that we need is somebody else's already: that table would be taken for ours."""
    inspector = sa.inspect(db)
    taken = sorted(name for name in schema.metadata.tables if inspector.has_table(name))  # or a view, and in SQLite in any case of letters
    if taken:
        raise SchemaError(f"has a table or a view {taken[0]!r}, which is not Rookie's; name another database")


def _version(db: sa.Connection) -> int | None:
    if not sa.inspect(db).has_table(schema.meta.name):
        return None
    found = db.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == "schema"))
    return None if found is None else int(found)


def _add_events_and_keys(db: sa.Connection) -> None:
    """From 1: jobs can be followed, and a repeated request can be known again."""
    schema.events.create(db)
    for column in ("idempotency_key VARCHAR(255)", "request_digest VARCHAR(64)"):
        db.exec_driver_sql(f"ALTER TABLE jobs ADD COLUMN {column}")
    db.exec_driver_sql("CREATE UNIQUE INDEX jobs_idempotency_key ON jobs (idempotency_key)")
    ended = sa.select(schema.jobs.c.id, schema.jobs.c.status).where(schema.jobs.c.status.in_(["succeeded", "failed", "cancelled"]))
    for job, status in db.execute(ended).all():  # whoever follows it would wait for ever for its end
        db.execute(schema.events.insert().values(job=job, kind="done", data={"status": status}))


_STEPS: dict[int, Callable[[sa.Connection], None]] = {1: _add_events_and_keys}
