"""One training job in a process of its own: python -m app.jobs.trainer JOB ATTEMPT.

Whatever it writes says which attempt writes. Where the job is no longer this attempt's (cancelled, or given to another trainer),
the write finds no row and the process ends without a trace.
"""

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import sqlalchemy as sa

import model_core
from app.errors import training_problem
from app.jobs.promotion import Gate
from app.settings import Settings
from app.store import Store, attempts, jobs, models
from model_core import Recipe, artifact, card, checkpoint, data, download, training
from model_core.errors import ArtifactError, RookieError
from model_core.training import State

NICENESS = 10  # predictions come first
BEAT_SECONDS = 0.5
CHECKPOINT_SECONDS = 30.0


class LostJobError(Exception):
    """The job is no longer this attempt's."""


class StopRequestedError(BaseException):
    """The service stops, as planned; a BaseException so that nothing in between handles it."""


class Trainer:
    """Does one attempt at one job."""

    def __init__(self, store: Store, settings: Settings, job: int, attempt: int) -> None:
        self._store, self._folder, self._job, self._attempt = store, settings.data_dir, job, attempt
        self._keep_versions = settings.keep_versions
        with store.read() as db:
            row = jobs.find(db, job)
            saved = attempts.load_checkpoint(db, job)
        if row is None:
            raise LostJobError
        self._recipe, self._promote = Recipe.from_record(row.recipe), row.promote
        self._snapshot: tuple[int, bytes] | None = None  # of the last whole epoch: its number, the checkpoint
        self._state = self._taken_up(saved)

    def run(self) -> None:
        """From the data to a published version."""
        if data.missing_files(self._folder):
            self._enter("fetching data")
            download.fetch(self._folder)
        self._enter("loading data")
        images = data.load_training(self._folder)
        self._enter("training")
        self._train(images)
        self._enter("evaluating")
        test, hashes = data.load_test(self._folder), data.file_hashes(self._folder)
        environment = card.environment(os.environ)
        model = card.finish(self._recipe, self._state, images, test, hashes, datetime.now(UTC), environment, model_core.__version__)
        gate = Gate(self._store, self._promote, images)
        gate.score_current()
        self._enter("publishing")
        self._publish(model, gate)

    def save(self) -> None:
        """Keep the last whole epoch's state, so that another attempt goes on from there."""
        if self._snapshot is not None:
            epoch, content = self._snapshot
            with self._store.write() as db:
                self._insist(attempts.save_checkpoint(db, self._job, self._attempt, epoch, content))

    def _taken_up(self, saved: bytes | None) -> State:
        """The state that an earlier attempt saved, or a fresh one."""
        if saved is not None:
            try:
                return checkpoint.from_bytes(saved, f"job {self._job}'s checkpoint")[1]
            except ArtifactError as error:
                print(f"job {self._job}: {error}; it starts afresh", file=sys.stderr)  # noqa: T201
        return State.fresh(self._recipe)

    def _train(self, images: data.TrainingData) -> None:
        saved_at = time.monotonic()
        for epoch in training.train(self._recipe, images, self._state):
            self._snapshot = epoch.epoch, checkpoint.to_bytes(self._recipe, epoch.state)
            with self._store.write() as db:
                self._insist(attempts.record_epoch(db, self._job, self._attempt, epoch.as_record()))
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                self.save()
                saved_at = time.monotonic()

    def _publish(self, model: model_core.Model, gate: Gate) -> None:
        """Version, promotion and the job's end in one transaction."""
        content = artifact.to_bytes(model)
        metrics = model.card["metrics"]
        while True:
            with self._store.write() as db:
                if gate.is_settled(db):
                    promotion = gate.judge(metrics["validation_accuracy"])
                    version = models.add(db, model, content, "trained", self._job)
                    if promotion["promoted"]:
                        models.activate(db, version, promotion["reason"])
                    models.prune(db, self._keep_versions)
                    self._insist(attempts.succeed(db, self._job, self._attempt, version, metrics["test_accuracy"], promotion))
                    return
            gate.score_current()  # another version was activated meanwhile

    def _enter(self, stage: str) -> None:
        with self._store.write() as db:
            self._insist(attempts.enter(db, self._job, self._attempt, stage))

    def _insist(self, mine: bool) -> None:
        if not mine:
            raise LostJobError


def keep_beating(store: Store, job: int, attempt: int) -> None:
    """Say every half second that this attempt is alive; end the process where the job is no longer its own."""
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            with store.write() as db:
                mine = attempts.beat(db, job, attempt)
        except sa.exc.OperationalError:
            continue  # the database is busy or away; the next beat may find it
        if not mine:
            os._exit(0)


def fail(store: Store, job: int, attempt: int, problem: dict[str, Any]) -> None:
    """End the job with an error that a person can act on."""
    with store.write() as db:
        attempts.fail(db, job, attempt, problem)


def main(job: int, attempt: int) -> None:
    """Do the job, and leave it in a state that says how that went."""
    os.nice(NICENESS)
    signal.signal(signal.SIGTERM, _request_stop)
    settings = Settings.from_environ(os.environ)
    store = Store(settings.store_url)
    threading.Thread(target=keep_beating, args=(store, job, attempt), daemon=True).start()
    trainer = None
    try:
        trainer = Trainer(store, settings, job, attempt)
        trainer.run()
    except LostJobError:
        pass
    except StopRequestedError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if trainer is not None:
            trainer.save()
        with store.write() as db:
            attempts.requeue(db, job, attempt)
    except RookieError as error:
        fail(store, job, attempt, training_problem(error))


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequestedError


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
