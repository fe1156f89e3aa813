"""GETs that read take turns: a crowd of them holds up nobody for long, and one who leaves gives the place back."""

import asyncio
import importlib
import inspect
import pkgutil
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import TypeVar

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

import app.routes
from app.errors import UnavailableError
from app.reading import Readers, ReadingRoute
from tests.support.pictures import encode, grey
from tests.support.service import PATIENCE_SECONDS

T = TypeVar("T")


class Desk:
    """Where readers sit until they are let go, and how many sat there at once."""

    def __init__(self) -> None:
        self.sitting = self.most = self.came = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def sit(self) -> int:
        with self._lock:
            self.came += 1
            self.sitting += 1
            self.most = max(self.most, self.sitting)
        assert self.go.wait(PATIENCE_SECONDS)
        with self._lock:
            self.sitting -= 1
        return self.came


def run(work: Callable[[Readers, Desk], Awaitable[T]], patience_seconds: float = PATIENCE_SECONDS) -> tuple[T, Desk]:
    """What `work` returns, and the desk at which two may sit."""

    async def start() -> tuple[T, Desk]:
        desk = Desk()
        with closing(Readers(2, patience_seconds)) as readers:
            try:
                return await work(readers, desk), desk
            finally:
                desk.go.set()

    return asyncio.run(start())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


def test_no_more_read_at_once_than_there_are_places_and_all_are_answered() -> None:
    async def work(readers: Readers, desk: Desk) -> int:
        asked = [asyncio.ensure_future(readers.do(desk.sit)) for _ in range(20)]
        await until(lambda: desk.sitting == 2)
        desk.go.set()
        return len(await asyncio.gather(*asked))

    answered, desk = run(work)
    assert (answered, desk.came, desk.most) == (20, 20, 2)


def test_those_who_leave_are_not_read_for_and_start_no_more_threads() -> None:
    async def work(readers: Readers, desk: Desk) -> None:
        for _ in range(50):
            asked = [asyncio.ensure_future(readers.do(desk.sit)) for _ in range(4)]
            await asyncio.sleep(0.002)
            for each in asked:
                each.cancel()
            await asyncio.wait(asked)
        desk.go.set()
        await readers.do(desk.sit)

    _, desk = run(work)
    assert desk.most == 2
    assert desk.came == 3


def test_who_waits_too_long_for_a_place_or_an_answer_is_told_when_to_come_again() -> None:
    async def work(readers: Readers, desk: Desk) -> list[UnavailableError]:
        refused = []
        async with readers.turn(), readers.turn():
            with pytest.raises(UnavailableError) as first:
                async with readers.turn():
                    raise AssertionError("there are two places")
            refused.append(first.value)
        async with readers.turn():
            with pytest.raises(UnavailableError) as second:
                await readers.do(desk.sit)
        return [*refused, second.value]

    refused, _ = run(work, patience_seconds=0.05)
    assert [error.headers for error in refused] == [{"Retry-After": "5"}] * 2


def test_an_error_gives_the_place_back_and_is_told() -> None:
    async def work(readers: Readers, desk: Desk) -> int:
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                async with readers.turn():
                    await readers.do(divmod, 1, 0)
            with pytest.raises(TimeoutError):
                await readers.do(_time_out)
        desk.go.set()
        return await readers.do(desk.sit)

    assert run(work)[0] == 1


def _time_out() -> None:
    raise TimeoutError("of the work's own")


def test_every_get_that_works_in_a_thread_takes_turns() -> None:
    modules = [importlib.import_module(f"app.routes.{found.name}") for found in pkgutil.iter_modules(app.routes.__path__)]
    gets = [each for module in modules for each in module.router.routes if isinstance(each, APIRoute) and each.methods == {"GET"}]
    in_threads = {route.path for route in gets if not inspect.iscoroutinefunction(route.endpoint)}
    assert {"/models", "/models/{version:version}", "/train", "/train/{job}", "/metrics", "/samples"} <= in_threads
    assert in_threads <= {route.path for route in gets if isinstance(route, ReadingRoute)}


def test_while_all_places_are_taken_probes_and_predictions_go_on_and_a_reader_waits(client: TestClient) -> None:
    readers = client.app.state.readers  # type: ignore[attr-defined]
    assert client.portal is not None
    places = [client.portal.wrap_async_context_manager(readers.turn()) for _ in range(2)]
    answers = []
    reader = threading.Thread(target=lambda: answers.append(client.get("/models/1").status_code))
    with places[0], places[1]:
        reader.start()
        assert client.get("/livez").status_code == 200
        assert client.post("/predict", content=encode(grey(9)), headers={"Content-Type": "image/png"}).status_code == 200
        assert not answers
    reader.join(PATIENCE_SECONDS)
    assert answers == [200]
