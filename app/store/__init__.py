"""The database where the parts of the service meet: SQLAlchemy Core over SQLite or PostgreSQL."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Semaphore
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.store import migrations, sqlite
from app.store.migrations import SchemaError

Row = sa.Row[*tuple[Any, ...]]

BUSY_SECONDS = 10  # how long a write waits for another one
MOST_CHANGES = 20  # that requests make or wait to make: half of the 40 threads in which requests are answered
# Connections to PostgreSQL that a process may have beside those of changes, and how many of all are kept while they are not needed.
_READING, _KEPT = 10, 5
_WRITE_LOCK = 784_500_324  # any number that no other program locks in this PostgreSQL database
# A server that no longer answers is given up after about as long: without this, a call to it could hang for hours.
_POSTGRES = {
    "client_encoding": "utf8",  # without it, all text of a database without an encoding (SQL_ASCII) would be bytes
    "connect_timeout": BUSY_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class StoreError(Exception):
    """The database cannot be used; the text says why and what to do."""


class BusyError(Exception):
    """As many changes wait for the database as may."""


class DamagedError(Exception):
    """A row holds what none of ours does."""


class Store:
    """A database with our tables; `read` and `write` give a connection in a transaction.

    Raises StoreError for an impossible address, and for a SQLite file that is not there unless it may `make` one.
    """

    def __init__(self, url: str, make: bool = True) -> None:
        try:
            parsed = _parsed(url)
            self.is_sqlite = parsed.get_backend_name() == "sqlite"
            self.engine = sqlite.engine(parsed, BUSY_SECONDS, _OPTIONS) if self.is_sqlite else _postgres_engine(parsed)
        except (sa.exc.ArgumentError, ImportError, ValueError) as error:
            raise StoreError(f"ROOKIE_DATABASE_URL names no database that can be used ({one_line(error)})") from error
        if self.engine.dialect.is_async:
            raise StoreError(f"ROOKIE_DATABASE_URL names the driver {self.engine.driver}, which cannot be waited for; leave it out")
        self._changes = Semaphore(MOST_CHANGES)
        self.shown_url = parsed.set(query={}).render_as_string(hide_password=True)  # a password can stand in the query too
        if self.is_sqlite and parsed.database:
            self._find(Path(parsed.database), make)

    def _find(self, path: Path, make: bool) -> None:
        if make:
            _make_folder(path.parent)
        elif not path.is_file():
            raise StoreError(f"there is no database {self.shown_url}; ROOKIE_STATE_DIR or ROOKIE_DATABASE_URL can name another")

    def prepare(self) -> None:
        """Create the tables where they are missing. Raises StoreError where the database cannot be used."""
        with _explained(self.shown_url):
            with self.write() as db:
                if not self.is_sqlite:
                    _insist_on_unicode(db)
                migrations.bring_up_to_date(db)
            if self.is_sqlite:  # which is ours
                sqlite.use_write_ahead_log(self.engine, BUSY_SECONDS)

    def explained(self) -> AbstractContextManager[None]:
        """Whatever the database refuses inside is a StoreError that says which one it is."""
        return _explained(self.shown_url)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database."""
        with self.engine.connect() as connection:
            reading = connection if self.is_sqlite else connection.execution_options(isolation_level="REPEATABLE READ")
            with reading.begin():
                yield reading

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection whose changes are made together, or not at all. Writers take turns: what one has read nobody changes meanwhile."""
        with self.engine.connect() as connection:
            writing = connection.execution_options(rookie_write=True)
            with writing.begin():
                if not self.is_sqlite:
                    writing.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITE_LOCK)))
                yield writing

    @contextmanager
    def change(self, first: Callable[[], object] = lambda: None) -> Iterator[sa.Connection]:
        """`write`, for a request; what it has to do `first` makes no other writer wait.

        Raises BusyError at once where too many wait: they would leave no thread for those who only read.
        """
        if not self._changes.acquire(blocking=False):
            raise BusyError(f"{MOST_CHANGES} changes wait for the database already")
        try:
            first()
            with self.write() as connection:
                yield connection
        finally:
            self._changes.release()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _explained(shown_url: str) -> Iterator[None]:
    """Say of a database that cannot be used which one it is, and what to do."""
    try:
        yield
    except SchemaError as error:
        raise StoreError(f"the database {shown_url} {error}") from error
    except (sa.exc.SQLAlchemyError, DamagedError, ValueError) as error:  # ValueError: a NUL in the address
        reason = one_line(error)
        raise StoreError(
            f"the database {shown_url} cannot be used: {reason}; ROOKIE_STATE_DIR or ROOKIE_DATABASE_URL can name another"
        ) from error


def one_line(error: Exception) -> str:
    """What an error says, or what the driver said beneath it, for drivers write paragraphs."""
    return " ".join(str(getattr(error, "orig", error)).split())


def now(ago: float = 0.0) -> str:
    """The time `ago` seconds before now, as the database and the API write it: RFC 3339, UTC, to the millisecond."""
    return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parsed(url: str) -> sa.URL:
    """The address. A password with signs that it should not have ends up in the port or the host, which errors would show."""
    refusal = StoreError("ROOKIE_DATABASE_URL cannot be read; in a password, / : and @ are written %2F, %3A and %40")
    try:
        parsed = make_url(url)
    except ValueError:
        raise refusal from None
    if parsed.get_backend_name() != "sqlite" and any("@" in part for part in (parsed.host or "", parsed.database or "", *parsed.query)):
        raise refusal
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("ROOKIE_DATABASE_URL names no file for SQLite, and a trainer would not see what is in memory; name one")
    if parsed.get_backend_name() == "sqlite" and parsed.query:
        raise StoreError("ROOKIE_DATABASE_URL can have no options for SQLite: only the path of a file, sqlite:////var/lib/rookie.db")
    return parsed


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(f"the folder {folder} cannot be made ({reason}); set ROOKIE_STATE_DIR to one that can") from error


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"the database holds something damaged where JSON is due: {text[:80]!r}") from error


_OPTIONS: dict[str, Any] = {"hide_parameters": True, "json_deserializer": _from_json}


def _postgres_engine(url: sa.URL) -> sa.Engine:
    ours = {name: value for name, value in _POSTGRES.items() if name not in url.query}
    engine = sa.create_engine(
        url,
        connect_args=ours,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_size=_KEPT,
        max_overflow=MOST_CHANGES + _READING - _KEPT,
        pool_timeout=BUSY_SECONDS,
        **_OPTIONS,
    )
    sa.event.listen(engine, "connect", _prepare_postgres)
    return engine


def _insist_on_unicode(db: sa.Connection) -> None:
    """Raises SchemaError for a database of PostgreSQL that cannot hold every text that a client may send."""
    encoding = db.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise SchemaError(f"has the encoding {encoding}; make one with ENCODING 'UTF8'")


def _prepare_postgres(connection: Any, _record: Any) -> None:
    # A writer whose machine has vanished must not hold the lock until TCP notices.
    with connection.cursor() as cursor:
        for limit in ("lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET {limit} = '{BUSY_SECONDS}s'")
    connection.commit()
