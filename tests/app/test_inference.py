"""Requests that are in hand together share a pass through the network, and none of them notices."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import UnavailableError
from app.inference import PART_ROWS, TURN_ROWS, Answer, Predictor, Served
from tests.support import tiny

T = TypeVar("T")
Images = NDArray[np.uint8]


class Passes(Served):
    """A served model that remembers how many rows went through it at a time."""

    def __init__(self, version: int = 1) -> None:
        super().__init__(version, "0" * 64, tiny.model())
        object.__setattr__(self, "seen", [])

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        self.seen.append(len(rows))  # type: ignore[attr-defined]
        return super().probabilities(rows)


@contextmanager
def predictor_of(served: Served, most_rows: int = 16_384) -> Iterator[Predictor]:
    predictor = Predictor(served, most_rows)
    try:
        yield predictor
    finally:
        predictor.close()


def run(work: Callable[[Predictor], Coroutine[Any, Any, T]], served: Served | None = None, most_rows: int = 16_384) -> T:
    """What `work` returns, given a predictor on an event loop."""
    with predictor_of(served or Passes(), most_rows) as predictor:
        return asyncio.run(work(predictor))


def together(requests: list[Images], served: Served) -> list[Answer]:
    """The answers to requests that arrive in one turn of the event loop."""

    async def work(predictor: Predictor) -> list[Answer]:
        return await asyncio.gather(*(predictor.classify(images) for images in requests))

    return run(work, served)


def noise(seed: int, count: int) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)


def tasks(*waiting: Awaitable[Answer]) -> "list[asyncio.Future[Answer]]":
    return [asyncio.ensure_future(each) for each in waiting]


@given(st.lists(st.integers(1, 2 * TURN_ROWS), min_size=1, max_size=24), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_each_request_gets_its_own_answer_and_it_is_the_one_it_would_get_alone(counts: list[int], seed: int) -> None:
    images = noise(seed, sum(counts))
    requests = np.split(images, np.cumsum(counts)[:-1])
    alone = np.concatenate([tiny.model().predict_proba(image) for image in images])
    answers = together(requests, Passes())
    assert [len(answer.probabilities) for answer in answers] == counts
    np.testing.assert_allclose(np.concatenate([answer.probabilities for answer in answers]), alone, atol=1e-5)


def test_requests_in_hand_together_go_through_the_network_together() -> None:
    served = Passes()
    together([noise(i, 1) for i in range(TURN_ROWS + 5)], served)
    assert served.seen == [TURN_ROWS, 5]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "passes"), [(1, [1]), (5, [5]), (TURN_ROWS + 3, [TURN_ROWS, 3])])
def test_requests_that_arrive_one_behind_the_other_go_along_until_a_turn_is_full(count: int, passes: list[int]) -> None:
    served = Passes()

    async def work(predictor: Predictor) -> None:
        waiting = []
        for i in range(count):
            waiting += tasks(predictor.classify(noise(i, 1)))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    run(work, served)
    assert served.seen == passes  # type: ignore[attr-defined]


def test_a_lone_request_is_answered_within_two_turns_of_the_event_loop() -> None:
    async def work(predictor: Predictor) -> bool:
        (lone,) = tasks(predictor.classify(noise(0, 1)))
        for _ in range(4):  # the task begins, a look around, another and its turn, it ends
            await asyncio.sleep(0)
        return lone.done()

    assert run(work)


def test_a_client_that_hangs_up_disturbs_nobody() -> None:
    served = Passes()

    async def work(predictor: Predictor) -> list[Answer]:
        waiting = tasks(*(predictor.classify(noise(i, 1)) for i in range(4)))
        await asyncio.sleep(0)
        waiting[1].cancel()
        return await asyncio.gather(*(waiting[i] for i in (0, 2, 3)))

    for i, answer in zip((0, 2, 3), run(work, served), strict=True):
        np.testing.assert_allclose(answer.probabilities, tiny.model().predict_proba(noise(i, 1)), atol=1e-5)
    assert served.seen == [3]  # type: ignore[attr-defined]


def test_what_would_exceed_the_queue_is_refused_and_what_is_in_it_is_answered() -> None:
    async def work(predictor: Predictor) -> tuple[list[Answer], UnavailableError]:
        waiting = tasks(predictor.classify(noise(0, 6)), predictor.classify(noise(1, 4)))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError) as refused:
            await predictor.classify(noise(2, 1))
        answers = await asyncio.gather(*waiting)
        await predictor.classify(noise(2, 10))
        return answers, refused.value

    answers, refused = run(work, most_rows=10)
    assert len(answers) == 2
    assert refused.headers == {"Retry-After": "1"}


def test_a_request_larger_than_the_queue_is_answered_when_it_is_alone() -> None:
    assert len(together([noise(0, 40)], Passes())[0].probabilities) == 40

    async def work(predictor: Predictor) -> Answer:
        return await predictor.classify(noise(0, 40))

    assert len(run(work, most_rows=10).probabilities) == 40


def test_requests_that_came_before_a_swap_are_answered_by_the_old_version_and_later_ones_by_the_new() -> None:
    async def work(predictor: Predictor) -> list[int]:
        before = tasks(predictor.classify(noise(0, 1)), predictor.classify(noise(1, 2 * PART_ROWS)))
        await asyncio.sleep(0)
        predictor.swap(Passes(2))
        after = tasks(predictor.classify(noise(2, 1)))
        return [answer.served.version for answer in await asyncio.gather(*before, *after)]

    assert run(work) == [1, 1, 2]


def test_the_event_loop_stays_free_while_many_rows_are_computed() -> None:
    served = Passes()

    async def work(predictor: Predictor) -> int:
        (large,) = tasks(predictor.classify(noise(0, 8 * PART_ROWS)))
        turns = 0
        while not large.done():
            await predictor.classify(noise(1, 1))
            turns += 1
        return turns

    assert run(work, served) >= 3
    assert served.seen.count(PART_ROWS) == 8  # type: ignore[attr-defined]


def test_a_pass_that_fails_tells_those_in_it_and_the_next_one_goes_on() -> None:
    class Failing(Passes):
        def probabilities(self, rows: Any) -> NDArray[np.float32]:
            if len(self.seen) == 0:  # type: ignore[attr-defined]
                self.seen.append(0)  # type: ignore[attr-defined]
                raise MemoryError("no room")
            return super().probabilities(rows)

    async def work(predictor: Predictor) -> list[Any]:
        first = await asyncio.gather(*(predictor.classify(noise(i, 1)) for i in range(2)), return_exceptions=True)
        return [*first, await predictor.classify(noise(3, 1))]

    one, two, three = run(work, Failing())
    assert isinstance(one, MemoryError)
    assert isinstance(two, MemoryError)
    assert len(three.probabilities) == 1


def test_large_requests_that_wait_too_long_for_their_turn_are_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inference.LONG_SECONDS", 0.05)
    may_end = threading.Event()

    async def work(predictor: Predictor) -> Answer:
        first = asyncio.ensure_future(predictor.in_thread(may_end.wait))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError) as refused:
            await predictor.classify(noise(1, PART_ROWS))
        assert refused.value.headers == {"Retry-After": "5"}
        small = await predictor.classify(noise(2, 1))
        may_end.set()
        await first
        await predictor.classify(noise(1, PART_ROWS))
        return small

    assert run(work).probabilities.shape == (1, 10)
