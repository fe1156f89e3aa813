"""What is served and how it answers: pictures that are in hand together go through the network together, and none waits for another.

A request that comes alone is computed as soon as the event loop finds that nothing else has arrived; what has is read first, and shares
its matrix products. There is no timer. Requests of many rows are computed in a thread, part by part, so that the event loop stays free.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import UnavailableError
from app.metrics import Meters
from app.turns import Turns, Workers
from model_core import Model, network
from model_core.familiarity import SIDE, Familiarity
from model_core.network import PIXELS

T = TypeVar("T")
Pixels = NDArray[np.uint8] | NDArray[np.float32]

TURN_ROWS = 32  # most rows of one turn of the event loop: about a millisecond
LONG_SECONDS, FORM_SECONDS = 10.0, 30.0  # that a large request waits for a turn at the thread; a form with many pictures, for its place
MOST_FORMS = 4  # with many pictures that are taken apart at the same time; the others wait as they came, in fewer bytes
PART_ROWS = 512  # rows that a large request computes at a time, in a thread
# Matrix products take rows four at a time, and what is left over one by one: 7 rows take half as long again as 8.
ROWS_AT_A_TIME = 4


@dataclass(frozen=True)
class Served:
    """One model version in memory; immutable."""

    version: int
    sha256: str
    model: Model

    @cached_property
    def familiarity(self) -> Familiarity | None:
        """What tells a picture that is like nothing in training; None where the model's card is of a time before."""
        return Familiarity.from_card(self.model.card)

    def probabilities(self, rows: Pixels) -> NDArray[np.float32]:
        """Class probabilities (N, 10) of pixels (N, 784), 0..255."""
        count = len(rows)
        if count == 1:
            x = self.model.standardizer.apply(rows)
            return network.predict_one(self.model.parameters, x[0])[None].astype(np.float32, copy=False)
        x = np.zeros((count + -count % ROWS_AT_A_TIME, PIXELS), np.float32)
        self.model.standardizer.apply(rows, x[:count])
        return network.predict_proba(self.model.parameters, x)[:count].astype(np.float32, copy=False)

    def unfamiliar(self, rows: Pixels) -> NDArray[np.bool_] | None:
        """Which of pixels (N, 784), 0..255, are like nothing in training: (N,), or None where that is not known."""
        return None if self.familiarity is None else self.familiarity.is_unfamiliar(rows.reshape(-1, SIDE, SIDE))


class Answer(NamedTuple):
    """Class probabilities (N, 10), their one version, and which pictures are unfamiliar (N,) if that was asked and is known."""

    probabilities: NDArray[np.float32]
    served: Served
    unfamiliar: NDArray[np.bool_] | None = None

    def rows(self, start: int, count: int) -> "Answer":
        """The answer to some of the pictures."""
        part = slice(start, start + count)
        return Answer(self.probabilities[part], self.served, None if self.unfamiliar is None else self.unfamiliar[part])


class _Waiting(NamedTuple):
    """A small request between its arrival and its turn."""

    rows: Pixels
    judge: bool  # whether it asks what is unfamiliar
    served: Served  # the version that served when it came
    answer: "asyncio.Future[Answer]"
    arrived: float


