"""Starts a process for each job that it claims, and sees to it that no job stays `running` without one."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from app.errors import document
from app.settings import PREFIX, Settings
from app.store import Row, Store, attempts, jobs

log = logging.getLogger("rookie.jobs")

# A trainer beats every half second. One that is silent for this long is dead, or on a machine that is.
SILENCE_SECONDS = 10.0
START_PAUSE_SECONDS = 30.0  # after a trainer that could not be started
STOP_SECONDS = 5.0  # for a trainer to save its checkpoint at a planned stop
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass
class _Pulse:
    """When a running job's heartbeat was last seen to change, by this process's own clock."""

    beat: tuple[int, int]  # attempt, heartbeat
    seen: float


class Dispatcher:
    """One per serving process. All methods block; the watcher calls them off the event loop."""

    def __init__(self, store: Store, settings: Settings, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._environ = trainer_environ(settings, environ)
        self._children: dict[tuple[int, int], subprocess.Popen[bytes]] = {}  # by job and attempt
        self._pulses: dict[int, _Pulse] = {}
        self._looked = clock()
        self._starts_again = clock()  # trainers

    def tick(self) -> None:
        """Bring processes and jobs together: bury the dead, stop the superfluous, start the waiting."""
        with self._store.read() as db:
            running = jobs.pulses(db)
            waiting = jobs.count_queued(db)
        self._bury_children()
        self._stop_strays({(row.id, row.attempt) for row in running})
        self._judge_silent(running)
        while waiting and self._clock() >= self._starts_again and self._start_next():
            pass

    def stop(self) -> None:
        """Ask every trainer to save its checkpoint and give its job back; end those that do not."""
        for child in self._children.values():
            _signal(child, signal.SIGTERM)
        deadline = self._clock() + STOP_SECONDS
        for child in self._children.values():
            try:
                child.wait(max(0.0, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.wait()
        self._give_back()
        self._children.clear()

    def _give_back(self) -> None:
        """Trainers that were still starting up could not do it themselves. One write: on a locked database each would wait."""
        if not self._children:
            return
        try:
            with self._store.write() as db:
                for job, attempt in self._children:
                    attempts.requeue(db, job, attempt)
        except sa.exc.SQLAlchemyError as error:
            numbers = ", ".join(str(job) for job, _ in self._children)
            log.warning("jobs %s stay as they are until a service finds them without a trainer: %s", numbers, error)

    def _start_next(self) -> bool:
        with self._store.write() as db:
            job = jobs.claim(db, self._settings.training_slots)
        if job is None:
            return False
        command = [sys.executable, "-m", "app.jobs.trainer", str(job.id), str(job.attempt)]
        # A session of its own: a Ctrl-C at the server's terminal is the server's to pass on.
        try:
            child = subprocess.Popen(command, env=self._environ, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:  # no memory, no process to be had: that is not the job's fault, and may pass
            self._starts_again = self._clock() + START_PAUSE_SECONDS
            log.warning("job %d: no trainer can be started (%s); the next try is in %g s", job.id, error.strerror, START_PAUSE_SECONDS)
            with self._store.write() as db:
                attempts.requeue(db, job.id, job.attempt)
            return False
        self._children[job.id, job.attempt] = child
        log.info("job %d: attempt %d is process %d", job.id, job.attempt, child.pid)
        return True

    def _bury_children(self) -> None:
        for (job, attempt), child in list(self._children.items()):
            if child.poll() is not None:
                if child.returncode:
                    self._interrupted(job, attempt, f"its trainer ended with {_describe(child.returncode)}")
                del self._children[job, attempt]  # not before that is written

    def _stop_strays(self, running: set[tuple[int, int]]) -> None:
        """A job that has ended, or was given to another trainer, loses its process at once."""
        for key, child in self._children.items():
            if key not in running:
                _signal(child, signal.SIGKILL)

    def _judge_silent(self, running: list[Row]) -> None:
        now = self._clock()
        if now - self._looked > SILENCE_SECONDS / 2:
            self._pulses.clear()  # we were away ourselves, and the trainers perhaps with us
        self._looked = now
        for row in running:
            beat = (row.attempt, row.heartbeat)
            pulse = self._pulses.get(row.id)
            if pulse is None or pulse.beat != beat:
                self._pulses[row.id] = _Pulse(beat, now)
            elif now - pulse.seen > SILENCE_SECONDS:
                self._end((row.id, row.attempt))  # first: it may hold the database's lock
                self._interrupted(row.id, row.attempt, f"its trainer was silent for {SILENCE_SECONDS:g} s")
        for job in self._pulses.keys() - {row.id for row in running}:
            del self._pulses[job]

    def _end(self, key: tuple[int, int]) -> None:
        """Kill the trainer of that job and attempt, where it is a child of this process."""
        child = self._children.pop(key, None)
        if child is not None:
            _signal(child, signal.SIGKILL)
            child.wait()

    def _interrupted(self, job: int, attempt: int, reason: str) -> None:
        detail = f"{reason}, {attempts.MOST_FAILURES} times without progress; the service's log says more"
        with self._store.write() as db:
            cut_short = attempts.interrupted(db, job, attempt, document(500, "trainer-died", detail))
        if cut_short:  # else the job had ended before its trainer did
            log.warning("job %d: attempt %d is over, %s", job, attempt, reason)


def trainer_environ(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What a trainer finds in its environment: where things lie and how many threads to use, not the token."""
    kept = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    ours = {
        "ROOKIE_STATE_DIR": str(settings.state_dir),
        "ROOKIE_DATA_DIR": str(settings.data_dir),
        "ROOKIE_KEEP_VERSIONS": str(settings.keep_versions),
    }
    if settings.database_url:
        ours["ROOKIE_DATABASE_URL"] = settings.database_url
    return {**kept, **ours, **dict.fromkeys(_THREAD_VARIABLES, str(settings.training_threads))}


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the child and whatever it may have started."""
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself; the next tick buries it
        os.killpg(child.pid, number)


def _describe(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return signal.Signals(-returncode).name
    except ValueError:  # a real-time signal without a name
        return f"signal {-returncode}"
