"""A place is taken for as long as its thread works, whoever has left meanwhile."""

import asyncio
import gc
import threading
import weakref
from contextlib import closing, suppress

import pytest

from app.drawing import Drawings
from app.errors import UnavailableError
from app.turns import Workers


def test_a_place_is_free_once_its_thread_is_not_when_its_client_leaves() -> None:
    may_end = threading.Event()

    async def leave_and_come() -> int:
        workers = Workers(1, 0.05, "the work", "worker")
        left = asyncio.ensure_future(workers.do(may_end.wait))
        await asyncio.sleep(0.01)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        with pytest.raises(UnavailableError, match="the work, or the wait for a turn at it"):
            await workers.do(len, "what would lie there and be counted by nobody")
        may_end.set()
        await asyncio.sleep(0.1)
        found = await workers.do(len, "four")
        workers.close()
        return found

    assert asyncio.run(leave_and_come()) == 4


class Large:
    """What somebody may have sent."""


def test_what_a_refused_request_brought_goes_with_its_answer() -> None:
    def refuse(_brought: Large) -> None:
        raise UnavailableError("not that")

    async def ask() -> "weakref.ref[Large]":
        with closing(Workers(1, 1, "the work", "worker")) as workers:
            brought = Large()
            with suppress(UnavailableError):
                await workers.do(refuse, brought)
        return weakref.ref(brought)

    gc.disable()  # which comes seldom where requests are few and large
    try:
        assert asyncio.run(ask())() is None
    finally:
        gc.enable()


def test_a_process_that_may_have_no_more_threads_loses_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask_meanwhile_and_later() -> int:
        workers, drawings = Workers(1, 0.05, "the work", "worker"), Drawings(most_waiting=1)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for _ in range(2):
                with pytest.raises(UnavailableError, match="no thread can be had"):
                    await workers.do(len, "four")
                with pytest.raises(UnavailableError, match="no thread can be had"):
                    await drawings.do(lambda: 4)
        with closing(workers), closing(drawings):
            return await workers.do(len, "four") + await drawings.do(lambda: 4)

    assert asyncio.run(ask_meanwhile_and_later()) == 8


def test_a_thread_that_outlives_the_event_loop_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    may_end = threading.Event()

    async def leave() -> Workers:
        workers = Workers(1, 0.05, "the work", "worker")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(workers.do(may_end.wait), 0.01)
        return workers

    workers = asyncio.run(leave())
    may_end.set()
    workers.close()
    assert caplog.text == ""
