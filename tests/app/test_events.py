"""GET /train/{job}/events: told as it happens, from any place on, to many at once, and at no cost to the job."""

import asyncio
import dataclasses
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.errors import NotFoundError
from app.events import HEARTBEAT_SECONDS, EventHub
from app.reading import Readers
from app.settings import Settings
from app.store import Row, Store, events, jobs, schema
from tests.support.service import client_of, eventually, free_port, server, store_of, wait_for
from tests.support.streams import all_of, following, parse

SHORT = {"epochs": 3, "hidden": [16, 9], "batch_size": 64, "promote": "always"}
LONG = {**SHORT, "epochs": 2000}
LISTENERS = 50
GENEROUS_SECONDS = 10.0


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[httpx2.Client]:
    """A client of a real server, which has room for 50 listeners."""
    folder = tmp_path_factory.mktemp("events")
    settings = Settings(port=free_port(), state_dir=folder, data_dir=tiny_folder, model=shipped, event_streams=LISTENERS)
    with server(settings, folder / "log") as (_, client):
        yield client
    assert "Traceback" not in (folder / "log").read_text()


def submit(client: httpx2.Client, request: dict[str, Any]) -> int:
    job: int = client.post("/train", json=request).json()["id"]
    return job


def test_a_job_is_told_from_queued_to_done(live: httpx2.Client) -> None:
    job = submit(live, SHORT)
    events = all_of(live, job)
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert [event.data["epoch"] for event in events if event.kind == "epoch"] == [1, 2, 3]
    told = [(event.data["status"], event.data.get("stage")) for event in events if event.kind == "status"]
    assert told[:2] == [("queued", None), ("running", None)]
    assert [stage for _, stage in told[2:]] == ["loading data", "training", "evaluating", "publishing"]
    assert [event.kind for event in events].index("done") == len(events) - 1
    ended = live.get(f"/train/{job}").json()
    assert {name: ended[name] for name in ("status", "version", "promotion", "metrics")} == events[-1].data
    assert [event.data for event in events if event.kind == "epoch"] == live.get(f"/train/{job}/history").json()["epochs"]


