"""The database where the parts of the service meet: SQLAlchemy Core over SQLite or PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.store import migrations, schema
from app.store.migrations import SchemaError

Row = sa.Row[*tuple[Any, ...]]

BUSY_SECONDS = 10  # how long a write waits for another one


class StoreError(Exception):
    """The database cannot be used; the text says why and what to do."""


class Store:
    """A database with our tables; `read` and `write` give a connection in a transaction. Raises StoreError for an impossible address."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            self.is_sqlite = parsed.get_backend_name() == "sqlite"
            arguments = {"timeout": BUSY_SECONDS} if self.is_sqlite else {"connect_timeout": BUSY_SECONDS}
            self.engine = sa.create_engine(parsed, connect_args=arguments, pool_pre_ping=not self.is_sqlite)
        except (sa.exc.ArgumentError, ImportError, ValueError) as error:
            raise StoreError(f"ROOKIE_DATABASE_URL names no database that can be used ({error})") from error
        if self.is_sqlite and parsed.database:
            _make_folder(Path(parsed.database).parent)
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        self.shown_url = parsed.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Create the tables where they are missing. Raises StoreError where the database cannot be used."""
        try:
            with self.write() as db:
                migrations.bring_up_to_date(db)
        except SchemaError as error:
            raise StoreError(f"the database {self.shown_url} {error}") from error
        except sa.exc.SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", error)).split())  # drivers write paragraphs
            raise StoreError(
                f"the database {self.shown_url} cannot be used: {reason}; ROOKIE_STATE_DIR or ROOKIE_DATABASE_URL can name another"
            ) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection whose changes are made together, or not at all."""
        with self.engine.connect() as connection:
            writing = connection.execution_options(rookie_write=True)
            with writing.begin():
                yield writing

    def backup(self, target: Path) -> int:
        """Copy one state of the whole database, whichever kind it is, into a new SQLite file; the number of rows."""
        if target.exists():
            raise StoreError(f"{target} exists already; name a new file")
        copy = Store(f"sqlite:///{target}")
        copy.prepare()
        rows = 0
        with self.read() as source, copy.write() as sink:
            sink.execute(schema.meta.delete())
            for table in schema.metadata.sorted_tables:
                for row in source.execute(sa.select(table)).mappings():
                    sink.execute(table.insert().values(dict(row)))
                    rows += 1
        copy.close()
        return rows

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def now() -> str:
    """The time as the database and the API write it: RFC 3339, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {folder} cannot be made ({error.strerror}); set ROOKIE_STATE_DIR to one that can") from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # pysqlite would open transactions by itself, and too late for reads; with None it leaves BEGIN to us.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that is going to write takes the lock at once: it waits there, instead of failing half-way.
    writing = connection.get_execution_options().get("rookie_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
