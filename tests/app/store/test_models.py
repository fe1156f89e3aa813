"""Versions and which of them is current."""

import pytest
import sqlalchemy as sa

from app.store import models, schema
from app.store.schema import activations
from model_core import artifact
from tests.support import tiny

CONTENT = artifact.to_bytes(tiny.model())


def add(db: sa.Connection, content: bytes = CONTENT) -> int:
    return models.add(db, tiny.model(), content, "uploaded")


def test_an_empty_database_has_no_current_version(db: sa.Connection) -> None:
    assert models.current_version(db) is None
    assert models.newest_first(db) == []
    assert models.version_with(db, artifact.sha256(CONTENT)) is None


def test_a_version_keeps_its_file_its_card_and_its_figures(db: sa.Connection) -> None:
    version = add(db)
    row = models.find(db, version)
    assert row is not None
    assert models.weights(db, version) == CONTENT
    assert (row.sha256, row.card, row.source, row.job) == (artifact.sha256(CONTENT), tiny.model().card, "uploaded", None)
    assert row.validation_accuracy == tiny.model().card["metrics"]["validation_accuracy"]
    assert models.version_with(db, row.sha256) == version


def test_a_new_version_does_not_serve_by_itself(db: sa.Connection) -> None:
    add(db)
    assert models.current_version(db) is None


def test_the_last_activation_counts_and_the_earlier_ones_stay(db: sa.Connection) -> None:
    first, second = add(db), add(db)
    for version in (first, second, first):
        models.activate(db, version, f"to {version}")
        assert models.current_version(db) == version
    history = db.execute(sa.select(activations.c.version, activations.c.reason).order_by(activations.c.id)).all()
    assert [tuple(row) for row in history] == [(version, f"to {version}") for version in (first, second, first)]


def test_a_version_that_there_is_not_cannot_serve(db: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        models.activate(db, 9, "a test")


def test_the_newest_of_two_versions_with_one_file_is_the_one_that_is_found(db: sa.Connection) -> None:
    first, second = add(db), add(db)
    assert first < second == models.version_with(db, artifact.sha256(CONTENT))


def test_a_number_is_never_used_again(db: sa.Connection) -> None:
    version = add(db)
    db.execute(sa.delete(schema.models).where(schema.models.c.version == version))
    assert add(db) > version
    assert models.find(db, version) is None
    assert models.weights(db, version) is None
