"""A copy of one state of the whole database, whichever kind it is, as a new SQLite file."""

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from app.store import Store, StoreError, migrations, one_line, schema

_LAST_NUMBER = {
    "sqlite": sa.text("SELECT seq FROM sqlite_sequence WHERE name = :table"),
    "postgresql": sa.text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, :key) AS regclass))"),
}
_ROWS_AT_A_TIME = 20  # a model or a checkpoint may have megabytes
Rows = Generator[tuple[sa.Table, dict[str, Any]], None, None]


def back_up(store: Store, target: Path) -> int:
    """Copy the database to a new file; the number of rows. Raises StoreError, which says of which side it speaks."""
    if not target.name:
        raise StoreError(f"{str(target)!r} is no name of a file; name a new one")
    unfinished = target.with_name(f"{target.name}.unfinished")
    with _written(target):
        _make(unfinished, target)
        try:
            with closing(Store(f"sqlite:///{quote(str(unfinished))}")) as copy, closing(_rows(store)) as rows:
                count = _copy(rows, copy)
                _continue_numbers(store, copy)
            _make_whole(unfinished)
            _insist_on_room(target)
            unfinished.rename(target)
        except BaseException:
            _remove(unfinished)
            raise
    return count


def _make(unfinished: Path, target: Path) -> None:
    """The file that is to become the target, empty. Raises StoreError where there is one already: it may be anybody's."""
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    _insist_on_room(target)
    for path in (unfinished, *_beside(unfinished)):
        if os.path.lexists(path):
            raise StoreError(
                f"{path} exists: another backup is being written to {target}, or one was killed; "
                "wait for its end, remove what is left of it, or name a new file"
            )
    unfinished.touch(exist_ok=False)


def _insist_on_room(target: Path) -> None:
    """Raises StoreError where there is a file of that name, or one of those that SQLite keeps beside it."""
    if os.path.lexists(target):
        raise StoreError(f"{target} exists already; name a new file")
    for left in _beside(target):
        if os.path.lexists(left):
            raise StoreError(f"{left} is left of another database, and would become part of this one; remove it, or name a new file")


def _beside(path: Path) -> list[Path]:
    """The files that SQLite keeps beside a database while it is open, and reads before it where they are left."""
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")]


def _remove(unfinished: Path) -> None:
    for path in (unfinished, *_beside(unfinished)):
        with suppress(OSError, ValueError):
            path.unlink(missing_ok=True)


def _rows(store: Store) -> Rows:
    """Every row of one state, with its table; what goes wrong here is said of the database that is copied."""
    with store.explained(), store.read() as source:
        migrations.insist_on_present(source)
        if not store.is_sqlite:  # what has been read is written before more is asked for, however long that takes
            source.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        for table in schema.metadata.sorted_tables:
            with source.execute(sa.select(table).execution_options(yield_per=_ROWS_AT_A_TIME)) as found:
                for row in found.mappings():
                    yield table, dict(row)


def _copy(rows: Rows, copy: Store) -> int:
    count = 0
    with copy.write() as sink:
        migrations.bring_up_to_date(sink)
        sink.execute(schema.meta.delete())
        for table, row in rows:
            sink.execute(table.insert().values(row))
            count += 1
    return count


def _continue_numbers(store: Store, copy: Store) -> None:
    """Let the copy give no number that the database has given before: what had it may be gone, and still be spoken of."""
    with store.explained(), store.read() as source:
        numbers = {table.name: _last_number(source, table) for table in schema.NUMBERED}
    with copy.write() as sink:
        sink.exec_driver_sql("DELETE FROM sqlite_sequence")
        for row in numbers.items():
            sink.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", row)


def _make_whole(unfinished: Path) -> None:
    """Bring into the one file what closing it has left beside it: SQLite says nothing where the disk is full then."""
    with closing(sqlite3.connect(unfinished)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")


def _last_number(source: sa.Connection, table: sa.Table) -> int:
    """The last number that the database has given to a row of the table."""
    (key,) = table.primary_key
    last = source.scalar(_LAST_NUMBER[source.dialect.name], {"table": table.name, "key": key.name})
    return last or 0


@contextmanager
def _written(target: Path) -> Iterator[None]:
    """Say of a file that cannot be written why, and what to do."""
    try:
        yield
    except (OSError, UnicodeEncodeError, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        raise StoreError(f"{target} cannot be written ({_reason(error)}); name another file") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "its name is not UTF-8"  # SQLite takes no other
    return str(error.strerror) if isinstance(error, OSError) else one_line(error)
