"""The serving model is changed again and again while clients predict as fast as they can."""

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest

from app.settings import Settings
from model_core import artifact
from tests.support import tiny
from tests.support.pictures import encode, grey
from tests.support.service import PATIENCE_SECONDS, add_version, free_port, server

PNG = encode(grey())
CLIENTS = 4
FOLLOWED_SECONDS = 0.5  # an activation has reached every worker
TIMES = [8, pytest.param(50, marks=pytest.mark.soak)]


@dataclass(frozen=True)
class Answer:
    """What a client got, when it had asked and when it knew."""

    asked: float
    answered: float
    status: int
    version: int
    sha256: str


@dataclass(frozen=True)
class Activation:
    """When another version was asked for, and when that was answered."""

    asked: float
    answered: float
    version: int


@pytest.fixture
def digests(settings: Settings) -> dict[int, str]:
    """Three versions in the database: their numbers and files."""
    recipes = [tiny.RECIPE, *(dataclasses.replace(tiny.RECIPE, seed=seed, epochs=1) for seed in (2, 3))]
    return {add_version(settings, tiny.model(recipe)): artifact.sha256(artifact.to_bytes(tiny.model(recipe))) for recipe in recipes}


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("workers", [1, 3])
def test_no_request_fails_and_no_answer_is_of_a_version_that_was_replaced(
    settings: Settings, tmp_path: Path, digests: dict[int, str], workers: int, times: int
) -> None:
    settings = dataclasses.replace(settings, port=free_port(), workers=workers)
    stop = threading.Event()
    with server(settings, tmp_path / "log") as (_, client), ThreadPoolExecutor(CLIENTS) as pool:
        loads = [pool.submit(lambda: list(predict_until(stop, settings.port))) for _ in range(CLIENTS)]
        try:
            activations = list(activate_in_turn(client, list(digests), times))
        finally:
            stop.set()
        answers = [answer for load in loads for answer in load.result()]
    assert len(answers) > 20 * times
    assert {answer.status for answer in answers} == {200}
    assert all(answer.sha256 == digests[answer.version] for answer in answers if answer.version in digests)
    assert {answer.version for answer in answers} >= {activation.version for activation in activations}
    assert list(late_answers(answers, activations)) == []


def activate_in_turn(client: httpx2.Client, versions: list[int], times: int) -> Iterator[Activation]:
    """Let each version serve for a second, from one to the next."""
    for turn in range(times):
        version = versions[turn % len(versions)]
        asked = time.monotonic()
        assert client.put("/models/current", json={"version": version}).status_code == 200
        yield Activation(asked, time.monotonic(), version)
        time.sleep(2 * FOLLOWED_SECONDS)


def predict_until(stop: threading.Event, port: int) -> Iterator[Answer]:
    """Post pictures, one after the other, each over a connection of its own: any worker may get it."""
    while not stop.is_set():
        asked = time.monotonic()
        with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
            connection.request("POST", "/predict", PNG, {"Content-Type": "image/png"})
            answer = connection.getresponse()
            model = json.loads(answer.read())["model"]
        yield Answer(asked, time.monotonic(), answer.status, **model)


def late_answers(answers: list[Answer], activations: list[Activation]) -> Iterator[tuple[float, Answer]]:
    """Answers of another version than the one that all workers must have: how late, and which."""
    following = [*activations[1:], None]
    for activation, successor in zip(activations, following, strict=True):
        end = successor.asked if successor else float("inf")
        for answer in answers:
            settled = activation.answered + FOLLOWED_SECONDS <= answer.asked and answer.answered < end
            if settled and answer.version != activation.version:
                yield answer.asked - activation.answered, answer
