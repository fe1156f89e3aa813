"""Connections that are too many, too slow or gone: each meets a bound, and the others are served meanwhile."""

import asyncio
import contextlib
import functools
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import numpy as np
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.connections import Connection, Patience
from app.policy import HEADERS
from app.settings import Settings
from tests.app.test_metrics import value
from tests.app.test_predict_batch import npy
from tests.support.pictures import encode, grey
from tests.support.service import eventually, free_port, server

PNG = encode(grey())
POST = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
CONNECTIONS = 12
WRAPPING = 2**18
GENEROUS_SECONDS = 20.0  # for a machine that is busy; the bounds are a second or two


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[tuple[int, httpx2.Client]]:
    """A real server with little patience: its port, and a client."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(
        state_dir=folder,
        data_dir=tiny_folder,
        model=shipped,
        training_slots=0,
        port=free_port(),
        connections=CONNECTIONS,
        head_seconds=3,
        body_seconds=1,
        body_rate=4096,
        unread_seconds=1,
    )
    with server(settings, folder / "log") as (process, client):
        yield settings.port, client
        assert client.get("/readyz").status_code == 200
        assert process.poll() is None
    assert "Traceback" not in (folder / "log").read_text()


def connect(port: int) -> socket.socket:
    """A connection that gives up in the end."""
    return socket.create_connection(("127.0.0.1", port), timeout=GENEROUS_SECONDS)


def everything(connection: socket.socket) -> bytes:
    """What comes up to the end of the connection."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(2**16):
            answer += part
    return answer


def trickle(connection: socket.socket, piece: bytes, pause: float = 0.1) -> bytes:
    """Send a little again and again until the server has closed; what it said."""
    connection.settimeout(pause)
    answer = b""
    deadline = time.monotonic() + GENEROUS_SECONDS
    while time.monotonic() < deadline:
        try:
            connection.sendall(piece)
            part = connection.recv(2**16)
        except TimeoutError:
            continue
        except ConnectionError:
            return answer
        if not part:
            return answer
        answer += part
    pytest.fail(f"the server still listens; it has said {answer!r}")


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer that carries the headers of every answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    for name, text in HEADERS.items():
        assert f"{name}: {text}".lower() in head.decode().lower()
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    ("start", "piece"), [(b"GET /", b"a"), (POST, b"X-Slow: 1\r\n"), (POST + b"X-Slow: ", b"1")], ids=["a path", "headers", "a header"]
)
def test_a_head_that_trickles_in_is_cut_off(service: tuple[int, httpx2.Client], start: bytes, piece: bytes) -> None:
    began = time.monotonic()
    with connect(service[0]) as connection:
        connection.sendall(start)
        assert problem(trickle(connection, piece)) == (408, "too-slow")
    assert time.monotonic() - began > 2.5