class Predictor:
    """Answers with the current model; `swap` replaces it for what arrives from then on. Lives on the event loop."""

    def __init__(self, served: Served, most_rows: int = 16_384, meters: Meters | None = None) -> None:
        self._served, self._most_rows, self._meters = served, most_rows, meters or Meters()
        self._rows_in_hand = {"small": 0, "large": 0}  # of requests that are one or the other: neither shuts out the other
        self._waiting: list[_Waiting] = []
        self._long_work = Workers(1, LONG_SECONDS, "work on large requests", "inference")
        self.forms = Turns(MOST_FORMS, FORM_SECONDS, "forms with many pictures")

    @property
    def served(self) -> Served:
        """The model that answers now."""
        return self._served

    def swap(self, served: Served) -> None:
        """Answer with `served` what arrives from now on."""
        self._served = served
        self._meters.model_swapped()

    def close(self) -> None:
        """End the thread."""
        self._long_work.close()

    async def classify(self, images: Pixels, judge: bool = False) -> Answer:
        """Classify images (N, 784) or (N, 28, 28), pixels 0..255, and where asked to, judge which are unfamiliar.

        Raises UnavailableError where too many are in hand.
        """
        rows = images.reshape(len(images), PIXELS)
        size = "small" if len(rows) <= TURN_ROWS else "large"
        self._admit(size, len(rows))
        try:
            return await (self._join_turn(rows, judge) if size == "small" else self._compute_in_parts(rows, judge))
        finally:
            self._rows_in_hand[size] -= len(rows)

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do long work off the event loop, in the one thread where all such work takes turns: more would only fight for the interpreter.

        Raises UnavailableError where the turn does not come, and what `function` raises.
        """
        return await self._long_work.do(function, *arguments)

    def _admit(self, size: str, count: int) -> None:
        """Count rows as in hand. A request that finds none of its size in hand is let in with however many."""
        before = self._rows_in_hand[size]
        if before and before + count > self._most_rows:
            raise UnavailableError(f"{before} pictures are in hand and {count} more would exceed {self._most_rows}; send them again later")
        self._rows_in_hand[size] += count

    def _join_turn(self, rows: Pixels, judge: bool) -> "asyncio.Future[Answer]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._look_around, 0)
        self._waiting.append(_Waiting(rows, judge, self._served, answer, time.perf_counter()))
        return answer

    def _look_around(self, before: int) -> None:
        """Take the turn, unless more wait than at the last look: what arrived together with them is being read now."""
        if before < len(self._waiting) < TURN_ROWS:
            asyncio.get_running_loop().call_soon(self._look_around, len(self._waiting))
        else:
            self._take_turn()

    def _take_turn(self) -> None:
        """Answer those who wait; what is too much for one turn comes in the next."""
        turn, self._waiting = _split(self._waiting)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._take_turn)
        turn = [each for each in turn if not each.answer.done()]  # not those who have hung up
        if turn:
            self._answer(turn)

    def _answer(self, turn: list[_Waiting]) -> None:
        served, started = turn[0].served, time.perf_counter()
        try:
            rows: Any = turn[0].rows if len(turn) == 1 else np.concatenate([each.rows for each in turn])
            answer = self._compute(served, rows, any(each.judge for each in turn), [started - each.arrived for each in turn])
        except Exception as error:
            for each in turn:
                each.answer.set_exception(error)
            return
        place = 0
        for each in turn:
            each.answer.set_result(answer.rows(place, len(each.rows)))
            place += len(each.rows)

    async def _compute_in_parts(self, rows: Pixels, judge: bool) -> Answer:
        """Large requests take turns in one thread, a part at a time."""
        served, arrived = self._served, time.perf_counter()
        parts = [
            await self.in_thread(self._compute_part, served, rows[start : start + PART_ROWS], judge, None if start else arrived)
            for start in range(0, len(rows), PART_ROWS)
        ]
        known = [part.unfamiliar for part in parts if part.unfamiliar is not None]
        return Answer(np.concatenate([part.probabilities for part in parts]), served, np.concatenate(known) if known else None)

    def _compute_part(self, served: Served, rows: Pixels, judge: bool, arrived: float | None) -> Answer:
        """A part of a large request; `arrived` with its first one."""
        return self._compute(served, rows, judge, [] if arrived is None else [time.perf_counter() - arrived])

    def _compute(self, served: Served, rows: Pixels, judge: bool, waits: list[float]) -> Answer:
        """One pass, measured."""
        started = time.perf_counter()
        probabilities = served.probabilities(rows)
        self._meters.batch_done(probabilities, served.version, time.perf_counter() - started, waits)
        return Answer(probabilities, served, served.unfamiliar(rows) if judge else None)


def _split(waiting: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """One turn's worth from the front, all for one version, and the rest."""
    count = rows = 0
    for each in waiting:
        rows += len(each.rows)
        if count and (rows > TURN_ROWS or each.served is not waiting[0].served):
            break
        count += 1
    return waiting[:count], waiting[count:]
