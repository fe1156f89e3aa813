"""Pictures are drawn one at a time, each once for all who ask, and kept while there is room."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

import pytest

from app.drawing import Drawings, Shelf
from app.errors import NotFoundError, UnavailableError

T = TypeVar("T")


class Hand:
    """Draws a name as its bytes, once it may, and remembers what it drew."""

    def __init__(self) -> None:
        self.drawn: list[str] = []
        self.may_draw = threading.Event()

    def draw(self, name: str) -> bytes:
        assert self.may_draw.wait(30)
        self.drawn.append(name)
        if name == "nothing":
            raise NotFoundError("there is no such thing")
        return name.encode()


@contextmanager
def held(hand: Hand) -> Iterator[None]:
    """What is asked for inside waits until the end."""
    hand.may_draw.clear()
    try:
        yield
    finally:
        hand.may_draw.set()


def run(work: Callable[[Drawings, Hand], Awaitable[T]], **options: int) -> tuple[T, list[str]]:
    """What `work` returns, and what was drawn for it."""

    async def start() -> tuple[T, list[str]]:
        hand = Hand()
        with closing(Drawings(**options)) as drawings:
            return await work(drawings, hand), hand.drawn

    return asyncio.run(start())


async def ask(drawings: Drawings, hand: Hand, *names: str) -> "list[asyncio.Task[bytes]]":
    """Requests for those pictures, which have all been heard."""
    asked = [asyncio.ensure_future(drawings.picture(name, partial(hand.draw, name))) for name in names]
    await asyncio.sleep(0)
    return asked


def test_a_picture_that_many_ask_for_is_drawn_once_and_kept() -> None:
    async def work(drawings: Drawings, hand: Hand) -> list[bytes]:
        with held(hand):
            asked = await ask(drawings, hand, *["a"] * 40)
        return [*await asyncio.gather(*asked), *await asyncio.gather(*await ask(drawings, hand, "a"))]

    assert run(work) == ([b"a"] * 41, ["a"])


def test_one_who_leaves_takes_the_picture_from_no_other() -> None:
    async def work(drawings: Drawings, hand: Hand) -> bytes:
        with held(hand):
            first, second = await ask(drawings, hand, "a", "a")
            first.cancel()
            await asyncio.sleep(0)
        return await second

    assert run(work) == (b"a", ["a"])


def test_a_picture_that_nobody_waits_for_any_more_is_given_up_and_drawn_for_the_next() -> None:
    async def work(drawings: Drawings, hand: Hand) -> list[bytes]:
        with held(hand):
            first, *left = await ask(drawings, hand, "a", "b", "b")
            for each in left:
                each.cancel()
            await asyncio.wait(left)
            again = await ask(drawings, hand, "b", "c")
        return await asyncio.gather(first, *again)

    assert run(work, most_waiting=3) == ([b"a", b"b", b"c"], ["a", "b", "c"])


def test_too_many_pictures_at_once_are_refused_with_when_to_come_again_and_later_ones_are_not() -> None:
    async def work(drawings: Drawings, hand: Hand) -> list[bytes]:
        with held(hand):
            asked = await ask(drawings, hand, "a", "b", "a", "b")
            with pytest.raises(UnavailableError) as refused:
                await drawings.picture("c", partial(hand.draw, "c"))
            with pytest.raises(UnavailableError):
                await drawings.do(partial(hand.draw, "c"))
        assert refused.value.headers == {"Retry-After": "5"}
        return [*await asyncio.gather(*asked), await drawings.picture("c", partial(hand.draw, "c"))]

    assert run(work, most_waiting=2) == ([b"a", b"b", b"a", b"b", b"c"], ["a", "b", "c"])


def test_what_goes_wrong_is_told_to_all_who_asked_and_tried_again_for_the_next() -> None:
    async def work(drawings: Drawings, hand: Hand) -> list[object]:
        with held(hand):
            asked = await ask(drawings, hand, "nothing", "nothing")
        asked += await ask(drawings, hand, "nothing") if await asyncio.wait(asked) else []
        return [type(each) for each in await asyncio.gather(*asked, return_exceptions=True)]

    assert run(work) == ([NotFoundError] * 3, ["nothing"] * 2)


def test_a_shelf_keeps_what_was_asked_for_last_and_no_more_than_it_has_room_for() -> None:
    shelf = Shelf(10)
    for name in "abc":
        shelf.put(name, name.encode() * 3)
    assert shelf.get("a") == b"aaa"
    shelf.put("d", b"dddd")
    assert [shelf.get(name) for name in "abcd"] == [b"aaa", None, b"ccc", b"dddd"]
    shelf.put("e", b"e" * 11)
    assert [shelf.get(name) for name in "abcde"] == [None] * 5
