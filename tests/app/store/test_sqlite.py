"""SQLite's own: a file that is taken by another, and one that is not the same any more."""

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.store import Store, StoreError
from app.store.backup import back_up
from app.store.schema import meta


def prepared(path: Path) -> Store:
    store = Store(f"sqlite:///{path}")
    store.prepare()
    return store


def test_who_finds_a_new_file_taken_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "rookie.db"
    with ThreadPoolExecutor(1) as pool, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(prepared, path)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        other.execute("COMMIT")
        waiting.result().close()


def test_a_file_of_another_program_is_refused_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE jobs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not Rookie's"):
        prepared(path)
    with closing(Store(f"sqlite:///{path}", make=False)) as store, pytest.raises(StoreError, match="has no tables of Rookie's"):
        back_up(store, tmp_path / "copy.db")
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["other.db"]


def test_ours_keeps_a_write_ahead_log_for_whoever_opens_it_next(tmp_path: Path) -> None:
    path = tmp_path / "rookie.db"
    prepared(path).close()
    with closing(Store(f"sqlite:///{path}")) as store, store.read() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def remove(path: Path) -> None:
    path.unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def put_a_copy(path: Path) -> None:
    copy = shutil.copy(path, path.with_name("copy.db"))
    Path(copy).rename(path)


@pytest.mark.parametrize("loss", [remove, remove_folder, put_a_copy])
@pytest.mark.parametrize("more", [0, 1], ids=["the connection that is there", "another one"])
def test_a_file_that_is_removed_or_replaced_takes_no_more_changes(tmp_path: Path, loss: Callable[[Path], None], more: int) -> None:
    path = tmp_path / "state" / "rookie.db"
    with closing(prepared(path)) as store:
        others = [store.engine.connect() for _ in range(more)]  # it takes the one that is there
        loss(path)
        was_there = path.exists()
        for use in (store.read, store.write):
            with pytest.raises(sa.exc.OperationalError, match=r"rookie\.db was removed or replaced .*start the service again"), use():
                pass
        assert path.exists() == was_there  # none is made in its place
        for other in others:
            other.close()
    with closing(prepared(path)) as store, store.write() as db:
        db.execute(meta.insert().values(key="count", value="1"))