def test_a_connection_that_says_nothing_is_closed_without_a_word(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        assert everything(connection) == b""


def test_empty_lines_do_not_keep_a_connection_open(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert trickle(connection, b"\r\n").count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("length", [b"Content-Length: 50000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/train"])
def test_a_body_that_trickles_in_is_cut_off(service: tuple[int, httpx2.Client], path: str, length: bytes) -> None:
    with connect(service[0]) as connection:
        kind = b"multipart/form-data; boundary=x" if path == "/predict/batch" else b"image/png"
        head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %b\r\n%b\r\n\r\n" % (path.encode(), kind, length)
        connection.sendall(head)
        answer = trickle(connection, b"1\r\n\0\r\n" if b"chunked" in length else b"\0")
    assert problem(answer) == (408, "too-slow")
    assert b"connection: close" in answer.lower()


def test_a_body_that_trickles_in_after_its_answer_is_cut_off_too(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert problem(trickle(connection, b"1\r\n\0\r\n")) == (404, "not-found")


def test_a_slow_body_that_keeps_its_rate_is_read(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(POST + b"Content-Length: 30000\r\nConnection: close\r\n\r\n")
        for _ in range(30):
            connection.sendall(b"\0" * 1000)
            time.sleep(0.1)
        assert problem(everything(connection)) == (415, "not-an-image")


def test_bytes_that_came_fast_buy_no_long_silence(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(POST + b"Content-Length: 1000000\r\n\r\n" + bytes(900_000))  # at the least rate these would take 220 s
        assert problem(everything(connection)) == (408, "too-slow")


def test_requests_that_wait_behind_one_on_their_connection_have_a_limit_that_is_named(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(POST + b"Content-Length: 1\r\n\r\n\0" + b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2000)
        answer = everything(connection)
    assert answer.count(b"HTTP/1.1 200 OK") == 64
    assert answer.rpartition(b"HTTP/1.1 ")[2].startswith(b"400 Bad Request")
    assert b"64 requests wait on this connection" in answer


@pytest.mark.parametrize(
    ("pieces", "status", "code", "named"),
    [
        (b"1\r\nx\r\n" * 1100, 400, "bad-request", "more than 1024 chunks of less than 256 bytes"),
        (b"0\r\n" + b"a:\r\n" * 101, 431, "head-too-large", "more than 100 headers"),
        (b"1\r\nx\r\n0\r\na: " + b"a" * WRAPPING, 431, "head-too-large", "what wraps the request's body has more than 65536 bytes"),
        (b"1\r\nx\r\n0\r\n" + b"a" * WRAPPING, 431, "head-too-large", "what wraps the request's body has more than 65536 bytes"),
        (b"1;a=" + b"a" * WRAPPING, 431, "head-too-large", "what wraps the request's body has more than 65536 bytes"),
        ((b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 200, 431, "head-too-large", "what wraps the request's body has more than 65536 bytes"),
    ],
    ids=["chunks", "trailers", "an endless trailer", "a trailer's endless name", "an endless extension", "extensions"],
)
def test_a_body_that_is_cut_up_or_wrapped_without_measure_is_refused_with_the_limit(
    service: tuple[int, httpx2.Client], pieces: bytes, status: int, code: str, named: str
) -> None:
    with connect(service[0]) as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + pieces)
        answer = everything(connection)
    assert problem(answer) == (status, code)
    assert named in answer.decode()


@pytest.mark.parametrize("pieces", [b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n", b"0\r\n" + b"a:\r\n" * 90 + b"\r\n"], ids=["chunks", "trailers"])
def test_requests_sent_at_once_may_not_come_in_too_many_pieces_together(service: tuple[int, httpx2.Client], pieces: bytes) -> None:
    request = POST + b"Transfer-Encoding: chunked\r\n\r\n" + pieces
    with connect(service[0]) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request * 200)
        answer = everything(connection)
    assert b"requests of more than 2048 headers and chunks came at once" in answer


def test_cookies_are_not_handed_on() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def ask() -> None:
        config = uvicorn.Config(answer, interface="asgi3", lifespan="off", log_config=None)
        config.load()
        made = functools.partial(Connection, patience=Patience.of(Settings()), config=config, server_state=ServerState(), app_state={})
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b'GET / HTTP/1.0\r\nCookie: a="\\""\r\nX-Kept: yes\r\nCOOKIE: b=c\r\n\r\n')
            await reader.read()
            writer.close()

    asyncio.run(ask())
    assert seen == [(b"x-kept", b"yes")]


def test_an_address_of_thousands_of_parameters_is_refused(service: tuple[int, httpx2.Client]) -> None:
    answer = service[1].get("/samples?" + "&".join(["a"] * 500))
    assert (answer.status_code, answer.json()["detail"]) == (400, "the address has more than 100 parameters")
    assert service[1].get("/samples?limit=1" + "&a" * 99).status_code == 200


def test_an_address_that_is_too_long_is_refused(service: tuple[int, httpx2.Client]) -> None:
    answer = service[1].get("/static/" + "x/" * 2000)
    assert (answer.status_code, answer.json()["code"]) == (414, "address-too-long")
    deep = service[1].get("/static/" + "x/" * 900)
    assert (deep.status_code, deep.json()["code"]) == (404, "not-found")
    answer = service[1].get("/weights/w1.png", headers={"If-None-Match": "," * 60_000})
    assert answer.status_code == 200


def test_large_chunks_may_be_as_many_as_the_body_needs(service: tuple[int, httpx2.Client]) -> None:
    pictures = npy(np.zeros((2000, 28, 28), np.uint8))
    chunks = (pictures[start : start + 256] for start in range(0, len(pictures), 256))  # 6,126 of them
    answer = service[1].post("/predict/batch", content=chunks, headers={"Content-Type": "application/x-npy"})
    assert (answer.status_code, len(answer.json()["predictions"])) == (200, 2000)


def test_pieces_without_end_after_an_answer_end_the_connection(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(POST.replace(b"/predict", b"/no-such-route") + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        answer = connection.recv(2**16)
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"1\r\nx\r\n" * 2000)
        answer += everything(connection)
    assert (answer.startswith(b"HTTP/1.1 404 "), answer.count(b"HTTP/1.1 ")) == (True, 1)


def test_a_head_that_never_ends_is_refused(service: tuple[int, httpx2.Client]) -> None:
    with connect(service[0]) as connection:
        connection.sendall(POST)
        assert problem(trickle(connection, b"X-Long: " + b"y" * 8000 + b"\r\n", 0.01)) == (431, "head-too-large")


@pytest.mark.parametrize(
    "request_line", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_told_so(service: tuple[int, httpx2.Client], request_line: bytes) -> None:
    with connect(service[0]) as connection:
        connection.sendall(request_line)
        assert problem(everything(connection)) == (400, "bad-request")


def test_what_is_no_http_does_not_get_into_an_answer_that_has_begun(service: tuple[int, httpx2.Client]) -> None:
    port, client = service
    job = client.post("/train").json()["id"]
    with connect(port) as connection:
        connection.sendall(b"GET /train/%d/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % job)
        begun = connection.recv(2**16)
        assert begun.startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\x16\x03\x01\x02\x00")
        time.sleep(0.1)
        client.delete(f"/train/{job}")
        rest = everything(connection)
    assert b"event: done" in rest
    assert b"\r\n0\r\n\r\nHTTP/1.1 400 " in rest


REFUSED = {
    "no HTTP": (b"\x16\x03\x01\x02\x00", b"400"),
    "an address that is too long": (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"414"),
    "a head without end": (b"GET / HTTP/1.1\r\nX: " + b"a" * 400_000, b"431"),
    "a head that is too long and whole": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 65_536 + b"\r\n\r\n", b"431"),
    "a body with a bad chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    "a body for another protocol": (POST + b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n.", b"400"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_what_is_refused_leaves_the_requests_before_it_their_answers(service: tuple[int, httpx2.Client], name: str, pause: float) -> None:
    refused, status = REFUSED[name]
    train = b"POST /train HTTP/1.1\r\nHost: 127.0.0.1\r\nIdempotency-Key: %b %g\r\nContent-Length: 0\r\n\r\n" % (name.encode(), pause)
    with connect(service[0]) as connection:
        connection.sendall(train + b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + (b"" if pause else refused))
        time.sleep(pause)
        connection.sendall(refused if pause else b"more that is not read")
        answer = everything(connection)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"202", b"200", status]


def test_an_answer_that_nobody_reads_is_given_up(service: tuple[int, httpx2.Client]) -> None:
    port, client = service
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
        assert eventually(lambda: value(client, "rookie_http_requests_in_flight") == 1, GENEROUS_SECONDS)  # the scrape
        connection.settimeout(GENEROUS_SECONDS)
        whole = 20 * len(client.get("/docs/assets/swagger-ui-bundle.js").content)
        assert len(everything(connection)) < whole


def test_one_connection_too_many_is_told_so_while_the_others_and_probes_are_served(service: tuple[int, httpx2.Client]) -> None:
    port, client = service
    with ExitStack() as stack:
        held = [stack.enter_context(connect(port)) for _ in range(CONNECTIONS)]
        with connect(port) as late, connect(port) as probe:
            late.sendall(POST + b"Content-Length: 1000000\r\n\r\n" + b"\0" * 10**6)
            answer = everything(late)
            assert problem(answer) == (503, "unavailable")
            assert b"retry-after: 1\r\n" in answer.lower()
            probe.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert everything(probe).startswith(b"HTTP/1.1 200 ")
        held[0].sendall(b"GET /models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert everything(held[0]).startswith(b"HTTP/1.1 200 ")
    assert eventually(lambda: client.get("/models").status_code == 200, GENEROUS_SECONDS)


def test_a_flood_of_connections_leaves_no_trace(service: tuple[int, httpx2.Client]) -> None:
    port, client = service
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(port))
    assert eventually(lambda: client.get("/models").status_code == 200, GENEROUS_SECONDS)


def test_what_nobody_waits_for_any_more_is_not_computed(service: tuple[int, httpx2.Client]) -> None:
    port, client = service
    rows, requests = 4096, 6
    body = npy(np.zeros((rows, 28, 28), np.uint8))
    head = b"POST /predict/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-npy\r\nContent-Length: %d\r\n\r\n" % len(body)
    before = value(client, "rookie_inference_rows_total")
    for _ in range(requests):
        with connect(port) as connection:
            connection.sendall(head + body)
    assert eventually(lambda: value(client, "rookie_http_requests_in_flight") == 1, GENEROUS_SECONDS)
    assert value(client, "rookie_inference_rows_total") - before < requests * rows / 2
    assert client.post("/predict", content=PNG, headers={"Content-Type": "image/png"}).status_code == 200
