"""What a trainer does with a job: train, score, publish, promote. In this process; test_train.py has the real ones."""

import dataclasses
import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from app.errors import training_problem
from app.jobs.promotion import Gate
from app.jobs.stop import StopRequestedError, StopSignal
from app.jobs.trainer import LostJobError, Trainer, fail, give_back, work
from app.main import open_store
from app.settings import Settings
from app.store import Row, Store, attempts, jobs, models
from model_core import Model, Recipe, artifact, checkpoint, data, download, training
from model_core.errors import ArtifactError, DataError, DivergenceError, DownloadError
from tests.support import tiny
from tests.support.service import PATIENCE_SECONDS, add_version, environ_of

POOR = dataclasses.replace(tiny.RECIPE, epochs=1, learning_rate=1e-6)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A database with the shipped model, whose validation accuracy is 100 %."""
    store = open_store(settings)
    yield store
    store.close()


def start(
    store: Store,
    settings: Settings,
    recipe: Recipe = tiny.RECIPE,
    promote: str = "if-better",
    saved: bytes | None = None,
    stop: StopSignal | None = None,
) -> Trainer:
    """A trainer with a job; `saved` is what an earlier attempt left."""
    with store.write() as db:
        job = jobs.submit(db, recipe.as_record(), promote)
        row = jobs.claim(db, slots=16)
        assert row is not None
        assert row.id == job
        if saved is not None:
            attempts.save_checkpoint(db, job, row.attempt, 1, saved)
    return Trainer(store, settings, row.id, row.attempt, stop)


def finish(store: Store, trainer: Trainer) -> Row:
    """Let the trainer do its job; how that ended."""
    trainer.run()
    with store.read() as db:
        row = jobs.newest_first(db)[0]
    assert row.status == "succeeded"
    return row


def current_version(store: Store) -> int | None:
    with store.read() as db:
        return models.current_version(db)


def published(store: Store, version: int) -> Model:
    with store.read() as db:
        content = models.weights(db, version)
    assert content is not None
    return artifact.from_bytes(content, "the published version")


def test_a_job_publishes_what_the_library_trains(store: Store, settings: Settings) -> None:
    row = finish(store, start(store, settings))
    model = published(store, row.version)
    for mine, theirs in zip(model.parameters, tiny.model().parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert model.card["metrics"] == tiny.model().card["metrics"]
    assert model.card["data"] == data.file_hashes(settings.data_dir)
    assert row.metrics["test_accuracy"] == model.card["metrics"]["test_accuracy"]


def test_a_model_that_is_as_good_as_the_one_that_serves_is_promoted(store: Store, settings: Settings) -> None:
    row = finish(store, start(store, settings))
    assert row.promotion == {"promoted": True, "reason": "validation 100.00% is at least the serving model's 100.00%"}
    assert current_version(store) == row.version == 2


def test_a_model_that_is_worse_is_kept_aside_with_both_figures(store: Store, settings: Settings) -> None:
    row = finish(store, start(store, settings, POOR))
    worse = published(store, row.version).card["metrics"]["validation_accuracy"]
    assert worse < 1
    assert row.promotion == {"promoted": False, "reason": f"validation {worse:.2%} is under the serving model's 100.00%"}
    assert current_version(store) == 1


@pytest.mark.parametrize(("promote", "recipe", "current"), [("always", POOR, 2), ("never", tiny.RECIPE, 1)])
def test_the_request_can_settle_the_promotion(store: Store, settings: Settings, promote: str, recipe: Recipe, current: int) -> None:
    row = finish(store, start(store, settings, recipe, promote))
    assert row.promotion == {"promoted": current == 2, "reason": f"the request said promote: {promote}"}
    assert current_version(store) == current


def test_the_serving_models_own_claims_do_not_count(store: Store, settings: Settings) -> None:
    model = tiny.model()
    modest = dataclasses.replace(model, card={**model.card, "metrics": {**model.card["metrics"], "validation_accuracy": 0.01}})
    version = add_version(settings, modest)
    with store.write() as db:
        models.activate(db, version, "a test")
    row = finish(store, start(store, settings, POOR))
    assert row.promotion["promoted"] is False
    assert "serving model's 100.00%" in row.promotion["reason"]


def test_a_model_is_held_against_the_one_that_serves_when_it_is_published(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = finish(store, start(store, settings, POOR, "always")).version
    good = add_version(settings, tiny.model())
    score = Gate.score_current
    turns: list[Gate] = []

    def score_and_be_overtaken(gate: Gate) -> None:
        score(gate)
        if not turns:
            with store.write() as db:
                models.activate(db, good, "meanwhile")
        turns.append(gate)

    monkeypatch.setattr(Gate, "score_current", score_and_be_overtaken)
    assert current_version(store) == poor
    row = finish(store, start(store, settings, POOR))
    assert (row.promotion["promoted"], len(turns)) == (False, 2)
    assert current_version(store) == good


def test_a_damaged_serving_model_does_not_stand_in_the_way(store: Store, settings: Settings) -> None:
    with store.write() as db:
        models.activate(db, models.add(db, tiny.model(), b"PK damaged", "uploaded"), "a test")
    row = finish(store, start(store, settings, POOR))
    assert row.promotion["promoted"] is True
    assert "no other model serves" in row.promotion["reason"]


def test_a_run_that_is_taken_up_ends_as_one_that_was_never_broken_off(store: Store, settings: Settings) -> None:
    *_, second = itertools.islice(training.train(tiny.RECIPE, tiny.training_data()), 2)
    row = finish(store, start(store, settings, saved=checkpoint.to_bytes(tiny.RECIPE, second.state)))
    for mine, theirs in zip(published(store, row.version).parameters, tiny.model().parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with store.read() as db:
        assert [record["epoch"] for record in jobs.history(db, row.id)] == [3, 4]


def test_a_damaged_checkpoint_is_said_and_the_run_starts_afresh(store: Store, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    row = finish(store, start(store, settings, saved=b"damaged"))
    assert "starts afresh" in caplog.text
    with store.read() as db:
        assert [record["epoch"] for record in jobs.history(db, row.id)] == [1, 2, 3, 4]


def test_a_stopped_run_leaves_its_last_whole_epoch(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = start(store, settings)
    monkeypatch.setattr(attempts, "record_epoch", functools.partial(_break_off, attempts.record_epoch, 2))
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    trainer.save()
    with store.read() as db:
        saved, history = attempts.load_checkpoint(db, 1), jobs.history(db, 1)
    assert saved is not None
    recipe, state = checkpoint.from_bytes(saved, "the checkpoint")
    assert (recipe, state.epoch) == (tiny.RECIPE, 2)
    assert history == state.history


def _break_off(record: Any, at: int, db: Any, job: int, attempt: int, figures: dict[str, Any]) -> bool:
    """Record epochs up to number `at`, and stop in the middle of the next one's record."""
    recorded: bool = record(db, job, attempt, figures)
    if figures["epoch"] > at:
        raise KeyboardInterrupt
    return recorded


