"""Processes that train side by side: deaf to Ctrl-C, killed when what they work for is broken off, gone when who started them is."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess

from model_core.interruptions import STOPS


@contextmanager
def _stops_held_back() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker(SpawnProcess):
    """One process of the pool."""

    def start(self) -> None:
        """Start with Ctrl-C held back, which the process inherits: it is never within reach of one, not even while it imports."""
        with _stops_held_back():
            super().start()

    def run(self) -> None:
        """Work; SIGTERM is heard again, for a pool that breaks ends the others by it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().run()


class _Context(SpawnContext):
    Process = _Worker


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


@contextmanager
def pool(count: int) -> Iterator[Executor]:
    """An executor of `count` processes. Whatever ends the block early, a SystemExit of `stoppable` too, kills them at once."""
    with _stops_held_back():  # which the process that keeps count of semaphores inherits
        executor = ProcessPoolExecutor(count, mp_context=_Context())
    try:
        yield executor
    except BaseException:
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        executor.shutdown()
