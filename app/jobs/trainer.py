"""One training job in a process of its own: python -m app.jobs.trainer JOB ATTEMPT.

Whatever it writes says which attempt writes. Where the job is no longer this attempt's (cancelled, or given to another trainer),
the write finds no row and the process ends without a trace.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

import model_core
from app import logs
from app.errors import document, training_problem
from app.jobs.promotion import Gate
from app.jobs.stop import StopRequestedError, StopSignal
from app.settings import Settings
from app.store import DamagedError, Store, StoreError, attempts, jobs, models, one_line
from model_core import Recipe, artifact, card, checkpoint, data, download, training
from model_core.errors import ArtifactError, RookieError
from model_core.training import State

NICENESS = 10  # predictions come first
BEAT_SECONDS = 0.5
CHECKPOINT_SECONDS = 30.0
AWAY_SECONDS = 8.0  # within the 10 s of silence after which a trainer counts as dead
log = logging.getLogger("rookie.jobs")


class LostJobError(Exception):
    """The job is no longer this attempt's."""


class Trainer:
    """Does one attempt at one job."""

    def __init__(self, store: Store, settings: Settings, job: int, attempt: int, stop: StopSignal | None = None) -> None:
        self._store, self._folder, self._job, self._attempt = store, settings.data_dir, job, attempt
        self._keep_versions, self._stop = settings.keep_versions, stop or StopSignal()
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
        images, test, hashes = data.load_training(self._folder), data.load_test(self._folder), data.file_hashes(self._folder)
        self._enter("training")
        self._train(images)
        self._enter("evaluating")
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
            with self._write() as db:
                self._insist(attempts.save_checkpoint(db, self._job, self._attempt, epoch, content))

    def _taken_up(self, saved: bytes | None) -> State:
        """The state that an earlier attempt saved, or a fresh one."""
        if saved is not None:
            try:
                return checkpoint.from_bytes(saved, f"job {self._job}'s checkpoint")[1]
            except ArtifactError as error:
                log.warning("job %d: %s; it starts afresh", self._job, error)
        return State.fresh(self._recipe)

    def _train(self, images: data.TrainingData) -> None:
        saved_at = time.monotonic()
        for epoch in training.train(self._recipe, images, self._state):
            content = checkpoint.to_bytes(self._recipe, epoch.state)
            with self._write() as db:
                self._insist(attempts.record_epoch(db, self._job, self._attempt, epoch.as_record()))
                self._snapshot = epoch.epoch, content  # with its record: who goes on from here does not write that again
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                self.save()
                saved_at = time.monotonic()

    def _publish(self, model: model_core.Model, gate: Gate) -> None:
        """Version, promotion and the job's end in one transaction."""
        content = artifact.to_bytes(model)
        artifact.from_bytes(content, "the trained model")  # what no service could load fails here
        metrics = model.card["metrics"]
        while True:
            with self._write() as db:
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
        with self._write() as db:
            self._insist(attempts.enter(db, self._job, self._attempt, stage))

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._stop.held(), patient_write(self._store) as db:
            yield db

    def _insist(self, mine: bool) -> None:
        if not mine:
            raise LostJobError


@contextmanager
def patient_write(store: Store) -> Iterator[sa.Connection]:
    """`write` to a database that may be away for AWAY_SECONDS, because it is started anew for example."""
    given_up = time.monotonic() + AWAY_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                db = stack.enter_context(store.write())
                break
            except sa.exc.OperationalError:
                if time.monotonic() > given_up:
                    raise
                time.sleep(BEAT_SECONDS)
        yield db


def keep_beating(store: Store, job: int, attempt: int) -> None:
    """Say every half second that this attempt is alive; end the process where the job is no longer its own."""
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            with store.write() as db:
                mine = attempts.beat(db, job, attempt)
        except sa.exc.SQLAlchemyError:
            continue  # the database is busy, full or away; the next beat may find it
        if not mine:
            os._exit(0)


def main(job: int, attempt: int) -> None:
    """Do the job, and leave it in a state that says how that went; where the database is gone, one line says it."""
    os.nice(NICENESS)
    stop = StopSignal()
    stop.listen()
    settings = Settings.from_environ(os.environ)
    try:
        store = Store(settings.store_url, make=False)
    except StoreError as error:
        log.error("job %d: attempt %d ends: %s", job, attempt, error)
        sys.exit(1)
    threading.Thread(target=keep_beating, args=(store, job, attempt), daemon=True).start()
    try:
        work(store, settings, job, attempt, stop)
    except sa.exc.SQLAlchemyError as error:
        log.error("job %d: attempt %d ends, and the database does not take even that: %s", job, attempt, one_line(error))
        sys.exit(1)


def work(store: Store, settings: Settings, job: int, attempt: int, stop: StopSignal) -> None:
    """Do the job, and say in the database how it ended."""
    trainer = None
    try:
        with stop.heard():
            trainer = Trainer(store, settings, job, attempt, stop)
            trainer.run()
    except LostJobError:
        pass
    except StopRequestedError:
        give_back(store, trainer, job, attempt)
    except RookieError as error:
        fail(store, job, attempt, training_problem(error))
    except DamagedError as error:
        fail(store, job, attempt, document(500, "database", f"{error}; start another job"))
    except sa.exc.SQLAlchemyError as error:
        interrupt(store, job, attempt, "database", f"the database refused the trainer's writes ({one_line(error)})")
    except MemoryError:
        interrupt(store, job, attempt, "memory", "the trainer had not enough memory; a smaller hidden or batch_size needs less")


def give_back(store: Store, trainer: Trainer | None, job: int, attempt: int) -> None:
    """A planned stop: what was done is kept, and another attempt goes on."""
    with suppress(LostJobError):
        if trainer is not None:
            trainer.save()
    with patient_write(store) as db:
        attempts.requeue(db, job, attempt)


def fail(store: Store, job: int, attempt: int, problem: dict[str, Any]) -> None:
    """End the job with an error that a person can act on."""
    with patient_write(store) as db:
        attempts.fail(db, job, attempt, problem)


def interrupt(store: Store, job: int, attempt: int, code: str, reason: str) -> None:
    """The machine failed the attempt, not the job's recipe or data: another attempt may find it better."""
    log.warning("job %d: attempt %d is over: %s", job, attempt, reason)
    detail = f"{reason}; this came {attempts.MOST_FAILURES} times without progress"
    with patient_write(store) as db:
        attempts.interrupted(db, job, attempt, document(500, code, detail))


if __name__ == "__main__":
    logs.configure()
    main(int(sys.argv[1]), int(sys.argv[2]))