def test_a_job_that_is_forgotten_just_before_it_is_followed_is_not_found(own_client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job = own_client.post("/train", json=SHORT).json()["id"]
    wait_for(own_client, job, "succeeded")
    fetch = EventHub._fetch

    def forget_and_fetch(hub: EventHub, known: dict[int, int]) -> dict[int, list[Row] | None]:
        with hub._store.write() as db:
            db.execute(schema.models.update().values(job=None))
            jobs.submit(db, {}, "never")
            jobs.prune(db, keep=1)
        return fetch(hub, known)

    monkeypatch.setattr(jobs, "TOLD_SECONDS", -1)
    monkeypatch.setattr(EventHub, "_fetch", forget_and_fetch)
    assert own_client.get(f"/train/{job}/events").status_code == 404
    assert own_client.app.state.hub._feeds == {}  # type: ignore[attr-defined]


def test_a_stream_ends_when_its_job_is_forgotten(settings: Settings) -> None:
    async def follow_and_forget(store: Store) -> list[str]:
        hub = EventHub(store, Readers(), most_followers=1)
        async with hub.follow(1, after=0) as stream:
            told = [event.kind async for event in _first(stream)]
            with store.write() as db:
                db.execute(schema.events.delete())
                db.execute(schema.jobs.delete())
            await hub.refresh()
            return told + [event.kind async for event in stream if event]

    with store_of(settings) as store:
        with store.write() as db:
            jobs.submit(db, {}, "never")
        assert asyncio.run(asyncio.wait_for(follow_and_forget(store), GENEROUS_SECONDS)) == ["status"]


def test_who_asks_for_a_job_before_it_is_there_takes_nothing_from_its_followers(settings: Settings) -> None:
    asked, answer = threading.Event(), threading.Event()

    class SlowHub(EventHub):
        def _fetch(self, known: Mapping[int, int]) -> dict[int, list[Row] | None]:
            found = super()._fetch(known)
            if not asked.is_set():
                asked.set()
                assert answer.wait(GENEROUS_SECONDS)
            return found

    async def ask(hub: EventHub) -> None:
        async with hub.follow(1, after=0):
            raise AssertionError("it was not there")

    async def follow_meanwhile(store: Store) -> list[str]:
        hub = SlowHub(store, Readers(), most_followers=2)
        early = asyncio.create_task(ask(hub))
        await asyncio.to_thread(asked.wait)
        with store.write() as db:
            jobs.submit(db, {}, "never")
        async with hub.follow(1, after=0) as stream:
            told = [event.kind async for event in _first(stream)]
            answer.set()
            with pytest.raises(NotFoundError, match="there is no job 1"):
                await early
            with store.write() as db:
                events.append(db, 1, "done", {"status": "cancelled"})
            await hub.refresh()
            return told + [event.kind async for event in stream if event]

    with store_of(settings) as store:
        assert asyncio.run(asyncio.wait_for(follow_meanwhile(store), GENEROUS_SECONDS)) == ["status", "done"]


def test_a_long_history_is_told_with_turns_for_others(settings: Settings) -> None:
    async def follow_while_others_have_turns(store: Store) -> tuple[int, int]:
        hub, turns = EventHub(store, Readers(), most_followers=1), 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with hub.follow(1, after=0) as stream:
            others = asyncio.create_task(take_turns())
            told = len([event async for event in stream])
            others.cancel()
            return told, turns

    with store_of(settings) as store:
        with store.write() as db:
            jobs.submit(db, {}, "never")
            for epoch in range(1000):
                events.append(db, 1, "epoch", {"epoch": epoch})
            events.append(db, 1, "done", {"status": "cancelled"})
        told, turns = asyncio.run(asyncio.wait_for(follow_while_others_have_turns(store), GENEROUS_SECONDS))
    assert told == 1002
    assert turns > 50


async def _first(stream: AsyncIterator[Row | None]) -> AsyncIterator[Row]:
    event = await anext(stream)
    assert event is not None
    yield event


def test_an_event_is_told_while_the_job_runs(live: httpx2.Client) -> None:
    job = submit(live, LONG)
    with following(live, job) as events:
        first = next(event for event in events if event.kind == "epoch")
        assert first.data["epoch"] == 1
        assert live.get(f"/train/{job}").json()["status"] == "running"
        live.delete(f"/train/{job}")
        last = list(events)[-1]
    assert (last.kind, last.data) == ("done", {"status": "cancelled"})


def test_a_listener_that_comes_back_goes_on_after_what_it_has_seen(live: httpx2.Client) -> None:
    job = submit(live, SHORT)
    events = all_of(live, job)
    for place, event in enumerate(events[:-1]):
        assert all_of(live, job, after=event.id) == events[place + 1 :]
    assert all_of(live, job) == events


def test_a_listener_that_has_seen_the_end_hears_of_it_once_more(live: httpx2.Client) -> None:
    job = submit(live, SHORT)
    done = all_of(live, job)[-1]
    for after in (done.id, done.id + 1000, 10**17):
        assert all_of(live, job, after=after) == [done]


@pytest.mark.parametrize("last", ["", "first", "-1", "1e3", "9" * 100, "1 2"])
def test_a_last_event_that_is_no_number_of_ours_means_the_beginning(own_client: TestClient, last: str) -> None:
    job = submit(own_client, SHORT)
    own_client.delete(f"/train/{job}")
    answer = own_client.get(f"/train/{job}/events", headers={"Last-Event-ID": last})
    assert next(parse(answer.text.split("\n"))).data["status"] == "queued"


def test_a_job_that_there_is_not_cannot_be_followed(client: TestClient) -> None:
    answer = client.get("/train/7000/events")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_a_silent_stream_says_now_and_then_that_it_lives(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEARTBEAT_SECONDS == 15
    monkeypatch.setattr("app.events.HEARTBEAT_SECONDS", 0.1)
    job = submit(client, SHORT)  # this service trains nothing
    threading.Timer(0.6, lambda: client.delete(f"/train/{job}")).start()
    text = client.get(f"/train/{job}/events").text
    assert text.count(": ping\n\n") >= 2
    assert [event.kind for event in parse(text.split("\n"))] == ["status", "done"]


def test_fifty_listeners_hear_the_same_and_the_next_one_is_told_when_to_come_again(live: httpx2.Client) -> None:
    job = submit(live, LONG)
    with ExitStack() as open_streams:
        streams = [open_streams.enter_context(following(live, job)) for _ in range(LISTENERS)]
        refused = live.get(f"/train/{job}/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert eventually(lambda: live.get(f"/train/{job}").json()["epoch"] > 3)
        live.delete(f"/train/{job}")
        heard = [list(events) for events in streams]
    assert all(events == heard[0] for events in heard)
    assert heard[0][-1].data == {"status": "cancelled"}


def test_listeners_that_hang_up_give_their_places_back(live: httpx2.Client) -> None:
    job = submit(live, LONG)
    for _ in range(2):
        with ExitStack() as open_streams:
            for _ in range(LISTENERS):
                assert eventually(lambda: _enter(open_streams, live, job))
    live.delete(f"/train/{job}")
    assert all_of(live, job)[-1].kind == "done"


def _enter(streams: ExitStack, client: httpx2.Client, job: int) -> bool:
    """Whether there is a place for one more."""
    request = client.build_request("GET", f"/train/{job}/events")
    answer = client.send(request, stream=True)
    streams.callback(answer.close)
    return answer.status_code == 200


def test_a_listener_that_does_not_read_holds_up_nobody(live: httpx2.Client) -> None:
    job = submit(live, LONG)
    port = int(live.base_url.port or 0)
    with socket.create_connection(("127.0.0.1", port)) as deaf, following(live, job) as events:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.sendall(f"GET /train/{job}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        epochs = (event for event in events if event.kind == "epoch")
        assert [next(epochs).data["epoch"] for _ in range(100)] == list(range(1, 101))
    live.delete(f"/train/{job}")


def test_a_job_goes_on_when_its_last_listener_leaves(live: httpx2.Client) -> None:
    job = submit(live, {**SHORT, "epochs": 200})
    with following(live, job) as events:
        next(events)
    assert wait_for(live, job, "succeeded")["epoch"] == 200


def test_a_follower_is_told_within_half_a_second(live: httpx2.Client) -> None:
    job = submit(live, LONG)
    with following(live, job) as events:
        next(event for event in events if event.kind == "epoch")
        live.delete(f"/train/{job}")
        cancelled = time.monotonic()
        list(events)
        assert time.monotonic() - cancelled < 5  # 0.5 s where nobody else computes; this machine may be busy


def test_the_hub_forgets_a_job_that_nobody_follows(settings: Settings) -> None:
    with client_of(dataclasses.replace(settings, training_slots=0)) as client:
        job = submit(client, SHORT)
        client.delete(f"/train/{job}")
        assert client.get(f"/train/{job}/events").status_code == 200
        assert client.app.state.hub._feeds == {}  # type: ignore[attr-defined]
