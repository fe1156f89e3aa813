"""SQLite as the store uses it: a write-ahead log, transactions that the store begins, and the same file from first to last."""

import os
import sqlite3
import time
from typing import Any

import sqlalchemy as sa


def engine(url: sa.URL, busy_seconds: float, options: dict[str, Any]) -> sa.Engine:
    """Connections to the file that `url` names; each waits for another's lock for `busy_seconds`."""
    # As many connections as there are threads: one that waits for the lock keeps none from reading.
    made = sa.create_engine(url, connect_args={"timeout": busy_seconds}, max_overflow=-1, **options)
    file = _File(url.database or "")
    sa.event.listen(made, "do_connect", lambda _dialect, _record, _args, _options: file.check())
    sa.event.listen(made, "connect", lambda connection, _record: _prepare(connection))
    sa.event.listen(made, "checkout", lambda _connection, _record, _proxy: file.check())
    sa.event.listen(made, "begin", _begin)
    return made


class _File:
    """The database's file. In place of one that was removed SQLite would make another, or go on with what no name leads to any more."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None

    def check(self) -> None:
        """Raises sqlite3.OperationalError where the file is not the one that was found first."""
        found = self._identity()
        if self._first is None:
            self._first = found
        elif found != self._first:
            raise sqlite3.OperationalError(f"{self._path} was removed or replaced while it was in use; start the service again")

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _prepare(connection: sqlite3.Connection) -> None:
    # pysqlite would open transactions by itself, and too late for reads; with None it leaves BEGIN to us.
    connection.isolation_level = None
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def use_write_ahead_log(store: sa.Engine, busy_seconds: float) -> None:
    """Turn the file to its write-ahead log, for good. Raises sqlalchemy's OperationalError."""
    # SQLite itself waits for every lock but this one: of two that turn a new file together, one is refused at once.
    given_up = time.monotonic() + busy_seconds / 2
    statement = "PRAGMA journal_mode=WAL"
    with store.connect() as connection:
        while True:
            try:
                connection.connection.cursor().execute(statement)  # outside of a transaction
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > given_up:
                    raise sa.exc.OperationalError(statement, {}, error) from error
            time.sleep(0.01)


def _begin(connection: sa.Connection) -> None:
    # A transaction that is going to write takes the lock at once: it waits there, instead of failing half-way.
    writing = connection.get_execution_options().get("rookie_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