@pytest.mark.parametrize("end", ["cancelled", "replaced"])
def test_a_trainer_that_has_lost_its_job_publishes_nothing(store: Store, settings: Settings, end: str) -> None:
    trainer = start(store, settings, promote="always")
    with store.write() as db:
        if end == "cancelled":
            jobs.cancel(db, 1)
        else:
            attempts.requeue(db, 1, 1)
            jobs.claim(db, slots=1)
    with pytest.raises(LostJobError):
        trainer.run()
    with store.read() as db:
        assert [row.version for row in models.newest_first(db)] == [1]


def test_a_training_that_diverges_says_where_and_what_to_lower(store: Store, settings: Settings) -> None:
    wild = dataclasses.replace(tiny.RECIPE, epochs=20, learning_rate=10.0, momentum=0.999)
    with pytest.raises(DivergenceError, match=r"epoch \d+, step \d+.*lower learning_rate.*momentum"):
        start(store, settings, wild).run()


def test_a_training_whose_weights_outgrow_the_artifact_fails_as_diverged_and_says_what_to_lower(store: Store, settings: Settings) -> None:
    with pytest.raises(DivergenceError, match=r"weights grew so large .* epoch 1, .*lower learning_rate.*momentum") as diverged:
        start(store, settings, saved=checkpoint.to_bytes(tiny.RECIPE, tiny.overgrown(tiny.RECIPE))).run()
    fail(store, 1, 1, training_problem(diverged.value))
    with store.read() as db:
        (row,) = jobs.newest_first(db)
    assert (row.status, row.version, row.error["code"]) == ("failed", None, "diverged")


