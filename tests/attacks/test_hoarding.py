"""Clients that take a place and do not give it back: streams without end, sockets that say a byte now and then."""

import contextlib
import socket
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.attacks import BEARER, Target, status_of
from tests.support.pictures import encode, grey
from tests.support.service import eventually

SLOW_SOCKETS = 200
LONGEST_SECONDS = 5.0  # for one prediction, on a machine that does other things as well
PICTURE_POST = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
FORM_POST = b"POST /predict/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
HEADS = {
    "that stop within the head": b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "that stop within the body": PICTURE_POST + b"Content-Length: 100000\r\n\r\n\x89PNG",
    "that stop within a chunk": PICTURE_POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n\x89PNG",
    "that stop within a form of many files": FORM_POST + b"Content-Length: 60000\r\n\r\n--x\r\n",
    "that say nothing": b"",
    "that read nothing": b"GET /weights/w1.png?scale=4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 5,
}


@contextlib.contextmanager
def open_sockets(target: Target, count: int, first: bytes) -> Iterator[list[socket.socket]]:
    """That many connections, each of which has sent `first`."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(target.connect()) for _ in range(count)]
        for each in sockets:
            each.sendall(first)
        yield sockets


def assert_others_are_answered(target: Target) -> None:
    """New clients and known ones get their predictions in time."""
    for number in range(10):
        began = time.monotonic()
        headers = {"Content-Type": "image/png", **({"Connection": "close"} if number % 2 else {})}
        answer = target.client.post("/predict", content=encode(grey(number)), headers=headers)
        assert answer.status_code == 200
        assert time.monotonic() - began < LONGEST_SECONDS
    assert target.client.post("/predict/batch", files=[("files", ("a.png", encode(grey())))]).status_code == 200


@pytest.mark.parametrize("name", HEADS)
def test_others_are_answered_beside_two_hundred_clients(unharmed: Target, name: str) -> None:
    with open_sockets(unharmed, SLOW_SOCKETS, HEADS[name]) as sockets:
        assert_others_are_answered(unharmed)
        for each in sockets:
            with contextlib.suppress(ConnectionError):  # a service with timers may have closed it
                each.sendall(b"a")
        assert_others_are_answered(unharmed)


def test_clients_that_leave_in_the_middle_are_forgotten(unharmed: Target) -> None:
    before = unharmed.open_files()
    for head in HEADS.values():
        with open_sockets(unharmed, 50, head):
            pass
    assert eventually(lambda: unharmed.open_files() <= before + 10)


def test_streams_beyond_the_limit_are_refused_and_others_unhurt(unharmed: Target) -> None:
    job = unharmed.client.post("/train", headers=BEARER).json()["id"]
    stream = f"GET /train/{job}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    most = unharmed.settings.event_streams
    with open_sockets(unharmed, most, stream) as sockets:
        assert [status_of(each.recv(2**16)) for each in sockets] == [200] * most
        for _ in range(30):
            answer = unharmed.client.get(f"/train/{job}/events")
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
        assert_others_are_answered(unharmed)
        assert unharmed.client.get(f"/train/{job}").status_code == 200
    assert eventually(lambda: _opens(unharmed, job)), "the places are not given back"
    assert unharmed.client.delete(f"/train/{job}", headers=BEARER).status_code == 202


def _opens(target: Target, job: int) -> bool:
    with target.client.stream("GET", f"/train/{job}/events") as answer:
        return answer.status_code == 200


def test_a_hundred_jobs_asked_for_at_once_are_queued_or_refused(unharmed: Target) -> None:
    with httpx2.Client(base_url=unharmed.client.base_url, headers=BEARER, timeout=60, trust_env=False) as client:
        answers = [client.post("/train") for _ in range(100)]
        assert {answer.status_code for answer in answers} <= {202, 429, 503}
        for answer in answers:
            if answer.status_code == 202:
                assert client.delete(answer.headers["Location"]).status_code == 202
            else:
                assert answer.headers["Retry-After"]
    assert_others_are_answered(unharmed)
