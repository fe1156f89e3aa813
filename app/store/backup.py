"""A copy of one state of the whole database, whichever kind it is, as a new SQLite file."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from app.store import Store, StoreError, migrations, one_line, schema

Rows = Generator[tuple[sa.Table, dict[str, Any]], None, None]


def back_up(store: Store, target: Path) -> int:
    """Copy the database to a new file; the number of rows. Raises StoreError, which says of which side it speaks."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    with _written(target, unfinished):
        if target.exists():
            raise StoreError(f"{target} exists already; name a new file")
        unfinished.unlink(missing_ok=True)
        with closing(Store(f"sqlite:///{quote(str(unfinished))}")) as copy, closing(_rows(store)) as rows:
            count = _copy(rows, copy)
        unfinished.rename(target)
    return count


def _rows(store: Store) -> Rows:
    """Every row of one state, with its table; what goes wrong here is said of the database that is copied."""
    with store.explained(), store.read() as source:
        migrations.insist_on_present(source)
        for table in schema.metadata.sorted_tables:
            for row in source.execute(sa.select(table)).mappings():
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


@contextmanager
def _written(target: Path, unfinished: Path) -> Iterator[None]:
    """Say of a file that cannot be written why, and what to do; what there is of it goes."""
    try:
        yield
    except (OSError, UnicodeEncodeError, sa.exc.SQLAlchemyError, StoreError) as error:
        with suppress(OSError, ValueError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{target} cannot be written ({_reason(error)}); name another file") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "its name is not UTF-8"  # SQLite takes no other
    return str(error.strerror) if isinstance(error, OSError) else one_line(error)
