"""The database: made once, by whoever comes first; refused where it cannot be used."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.settings import Settings
from app.store import Store, StoreError, now
from app.store.schema import VERSION, meta

WRITERS, TURNS = 8, 10


def prepared(url: str) -> Store:
    store = Store(url)
    store.prepare()
    return store


def count(store: Store) -> int:
    with store.read() as db:
        return int(db.scalar(sa.select(meta.c.value).where(meta.c.key == "count")) or 0)


def test_a_database_can_be_prepared_again(database_url: str) -> None:
    for _ in range(2):
        with closing(prepared(database_url)) as store, store.read() as db:
            assert db.scalar(sa.select(meta.c.value).where(meta.c.key == "schema")) == str(VERSION)


def test_processes_that_start_together_make_one_database(database_url: str) -> None:
    together = threading.Barrier(WRITERS)

    def start(_: int) -> None:
        together.wait()
        prepared(database_url).close()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(start, range(WRITERS)))
    with closing(prepared(database_url)) as store, store.read() as db:
        assert len(db.execute(sa.select(meta)).all()) == 1


def test_writers_wait_for_each_other_and_lose_nothing(database_url: str) -> None:
    with closing(prepared(database_url)) as store, store.write() as db:
        db.execute(meta.insert().values(key="count", value="0"))

    def add(_: int) -> None:
        with closing(Store(database_url)) as mine:
            for _ in range(TURNS):
                with mine.write() as db:
                    found = int(db.scalars(sa.select(meta.c.value).where(meta.c.key == "count")).one())
                    db.execute(meta.update().where(meta.c.key == "count").values(value=str(found + 1)))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(add, range(WRITERS)))
    with closing(Store(database_url)) as store:
        assert count(store) == WRITERS * TURNS


def test_a_write_that_fails_changes_nothing(database_url: str) -> None:
    with closing(prepared(database_url)) as store:
        with suppress(KeyboardInterrupt), store.write() as db:
            db.execute(meta.insert().values(key="count", value="1"))
            raise KeyboardInterrupt
        assert count(store) == 0


def test_a_reader_sees_one_state_while_others_write(database_url: str) -> None:
    with closing(prepared(database_url)) as store, store.read() as reader:
        seen = reader.execute(sa.select(meta)).all()
        with store.write() as db:
            db.execute(meta.insert().values(key="count", value="1"))
        assert reader.execute(sa.select(meta)).all() == seen
        assert count(store) == 1


def test_a_folder_that_cannot_be_made_is_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="ROOKIE_STATE_DIR"):
        prepared(f"sqlite:///{tmp_path / 'file' / 'state' / 'rookie.db'}")


@pytest.mark.parametrize("obstacle", ["a folder", "a file of another kind"])
def test_a_file_that_is_no_database_is_refused_with_the_setting_to_change(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "rookie.db"
    if obstacle == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"I am no database. " * 100)
    with pytest.raises(StoreError, match=r"rookie\.db.*ROOKIE_STATE_DIR"):
        prepared(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+nothing:///rookie.db",
        "postgresql+nothing://host/rookie",
        "postgresql+psycopg_async://rookie:hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie:hush@host:port/rookie",
        "postgresql+psycopg://rookie:hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie:hu/hush:hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie:pass@hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie:pass:hush@hush:hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie@127.0.0.1:1/rookie?password=hush",
        "postgresql+psycopg://rookie:p@ss/hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie:p@ss?hush@127.0.0.1:1/rookie",
        "postgresql+psycopg://rookie:p@ss?x=hush@127.0.0.1:1/rookie",
    ],
    ids=[
        *("no driver", "another", "one that does not wait", "no port", "nobody there", "a slash", "an at", "both", "in the query"),
        *("@ and /", "@ and ?", "@ and ?="),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError, match="ROOKIE_DATABASE_URL") as refusal:
        prepared(url)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///{folder}/x.db?timeout=abc",
        "sqlite:///{folder}/x.db?check_same_thread=true",
        "sqlite:///{folder}/%00",
        "sqlite:///{folder}/%00/x.db",
        "sqlite://host/x.db",
        "sqlite:///:memory:",
        "sqlite:///file:{folder}/x.db?uri=true",
        "postgresql+psycopg://a..b/rookie",
        "postgresql+psycopg://127.0.0.1:1/rookie?connect_timeout=abc",
    ],
)
def test_an_address_with_impossible_parts_is_refused_in_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match=r"ROOKIE_DATABASE_URL|ROOKIE_STATE_DIR") as refusal:
        prepared(url.format(folder=tmp_path))
    assert "\n" not in str(refusal.value)


def test_times_are_written_so_that_their_order_is_that_of_their_text() -> None:
    first, second = now(), now()
    assert first <= second
    assert first[10] == "T"
    assert first.endswith("Z")
    assert len(first) == len("2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize("name", ["a?b", "a%41#c", "a b", "\u00fc"])
def test_the_database_lies_in_the_state_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    store = Store(Settings(state_dir=tmp_path / name).store_url)
    store.prepare()
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "rookie.db").is_file()


def test_a_database_without_a_file_is_refused() -> None:
    with pytest.raises(StoreError, match="names no file for SQLite"):
        Store("sqlite://")
