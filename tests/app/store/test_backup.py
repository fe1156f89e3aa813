"""python -m app.backup: one state of the whole database in one new SQLite file, from either kind."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

import app.store.backup
from app import backup
from app.store import Store, StoreError, attempts, jobs, migrations, models, schema
from app.store.backup import Rows, back_up
from app.store.schema import meta
from model_core import artifact
from tests.support import tiny

CONTENT = artifact.to_bytes(tiny.model())


def fill(store: Store) -> None:
    """A model that serves, and a job with an epoch and a checkpoint."""
    with store.write() as db:
        models.activate(db, models.add(db, tiny.model(), CONTENT, "shipped"), "a test")
        job = jobs.submit(db, tiny.RECIPE.as_record(), "always", "a key", "a digest")
        assert jobs.claim(db, slots=1)
        attempts.record_epoch(db, job, 1, {"epoch": 1, "seconds": 0.5})
        attempts.save_checkpoint(db, job, 1, 1, b"state")


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as db:
        return {table.name: [tuple(row) for row in db.execute(sa.select(table))] for table in schema.metadata.sorted_tables}


def test_a_backup_holds_what_the_database_holds_and_can_take_its_place(store: Store, tmp_path: Path) -> None:
    fill(store)
    rows = back_up(store, tmp_path / "copy.db")
    with closing(Store(f"sqlite:///{tmp_path / 'copy.db'}")) as copy:
        copy.prepare()
        assert everything(copy) == everything(store)
        assert rows == sum(map(len, everything(store).values())) > 7
        with copy.write() as db:
            assert jobs.submit(db, {}, "never") == 2
            assert models.add(db, tiny.model(), CONTENT, "uploaded") == 2
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"]


def test_a_database_taken_back_from_a_backup_gives_no_number_again(store: Store, tmp_path: Path) -> None:
    fill(store)
    with store.write() as db:
        models.remove(db, models.add(db, tiny.model(), CONTENT, "uploaded"))
    back_up(store, tmp_path / "copy.db")
    with closing(Store(f"sqlite:///{tmp_path / 'copy.db'}")) as copy, copy.write() as db:
        assert models.add(db, tiny.model(), CONTENT, "uploaded") == 3
        assert jobs.submit(db, {}, "never") == 2


def test_a_backup_is_one_state_while_others_write(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    before = everything(store)
    rows = app.store.backup._rows

    def with_a_write_after_the_first(source: Store) -> Rows:
        found = rows(source)
        yield next(found)
        with store.write() as db:
            jobs.submit(db, {}, "never")
        yield from found

    monkeypatch.setattr(app.store.backup, "_rows", with_a_write_after_the_first)
    back_up(store, tmp_path / "copy.db")
    monkeypatch.undo()
    with closing(Store(f"sqlite:///{tmp_path / 'copy.db'}")) as copy:
        assert everything(copy) == before


def test_a_backup_takes_the_time_that_it_needs(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.store, "BUSY_SECONDS", 1)  # after which PostgreSQL ends a transaction that stands still
    rows = app.store.backup._rows

    def with_a_pause(source: Store) -> Rows:
        found = rows(source)
        yield next(found)
        time.sleep(2)
        yield from found

    monkeypatch.setattr(app.store.backup, "_rows", with_a_pause)
    with closing(Store(database_url)) as store:
        store.prepare()
        fill(store)
        with store.write() as db:
            for epoch in range(2, 100):
                attempts.record_epoch(db, 1, 1, {"epoch": epoch, "seconds": 0.5})
        assert back_up(store, tmp_path / "copy.db") > 200
        with closing(Store(f"sqlite:///{tmp_path / 'copy.db'}")) as copy:
            assert everything(copy) == everything(store)


def test_a_file_that_comes_while_a_backup_is_written_is_not_replaced(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, target = app.store.backup._rows, tmp_path / "copy.db"

    def while_somebody_writes_one(source: Store) -> Rows:
        target.write_text("mine")
        return rows(source)

    monkeypatch.setattr(app.store.backup, "_rows", while_somebody_writes_one)
    with pytest.raises(StoreError, match="exists already"):
        back_up(store, target)
    assert target.read_text() == "mine"
    assert list(tmp_path.glob("copy.db?*")) == []


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_what_another_database_has_left_does_not_become_part_of_a_backup(store: Store, tmp_path: Path, ending: str) -> None:
    left = tmp_path / f"copy.db{ending}"
    left.write_bytes(b"changes to another one")
    with pytest.raises(StoreError, match=rf"copy\.db{ending} is left of another database.*; remove it, or name a new file"):
        back_up(store, tmp_path / "copy.db")
    assert [path for path in tmp_path.iterdir() if path.name.startswith("copy")] == [left]


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["file", "link", "link to nothing", "folder"])
def test_what_another_backup_left_or_anybody_else_is_named_and_left_alone(store: Store, tmp_path: Path, ending: str, kind: str) -> None:
    left, precious = tmp_path / f"copy.db.unfinished{ending}", tmp_path / "precious.db"
    if kind == "folder":
        left.mkdir()
    elif kind == "file":
        left.write_text("mine")
    else:
        left.symlink_to(precious)
    if kind == "link":
        precious.write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=rf"unfinished{ending} exists: another backup is being written .*; wait for its end, remove "):
        back_up(store, tmp_path / "copy.db")
    assert sorted(tmp_path.iterdir()) == before
    assert kind in ("folder", "link to nothing") or left.read_text() == "mine"


def test_of_two_backups_to_one_name_the_second_is_refused(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    target, rows = tmp_path / "copy.db", app.store.backup._rows

    def while_another_one_tries(source: Store) -> Rows:
        monkeypatch.setattr(app.store.backup, "_rows", rows)
        with pytest.raises(StoreError, match=r"another backup is being written to .*copy\.db"):
            back_up(store, target)
        return rows(source)

    monkeypatch.setattr(app.store.backup, "_rows", while_another_one_tries)
    assert back_up(store, target) == 9
    with closing(Store(f"sqlite:///{target}")) as copy:
        assert everything(copy) == everything(store)
    assert list(tmp_path.glob("copy.db?*")) == []


def test_a_file_that_is_there_is_not_written_over_nor_a_link_to_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    (tmp_path / "link.db").symlink_to(tmp_path / "unmounted" / "copy.db")
    before = sorted(tmp_path.iterdir())
    for name in ("copy.db", "link.db"):
        with pytest.raises(StoreError, match="exists already"):
            back_up(store, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "copy.db").read_text() == "mine"


@pytest.mark.parametrize("name", ["a?b.db", "a%41.db", "a#b c.db"])
def test_a_backup_lies_where_it_was_asked_for_whatever_its_name(store: Store, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copies"
    back_up(store, folder / name)
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(
    "name",
    ["x" * 300, "x" * 250, "file/copy.db", os.fsdecode(b"\xff.db")],
    ids=["too long", "too long while it is unfinished", "in a file", "not UTF-8"],
)
def test_a_file_that_cannot_be_written_is_refused_by_its_name(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=r"cannot be written .*; name another file") as refusal:
        back_up(store, tmp_path / name)
    assert str(refusal.value).startswith(str(tmp_path / name))
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_row_is_said_of_the_database_and_nothing_is_left_of_the_copy(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'rookie.db'}")) as store:  # PostgreSQL takes no such thing
        store.prepare()
        fill(store)
        with store.write() as db:
            db.execute(sa.text("UPDATE jobs SET recipe = '{'"))
        with pytest.raises(StoreError, match=r"the database .* cannot be used: the database holds something damaged"):
            back_up(store, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def test_a_disk_that_is_full_is_said_of_the_copy_and_nothing_is_left_of_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    make = migrations.bring_up_to_date

    def make_on_a_small_disk(sink: sa.Connection) -> None:
        make(sink)
        sink.exec_driver_sql("PRAGMA max_page_count = 20")

    monkeypatch.setattr(migrations, "bring_up_to_date", make_on_a_small_disk)
    with pytest.raises(StoreError, match=r"copy\.db cannot be written \(database or disk is full\); name another file"):
        back_up(store, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def test_a_database_that_is_not_up_to_date_is_not_touched(store: Store, tmp_path: Path) -> None:
    with store.write() as db:
        db.execute(meta.update().values(value="1"))
    with pytest.raises(StoreError, match=r"has schema 1.*start the service once"):
        back_up(store, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_the_command_copies_and_says_how_much(
    store: Store, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store)
    monkeypatch.setenv("ROOKIE_DATABASE_URL", database_url)
    backup.main([str(tmp_path / "copy.db")])
    assert f"{tmp_path / 'copy.db'}: 9 rows of {database_url.partition('?')[0]}" in capsys.readouterr().out
    assert (tmp_path / "copy.db").stat().st_size > len(CONTENT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage:"),
        (["a.db", "b.db"], "usage:"),
        (["--help"], "usage:"),
        (["copy.db"], "there is no database"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOKIE_STATE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        backup.main(arguments)
    assert words in str(end.value.code)
    assert not list(tmp_path.iterdir())
    assert "\n" not in str(end.value.code)
    assert not list(tmp_path.glob("copy*"))


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_name_that_no_file_can_have_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="no name of a file"):
        back_up(store, Path(name))


def test_a_database_without_our_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.db").touch()
    with (
        closing(Store(f"sqlite:///{tmp_path / 'other.db'}", make=False)) as other,
        pytest.raises(StoreError, match="has no tables of Rookie's"),
    ):
        back_up(other, tmp_path / "copy.db")
