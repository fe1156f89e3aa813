"""The memory that bodies and answers share: who holds it and dawdles gives way, small requests find room, and all of it is given back."""

import asyncio
import contextlib
import gzip
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app import limits
from app.open_inference import body
from app.open_inference import request as inference_request
from app.settings import Settings
from tests.support.pictures import encode, grey
from tests.support.service import eventually, free_port, server

WEIGHTS = Path(__file__).parents[2] / "weights" / "rookie.npz"  # 2 MB: what is smaller finds room between the kernels
PICTURE = encode(grey())
POST = b"POST /predict/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-npy\r\nContent-Length: %d\r\n\r\n" % 2**21


def short_of_memory(folder: Path, data: Path) -> Settings:
    """A service with endless patience and a mebibyte for what comes and goes."""
    patient = Settings(state_dir=folder, data_dir=data, model=WEIGHTS, unread_seconds=3600, body_seconds=3600, body_rate=1)
    return replace(patient, training_slots=0, port=free_port(), bytes_in_hand=2**20)


async def answer(limit: limits.BodyLimit, size: int = 0, leave: bool = False) -> list[Message]:
    """What the application behind a limit answers to a body of that size; with `leave` its task is cancelled as it waits."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(size), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/predict", "query_string": b"", "headers": [], "method": "POST"}
    task = asyncio.ensure_future(limit(scope, receive, send))
    if leave:
        await asyncio.sleep(0)
        task.cancel()
    await task
    return sent


def test_answers_that_nobody_reads_have_a_limit(tmp_path: Path, tiny_folder: Path) -> None:
    settings = short_of_memory(tmp_path, tiny_folder)
    request = f"GET /models/1/weights.npz HTTP/1.1\r\nHost: 127.0.0.1:{settings.port}\r\n\r\n".encode()
    with server(settings, tmp_path / "log") as (_, client), contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", settings.port))
            connection.sendall(request * 4)
        assert eventually(lambda: client.get("/models").status_code == 503)
        assert client.get("/models").headers["Retry-After"]
        assert client.get("/readyz").status_code == 200
        assert eventually(lambda: client.get("/models").status_code == 200), "they are still waited for"


def test_a_body_that_dawdles_while_memory_is_short_gives_way(tmp_path: Path, tiny_folder: Path) -> None:
    settings, kind = short_of_memory(tmp_path, tiny_folder), {"Content-Type": "image/png"}
    with server(settings, tmp_path / "log") as (_, client), socket.create_connection(("127.0.0.1", settings.port), 60) as connection:
        connection.sendall(POST + bytes(settings.bytes_in_hand + 100))
        assert eventually(lambda: client.get("/models").status_code == 503)
        assert eventually(lambda: client.post("/predict", content=PICTURE, headers=kind).status_code == 200), "it is still waited for"
        assert connection.recv(2**16).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("size", "status"), [(limits.SMALL_BYTES, 200), (limits.SMALL_BYTES + 1, 503)])
def test_large_bodies_leave_room_for_small_ones(size: int, status: int) -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await Response()(scope, receive, send)

    limit = limits.BodyLimit(reads, Settings())
    limit.in_hand = before = limit.settings.bytes_in_hand * 4 // 5
    assert asyncio.run(answer(limit, size))[0]["status"] == status
    assert limit.in_hand == before


def test_pixels_do_not_keep_the_body_that_brought_them() -> None:
    header = b'{"inputs":[{"name":"image","shape":[1,784],"datatype":"FP32","parameters":{"binary_data_size":3136}}]}'
    packed = gzip.compress(header.ljust(2**20) + bytes(3136))
    headers = {"content-encoding": "gzip", "inference-header-content-length": str(2**20)}
    brought = body.read(packed, headers, 2**22)
    asked = inference_request.parse(brought, most_rows=1)
    assert asked.pixels.shape == (1, 784)
    assert not np.may_share_memory(asked.pixels, np.frombuffer(brought.binary, np.uint8))


@pytest.mark.parametrize(
    ("method", "path", "announced", "refused"),
    [
        ("GET", "/models/1/weights.npz", True, 30),
        ("POST", "/predict/batch", True, 30),
        ("PUT", "/models/current", True, 0),  # it was changed, and must not be told otherwise
        ("GET", "/train/1/events", False, 0),  # of a stream nobody knows how long it is
    ],
)
def test_answers_that_are_asked_for_at_once_find_room_or_are_refused(method: str, path: str, announced: bool, refused: int) -> None:
    size, all_ask, statuses = 2**20, asyncio.Event(), Counter[int]()

    async def answers_late(scope: Scope, receive: Receive, send: Send) -> None:
        await all_ask.wait()
        response = Response(bytes(size))
        if not announced:
            del response.headers["content-length"]
        await response(scope, receive, send)

    limit = limits.BodyLimit(answers_late, replace(Settings(), bytes_in_hand=10 * size))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses[message["status"]] += 1
        await asyncio.sleep(0.01)

    async def crowd() -> int:
        scope = {"type": "http", "path": path, "query_string": b"", "headers": [], "method": method}
        asking = [asyncio.ensure_future(limit({**scope}, receive, send)) for _ in range(40)]
        await asyncio.sleep(0.01)
        all_ask.set()
        await asyncio.sleep(0.05)
        most = limit.in_hand
        await asyncio.gather(*asking)
        return most

    most = asyncio.run(crowd())
    assert statuses == Counter({200: 40 - refused, 503: refused})
    assert most == (40 - refused) * size
    assert limit.in_hand == 0


@pytest.mark.parametrize("size", [0, 1, limits.SLICE_BYTES, limits.SLICE_BYTES + 1, 3 * limits.SLICE_BYTES])
@pytest.mark.parametrize("more", [False, True])
def test_a_large_answer_is_handed_over_in_slices(size: int, more: bool) -> None:
    whole = {"type": "http.response.body", "body": bytes(size), "more_body": more}
    parts = list(limits._slices(whole))
    assert b"".join(part["body"] for part in parts) == whole["body"]
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [more]
    assert max(len(part["body"]) for part in parts) <= limits.SLICE_BYTES


def test_a_request_that_a_stop_ends_is_answered() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 (an application's three)
        await asyncio.Event().wait()

    start, _ = asyncio.run(answer(limits.BodyLimit(waits, Settings()), leave=True))
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"]


def test_a_client_that_leaves_in_the_middle_of_its_answer_leaves_no_error_behind() -> None:
    async def begins(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 (as above)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        limits.drop(scope)
        await asyncio.Event().wait()

    assert [message["type"] for message in asyncio.run(answer(limits.BodyLimit(begins, Settings())))] == ["http.response.start"]
