"""Server-sent events, as a client reads them."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    id: int
    kind: str
    data: dict[str, Any]


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """The events in a stream's lines; comments are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif fields:
            yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


@contextmanager
def following(client: httpx2.Client, job: int, after: int | None = None) -> Iterator[Iterator[Event]]:
    """A job's events, as they come; `after` is the last one that was seen before."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with client.stream("GET", f"/train/{job}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield parse(answer.iter_lines())


def all_of(client: httpx2.Client, job: int, after: int | None = None) -> list[Event]:
    """A job's events, up to the stream's end."""
    with following(client, job, after) as events:
        return list(events)
