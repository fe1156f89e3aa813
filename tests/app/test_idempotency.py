"""A training request that is sent again, on either kind of database: one job, however often and from wherever it comes."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from app.store.schema import jobs
from tests.support.service import client_of, store_of

SENDERS = 12


@pytest.fixture
def queue(settings: Settings, database_url: str) -> Iterator[TestClient]:
    """A service that trains nothing."""
    with client_of(dataclasses.replace(settings, database_url=database_url, training_slots=0)) as client:
        yield client


def post(client: TestClient, key: str | None = "a key", **request: Any) -> httpx2.Response:
    return client.post("/train", json=request, headers={} if key is None else {"Idempotency-Key": key})


def test_the_same_request_with_the_same_key_is_the_same_job(queue: TestClient) -> None:
    first, again = post(queue, epochs=3), post(queue, epochs=3)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"] == "/train/1"
    assert len(queue.get("/train").json()["jobs"]) == 1


def test_what_is_said_and_what_is_the_default_are_the_same_request(queue: TestClient) -> None:
    assert post(queue).json()["id"] == post(queue, recipe="quick", promote="if-better").json()["id"]


def test_another_request_with_the_same_key_is_refused_with_the_job(queue: TestClient) -> None:
    post(queue, epochs=3)
    answer = post(queue, epochs=4)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "as job 1; use a new key" in answer.json()["detail"]


def test_another_key_and_no_key_are_other_jobs(queue: TestClient) -> None:
    numbers = [post(queue, key, epochs=3).json()["id"] for key in ("a key", "another", None, None)]
    assert numbers == [1, 2, 3, 4]


def test_a_key_is_known_when_its_job_has_ended(queue: TestClient) -> None:
    post(queue, epochs=3)
    queue.delete("/train/1")
    again = post(queue, epochs=3).json()
    assert (again["id"], again["status"]) == (1, "cancelled")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_cannot_be_kept_is_refused(client: TestClient, key: str) -> None:
    assert post(client, key).status_code == 422


def test_requests_with_one_key_that_come_at_once_give_one_job(queue: TestClient) -> None:
    with ThreadPoolExecutor(SENDERS) as pool:
        answers = list(pool.map(lambda _: post(queue, epochs=3), range(SENDERS)))
    assert [answer.status_code for answer in answers] == [202] * SENDERS
    assert {answer.json()["id"] for answer in answers} == {1}
    assert len(queue.get("/train").json()["jobs"]) == 1


def test_a_job_says_before_it_starts_how_long_it_may_take(queue: TestClient) -> None:
    short, long, wide = (post(queue, None, **{"epochs": 1000, **more}) for more in ({}, {"epochs": 2000}, {"hidden": [512, 512]}))
    seconds = [answer.json()["eta_seconds"] for answer in (short, long, wide)]
    assert 0 < seconds[0] < seconds[1]
    assert seconds[0] < seconds[2]
    assert queue.get(short.headers["Location"]).json()["eta_seconds"] == seconds[0]


def test_a_recipe_of_another_release_is_shown_and_estimates_nothing(queue: TestClient, settings: Settings, database_url: str) -> None:
    first = post(queue, epochs=3).json()
    with store_of(dataclasses.replace(settings, database_url=database_url)) as store, store.write() as db:
        db.execute(jobs.update().values(recipe={**first["recipe"], "augment": "mixup"}, epoch_seconds=1.5))
    shown = queue.get(first["links"]["self"]).json()
    assert (shown["recipe"]["augment"], shown["eta_seconds"]) == ("mixup", 4.5)
    assert post(queue, None, epochs=3).json()["eta_seconds"] is None
