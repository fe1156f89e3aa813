"""Databases of earlier versions are brought up to date with all that they hold; those of later ones are left alone."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa

from app.store import Store, StoreError, events, jobs, models, schema
from app.store.schema import VERSION, meta
from model_core import artifact
from tests.support import tiny
from tests.support.postgres import Server

# What version 1 wrote. NUMBER and BLOB differ between the two kinds of database.
SCHEMA_1 = """
CREATE TABLE jobs (id NUMBER, status VARCHAR(16) NOT NULL, stage VARCHAR(32), recipe JSON NOT NULL, promote VARCHAR(16) NOT NULL,
    created VARCHAR(32) NOT NULL, started VARCHAR(32), finished VARCHAR(32), epoch INTEGER NOT NULL, epoch_seconds FLOAT, metrics JSON,
    version INTEGER, promotion JSON, error JSON, attempt INTEGER NOT NULL, failures INTEGER NOT NULL, heartbeat INTEGER NOT NULL);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE TABLE meta (key VARCHAR(64) NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE checkpoints (job INTEGER NOT NULL PRIMARY KEY REFERENCES jobs (id), epoch INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE epochs (job INTEGER NOT NULL REFERENCES jobs (id), epoch INTEGER NOT NULL, record JSON NOT NULL, PRIMARY KEY (job, epoch));
CREATE TABLE models (version NUMBER, sha256 VARCHAR(64) NOT NULL, source VARCHAR(16) NOT NULL, job INTEGER REFERENCES jobs (id),
    created VARCHAR(32) NOT NULL, validation_accuracy FLOAT NOT NULL, test_accuracy FLOAT NOT NULL,
    card JSON NOT NULL, weights BLOB NOT NULL);
CREATE INDEX ix_models_sha256 ON models (sha256);
CREATE TABLE activations (id NUMBER, version INTEGER NOT NULL REFERENCES models (version), activated VARCHAR(32) NOT NULL,
    reason TEXT NOT NULL);
INSERT INTO meta VALUES ('schema', '1');
INSERT INTO jobs (status, recipe, promote, created, epoch, attempt, failures, heartbeat) VALUES
    ('succeeded', '{"epochs": 4}', 'always', '2026-01-02T03:04:05.678Z', 4, 1, 0, 9),
    ('cancelled', '{"epochs": 5}', 'never', '2026-01-02T03:04:06.678Z', 0, 0, 0, 0),
    ('queued', '{"epochs": 6}', 'if-better', '2026-01-02T03:04:07.678Z', 2, 1, 0, 7);
INSERT INTO epochs VALUES (3, 1, '{"epoch": 1}'), (3, 2, '{"epoch": 2}')
"""
WORDS = {"sqlite": ("INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "BLOB"), "postgresql": ("SERIAL PRIMARY KEY", "BYTEA")}
CONTENT = artifact.to_bytes(tiny.model())


@pytest.fixture
def old(database_url: str) -> Iterator[Store]:
    """A database as version 1 left it: three jobs, a model that serves, a checkpoint."""
    with closing(Store(database_url)) as store:
        with store.write() as db:
            number, blob = WORDS[db.dialect.name]
            for statement in SCHEMA_1.replace(" NUMBER,", f" {number},").replace(" BLOB ", f" {blob} ").split(";"):
                db.execute(sa.text(statement.replace(":", r"\:")))
            db.execute(schema.checkpoints.insert().values(job=3, epoch=2, content=b"state"))
            models.activate(db, models.add(db, tiny.model(), CONTENT, "trained", 1), "a test")
        yield store


def test_a_database_of_version_1_keeps_its_jobs_its_models_and_its_checkpoints(old: Store) -> None:
    old.prepare()
    with old.read() as db:
        rows = [jobs.find(db, number) for number in (1, 2, 3)]
        assert [row and (row.status, row.recipe["epochs"], row.idempotency_key) for row in rows] == [
            ("succeeded", 4, None),
            ("cancelled", 5, None),
            ("queued", 6, None),
        ]
        assert jobs.history(db, 3) == [{"epoch": 1}, {"epoch": 2}]
        assert db.scalar(sa.select(schema.checkpoints.c.content)) == b"state"
        assert (models.current_version(db), models.weights(db, 1)) == (1, CONTENT)
        assert db.scalar(sa.select(meta.c.value)) == str(VERSION)


def test_what_is_brought_up_to_date_has_the_columns_of_a_new_database(old: Store) -> None:
    old.prepare()
    for table in schema.metadata.sorted_tables:
        found = {column["name"] for column in sa.inspect(old.engine).get_columns(table.name)}
        assert found == {column.name for column in table.c}, table.name


def test_jobs_that_had_ended_before_can_be_followed_to_their_end(old: Store) -> None:
    old.prepare()
    with old.read() as db:
        told = {number: [(event.kind, event.data["status"]) for event in events.after(db, number, 0)] for number in (1, 2, 3)}
    assert told == {1: [("done", "succeeded")], 2: [("done", "cancelled")], 3: []}


def test_a_database_that_was_brought_up_to_date_takes_new_jobs_and_knows_their_keys(old: Store) -> None:
    for _ in range(2):
        old.prepare()
    with old.write() as db:
        job = jobs.submit(db, {"epochs": 7}, "always", "a key", "a digest")
        known = jobs.with_key(db, "a key")
        assert known is not None
        assert known.id == job == 4
    with pytest.raises(sa.exc.IntegrityError), old.write() as db:
        jobs.submit(db, {"epochs": 7}, "always", "a key", "a digest")


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
@pytest.mark.parametrize("name", [name for name in schema.metadata.tables if name != meta.name])
def test_a_database_with_a_table_of_another_programs_is_refused_and_left_as_it_is(database_url: str, name: str, kind: str) -> None:
    with closing(Store(database_url)) as store:
        with store.write() as db:
            db.exec_driver_sql(f"CREATE {kind} {name} {'(id INTEGER PRIMARY KEY)' if kind == 'TABLE' else 'AS SELECT 1 AS id'}")
        with pytest.raises(StoreError, match=f"has a table or a view '{name}', which is not Rookie's; name another database"):
            store.prepare()
        with store.read() as db:
            assert [*sa.inspect(db).get_table_names(), *sa.inspect(db).get_view_names()] == [name]


@pytest.mark.parametrize("name", ["Checkpoints", "JOBS"])
def test_names_that_differ_in_the_case_of_their_letters_are_one_in_sqlite_and_two_in_postgresql(database_url: str, name: str) -> None:
    with closing(Store(database_url)) as store:
        with store.write() as db:
            db.exec_driver_sql(f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY)')
        if store.is_sqlite:
            with pytest.raises(StoreError, match=f"has a table or a view '{name.lower()}'"):
                store.prepare()
        else:
            store.prepare()
        with store.read() as db:
            assert name in sa.inspect(db).get_table_names()


@pytest.mark.parametrize("version", [0, -1])
def test_a_database_of_a_version_that_there_never_was_is_refused(store: Store, version: int) -> None:
    with store.write() as db:
        db.execute(meta.update().values(value=str(version)))
    with pytest.raises(StoreError, match=f"has schema {version}, which no version of Rookie has made"):
        store.prepare()


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["LATIN2", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(postgres: Server, encoding: str) -> None:
    postgres.execute(f"CREATE DATABASE {encoding.lower()} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    store = Store(f"postgresql+psycopg://rookie@127.0.0.1:{postgres.port}/{encoding.lower()}")
    with closing(store), pytest.raises(StoreError, match=f"has the encoding {encoding}; make one with ENCODING 'UTF8'"):
        store.prepare()


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(store: Store) -> None:
    with store.write() as db:
        db.execute(meta.update().values(value=str(VERSION + 1)))
    with pytest.raises(StoreError, match=f"schema {VERSION + 1}.*run the newer one"):
        store.prepare()
    with store.read() as db:
        assert db.scalar(sa.select(meta.c.value)) == str(VERSION + 1)