def test_a_model_that_could_not_be_loaded_is_not_published(store: Store, settings: Settings) -> None:
    state = tiny.overgrown(tiny.RECIPE)  # at its end, as no training would leave it
    state.best, state.epoch, state.history = state.parameters, tiny.RECIPE.epochs, tiny.model().card["history"]
    with pytest.raises(ArtifactError, match="overflow"):
        start(store, settings, promote="always", saved=checkpoint.to_bytes(tiny.RECIPE, state)).run()
    with store.read() as db:
        assert [row.version for row in models.newest_first(db)] == [1]


def test_a_dataset_that_cannot_be_fetched_is_said_with_the_way_out(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "fetch", functools.partial(download.fetch, sources=["http://127.0.0.1:1/"]))
    trainer = start(store, dataclasses.replace(settings, data_dir=tmp_path / "empty"))
    with pytest.raises(DownloadError, match=r"could not be fetched.*yourself"):
        trainer.run()
    with store.read() as db:
        assert jobs.newest_first(db)[0].stage == "fetching data"


def test_a_data_folder_that_cannot_be_made_is_an_error_of_the_data(store: Store, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    trainer = start(store, dataclasses.replace(settings, data_dir=tmp_path / "file" / "data"))
    with pytest.raises(DataError, match="file"):
        trainer.run()


def test_test_images_that_cannot_be_read_end_a_job_before_it_trains(store: Store, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(settings.data_dir, folder)
    images = folder / "t10k-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(DataError, match="t10k-images"):
        start(store, dataclasses.replace(settings, data_dir=folder)).run()
    with store.read() as db:
        assert jobs.history(db, 1) == []


def test_old_versions_go_when_a_new_one_is_published(store: Store, settings: Settings) -> None:
    few = dataclasses.replace(settings, keep_versions=1)
    for _ in range(3):
        finish(store, start(store, few, POOR))
    with store.read() as db:
        assert [row.version for row in models.newest_first(db)] == [4, 1]
        assert models.current_version(db) == 1


def test_a_stop_waits_for_the_end_of_a_transaction_and_keeps_what_it_wrote(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopSignal()
    trainer = start(store, settings, stop=stop)
    monkeypatch.setattr(attempts, "record_epoch", functools.partial(_stop_in_the_middle, attempts.record_epoch, stop))
    with pytest.raises(StopRequestedError), stop.heard():
        trainer.run()
    give_back(store, trainer, 1, 1)
    with store.read() as db:
        (row,), history, saved = jobs.newest_first(db), jobs.history(db, 1), attempts.load_checkpoint(db, 1)
    assert (row.status, row.failures, row.epoch, len(history)) == ("queued", 0, 2, 2)
    assert saved is not None
    assert checkpoint.from_bytes(saved, "the checkpoint")[1].epoch == 2


def _stop_in_the_middle(record: Any, stop: StopSignal, db: Any, job: int, attempt: int, figures: dict[str, Any]) -> bool:
    """Record an epoch, and have SIGTERM arrive while epoch 2's record is not yet committed."""
    recorded: bool = record(db, job, attempt, figures)
    if figures["epoch"] == 2:
        tell(stop)
    return recorded


def tell(stop: StopSignal) -> None:
    """Have SIGTERM arrive."""
    before = signal.getsignal(signal.SIGTERM)
    stop.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


def test_a_stop_that_comes_before_the_work_begins_gives_the_job_back(store: Store, settings: Settings) -> None:
    start(store, settings)
    stop = StopSignal()
    tell(stop)
    work(store, settings, 1, 1, stop)
    with store.read() as db:
        (row,) = jobs.newest_first(db)
    assert (row.status, row.failures, row.epoch) == ("queued", 0, 0)


def test_a_stop_that_comes_while_a_failure_is_written_down_leaves_it_written(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_while_stopping(*arguments: Any) -> None:
        tell(stop)
        failing(*arguments)

    start(store, settings)
    stop, failing = StopSignal(), attempts.fail
    monkeypatch.setattr(attempts, "fail", fail_while_stopping)
    for name in data.FILES:
        (tmp_path / name).write_bytes(b"no dataset")
    work(store, dataclasses.replace(settings, data_dir=tmp_path), 1, 1, stop)
    with store.read() as db:
        (row,) = jobs.newest_first(db)
    assert row.status == "failed"


def test_a_stop_that_comes_when_all_is_published_changes_nothing(store: Store, settings: Settings) -> None:
    trainer = start(store, settings)
    version = finish(store, trainer).version
    give_back(store, trainer, 1, 1)
    with store.read() as db:
        (row,) = jobs.newest_first(db)
    assert (row.status, row.version) == ("succeeded", version)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (sa.exc.OperationalError("INSERT", {}, Exception("database or disk\nis full")), "database", "(database or disk is full)"),
        (MemoryError("Unable to allocate 7 GiB"), "memory", "a smaller hidden or batch_size needs less"),
    ],
)
def test_a_machine_that_fails_a_job_again_and_again_ends_it_with_the_reason(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    def fail_to_run(_trainer: Trainer) -> None:
        raise error

    start(store, settings)
    monkeypatch.setattr(Trainer, "run", fail_to_run)
    for attempt in range(1, attempts.MOST_FAILURES + 1):
        work(store, settings, 1, attempt, StopSignal())
        with store.write() as db:
            (row,) = jobs.newest_first(db)
            jobs.claim(db, slots=1)
    assert (row.status, row.error["code"]) == ("failed", code)
    assert row.error["detail"].endswith(f"{words}; this came 3 times without progress")


def test_a_job_whose_row_is_damaged_fails_and_the_next_one_is_trained(store: Store, settings: Settings) -> None:
    with store.write() as db:
        damaged, next_one = (jobs.submit(db, tiny.RECIPE.as_record(), "never") for _ in range(2))
        db.execute(sa.text("UPDATE jobs SET recipe = substr(recipe, 1, 50) WHERE id = :job"), {"job": damaged})
    for number in (damaged, next_one):
        with store.write() as db:
            row = jobs.claim(db, slots=1)
            assert row is not None
            assert (row.id, [each.id for each in jobs.pulses(db)]) == (number, [number])
        work(store, settings, row.id, row.attempt, StopSignal())
    with store.read() as db:
        found = [tuple(row) for row in db.execute(sa.text("SELECT status, error FROM jobs ORDER BY id"))]
    assert [status for status, _ in found] == ["failed", "succeeded"]
    assert "holds something damaged" in json.loads(found[0][1])["detail"]


def run_trainer(settings: Settings) -> list[str]:
    """What a trainer of no job of this database says in the log as it fails."""
    command = [sys.executable, "-m", "app.jobs.trainer", "1", "1"]
    done = subprocess.run(command, env=environ_of(settings), check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 1
    return [json.loads(line)["message"] for line in done.stderr.splitlines()]


def test_a_database_that_is_away_for_a_moment_costs_nothing(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = Store.write, itertools.count()

    def write_now_and_then(store: Store) -> AbstractContextManager[sa.Connection]:
        if next(calls) % 3:
            raise sa.exc.OperationalError("BEGIN", None, ConnectionRefusedError("connection refused"))
        return write(store)

    trainer = start(store, settings)
    monkeypatch.setattr("app.jobs.trainer.BEAT_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", write_now_and_then)
        trainer.run()
    assert next(calls) > 20
    with store.read() as db:
        job = jobs.newest_first(db)[0]
    assert (job.status, job.attempt, job.failures) == ("succeeded", 1, 0)


def test_a_trainer_makes_no_database_where_there_is_none(settings: Settings) -> None:
    settings.state_dir.mkdir()
    (line,) = run_trainer(settings)
    assert "attempt 1 ends: there is no database" in line
    assert not list(settings.state_dir.iterdir())


def test_a_trainer_whose_database_refuses_everything_says_so_in_two_lines(settings: Settings) -> None:
    settings.state_dir.mkdir()
    (settings.state_dir / "rookie.db").touch()
    first, last = run_trainer(settings)
    assert "attempt 1 is over: the database refused the trainer's writes (no such table: jobs)" in first
    assert "does not take even that: no such table: jobs" in last
