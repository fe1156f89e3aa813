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


def test_activations_of_long_ago_are_forgotten_but_for_each_versions_last(db: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "KEPT_ACTIVATIONS", 3)
    first, second, third = add(db), add(db), add(db)
    for version in (first, second, *[third, second] * 5):
        models.activate(db, version, "a test")
    assert models.current_version(db) == second
    assert models.predecessors(db) == [third, first]
    assert list(db.scalars(sa.select(activations.c.version).order_by(activations.c.id))) == [first, second, third, second]


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


def versions(db: sa.Connection) -> list[int]:
    return [row.version for row in reversed(models.newest_first(db))]


def test_pruning_keeps_the_current_version_its_last_predecessors_and_the_newest(db: sa.Connection) -> None:
    for _ in range(12):
        add(db)
    for version in (1, 2, 3, 4, 2, 5):
        models.activate(db, version, "a test")
    assert models.predecessors(db, 10) == [2, 4, 3, 1]
    assert models.prune(db, keep=2) == [1, 6, 7, 8, 9, 10]
    assert versions(db) == [2, 3, 4, 5, 11, 12]
    assert (models.current_version(db), models.predecessors(db, 10)) == (5, [2, 4, 3])
    assert models.prune(db, keep=2) == []


def test_pruning_keeps_the_way_back_however_often_one_went_to_and_fro(db: sa.Connection) -> None:
    for _ in range(6):
        add(db)
    for version in (1, 2, 1, 2, 1):
        models.activate(db, version, "a test")
    assert models.prune(db, keep=1) == [3, 4, 5]
    assert (models.current_version(db), models.predecessors(db, 10)) == (1, [2])


def test_pruning_an_empty_database_does_nothing(db: sa.Connection) -> None:
    assert models.prune(db, keep=1) == []
    assert models.predecessors(db, 3) == []


def test_a_version_that_is_removed_is_no_predecessor_any_more(db: sa.Connection) -> None:
    for version in (add(db), add(db), add(db)):
        models.activate(db, version, "a test")
    models.remove(db, 2)
    assert (versions(db), models.predecessors(db, 10)) == ([1, 3], [1])
