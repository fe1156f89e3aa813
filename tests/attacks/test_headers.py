"""Heads of requests that no client sends: huge, twice, in conflict with each other, with line breaks inside."""

import contextlib
import time
from pathlib import Path

import pytest

import model_core
from app.settings import Settings
from tests.support import tiny
from tests.support.attacks import TOKEN, Target, status_of
from tests.support.pictures import encode, grey
from tests.support.service import free_port, server

PICTURE = encode(grey())
LENGTH = f"Content-Length: {len(PICTURE)}"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PICTURE), PICTURE)
HIDDEN = b"DELETE /models/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def head(*lines: str, first: str = "POST /predict HTTP/1.1", host: str = "Host: 127.0.0.1") -> bytes:
    """A head of these lines, after which the connection is to be closed."""
    return "\r\n".join([first, host, "Content-Type: image/png", "Connection: close", *lines, "", ""]).encode("latin-1")


# What is sent, and what may come of it: 0 is a connection that is closed without a word.
REQUESTS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "a length twice, the same": (head(LENGTH, LENGTH) + PICTURE, (200, 400)),
    "a length twice, not the same": (head(LENGTH, "Content-Length: 5") + PICTURE, (400,)),
    "a length of lengths": (head(f"{LENGTH}, {len(PICTURE)}") + PICTURE, (200, 400)),
    "a length below nothing": (head("Content-Length: -1") + PICTURE, (400,)),
    "a length with a sign": (head(f"Content-Length: +{len(PICTURE)}") + PICTURE, (400,)),
    "a length in hexadecimal": (head("Content-Length: 0x10") + PICTURE, (400,)),
    "a length behind five thousand zeros": (head(f"Content-Length: {'0' * 5000}{len(PICTURE)}") + PICTURE, (200,)),
    "a length of five thousand digits": (head(f"Content-Length: {'9' * 5000}") + PICTURE, (400, 413)),
    "a length of no number": (head("Content-Length: ten") + PICTURE, (400,)),
    "a length of 2**64": (head(f"Content-Length: {2**64}") + PICTURE, (400, 413)),
    "a length of 2**63 - 1": (head(f"Content-Length: {2**63 - 1}") + PICTURE, (400, 413)),
    "a length that never comes": (head("Content-Length: 1000") + b"x", (0, 400)),
    "a length in other digits": (head("Content-Length: \xb2\xb3") + PICTURE, (400,)),
    "a length and chunks": (head(LENGTH, "Transfer-Encoding: chunked") + CHUNKED, (200, 400)),
    "chunks and a length": (head("Transfer-Encoding: chunked", "Content-Length: 4") + CHUNKED, (200, 400)),
    "chunks that are no chunks": (head("Transfer-Encoding: chunked") + b"zz\r\n\r\n", (400,)),
    "a chunk below nothing": (head("Transfer-Encoding: chunked") + b"-1\r\nx\r\n0\r\n\r\n", (400,)),
    "a chunk of 2**64": (head("Transfer-Encoding: chunked") + b"ffffffffffffffffff\r\nx", (400, 413)),
    "a chunk that never ends": (head("Transfer-Encoding: chunked") + b"ff\r\nx", (0, 400)),
    "a chunk with an endless extension": (head("Transfer-Encoding: chunked") + b"1;" + b"x" * 200_000 + b"\r\n", (431,)),
    "chunks and a trailer": (head("Transfer-Encoding: chunked") + CHUNKED[:-2] + b"Host: example.org\r\n\r\n", (200, 400)),
    "an encoding that nobody knows": (head("Transfer-Encoding: cow") + PICTURE, (400, 422, 415)),
    "chunked, written otherwise": (head("Transfer-Encoding: xchunked") + CHUNKED, (400, 415, 422)),
    "chunked twice": (head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + CHUNKED, (200, 400)),
    "chunked behind a tab": (head("Transfer-Encoding:\tchunked") + CHUNKED, (200, 400)),
    "chunked with a space before the colon": (head("Transfer-Encoding : chunked") + CHUNKED, (400,)),
    "a folded header": (head("X-Long: a\r\n b") + PICTURE, (400, 415)),
    "a header without a colon": (head("nonsense") + PICTURE, (400,)),
    "a header without a name": (head(": x") + PICTURE, (400,)),
    "a header with NUL": (head("X-Nul: a\0b") + PICTURE, (400,)),
    "a bare line feed": (head(LENGTH).replace(b"\r\n", b"\n") + PICTURE, (200, 400)),
    "a bare carriage return": (head("X-Return: a\rX-Evil: b", LENGTH) + PICTURE, (200, 400)),
    "a header of a mebibyte": (head("X-Long: " + "x" * 2**20, LENGTH) + PICTURE, (0, 200, 400, 431)),
    "ten thousand headers": (head(*(f"X-{number}: x" for number in range(10_000)), LENGTH) + PICTURE, (431,)),
    "a hundred headers too many": (head(*["a:"] * 200, LENGTH) + PICTURE, (431,)),
    "a thousand trailers": (head("Transfer-Encoding: chunked") + CHUNKED[:-2] + b"a:\r\n" * 1000 + b"\r\n", (431,)),
    "two thousand chunks of a byte": (head("Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n", (400,)),
    "a thousand chunks of a byte": (head("Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n", (415,)),
    "an address of a mebibyte": (head(LENGTH, first=f"POST /predict?{'x' * 2**20} HTTP/1.1") + PICTURE, (0, 200, 400, 414, 431)),
    "no host": (head(LENGTH, host="X-No: host") + PICTURE, (400, 403)),
    "an empty host": (head(LENGTH, host="Host:") + PICTURE, (400, 403)),
    "two hosts, ours first": (head(LENGTH, "Host: example.org") + PICTURE, (400,)),
    "two hosts, ours last": (head(LENGTH, "Host: 127.0.0.1", host="Host: example.org") + PICTURE, (400,)),
    "a host of another": (head(LENGTH, host="Host: example.org") + PICTURE, (403,)),
    "a host with a path": (head(LENGTH, host="Host: 127.0.0.1/../example.org") + PICTURE, (400, 403)),
    "a host with a user": (head(LENGTH, host="Host: 127.0.0.1@example.org") + PICTURE, (400, 403)),
    "a host of 60 kB": (head(LENGTH, host="Host: " + "a." * 30_000) + PICTURE, (400, 403, 431)),
    "a host beyond ASCII": (head(LENGTH, host="Host: \xe4\xf6\xfc") + PICTURE, (400, 403)),
    "a host that forwards": (head(LENGTH, "X-Forwarded-Host: example.org", "Forwarded: host=example.org") + PICTURE, (200,)),
    "a method that nobody knows": (head(LENGTH, first="EVIL /predict HTTP/1.1") + PICTURE, (400, 405)),
    "a method of 60 kB": (head(LENGTH, first="A" * 60_000 + " /predict HTTP/1.1") + PICTURE, (400, 405)),
    "CONNECT": (head(first="CONNECT example.org:443 HTTP/1.1"), (0, 400, 403, 404, 405)),
    "TRACE": (head(first="TRACE / HTTP/1.1"), (400, 401, 405)),
    "a version that is none": (head(LENGTH, first="POST /predict HTTP/9.9") + PICTURE, (400, 505)),
    "HTTP/0.9": (b"GET /readyz\r\n\r\n", (0, 200, 400)),  # a probe, which any host may ask
    "HTTP/2 without asking": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (0, 400)),
    "an upgrade to HTTP/2": (head(LENGTH, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA") + PICTURE, (200, 400)),
    "an upgrade to WebSocket": (head("Upgrade: websocket", "Sec-WebSocket-Key: x", first="GET /readyz HTTP/1.1"), (200, 400, 426)),
    "an upgrade, a body": (head(LENGTH, "Connection: Upgrade", "Upgrade: h2c") + PICTURE, (400,)),
    "an upgrade, a body in chunks": (head("Transfer-Encoding: chunked", "Connection: Upgrade", "Upgrade: websocket") + CHUNKED, (400,)),
    "an upgrade, no body": (head("Connection: Upgrade", "Upgrade: h2c", first="GET /readyz HTTP/1.1"), (200,)),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), (0, 400)),
    "random bytes": (bytes(range(256)) * 100, (0, 400)),
    "nothing but line breaks": (b"\r\n" * 50_000, (0, 400, 431)),
    "expect what cannot be": (head(LENGTH, "Expect: 200-maybe") + PICTURE, (200, 400, 417)),
    "a body on GET": (head("Content-Length: 5", first="GET /readyz HTTP/1.1") + b"hello", (200, 400)),
    "gzip of nothing": (head("Content-Encoding: gzip", LENGTH) + PICTURE, (200, 400, 415)),
    "a content type of 60 kB": (head(LENGTH, f"Content-Type: image/{'x' * 60_000}") + PICTURE, (200, 400, 415, 431)),
    "a request id with a line break": (head(LENGTH, "X-Request-ID: a\x0bSet-Cookie: x") + PICTURE, (200, 400)),
    "an endless event id": (head(f"Last-Event-ID: {'9' * 60_000}", first="GET /train/999999/events HTTP/1.1"), (400, 404, 431)),
    "an accept of 60 kB": (head(f"Accept: {'a/b;q=0.1,' * 6000}", f"Accept-Encoding: {'x,' * 30_000}", LENGTH) + PICTURE, (200, 400, 431)),
    "a range of ranges": (
        head(f"Range: bytes={'0-1,' * 10_000}0-1", first="GET /static/index.html HTTP/1.1"),
        (200, 206, 400, 404, 416, 431),
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_hostile_head_is_refused_or_does_no_harm(unharmed: Target, name: str) -> None:
    content, allowed = REQUESTS[name]
    answer = unharmed.send(content, seconds=0.4 if 0 in allowed else 10)
    assert status_of(answer) in allowed, answer[:300]
    assert b"example.org" not in answer.partition(b"\r\n\r\n")[0]


BOTH = ["Content-Length: 4", "Transfer-Encoding: chunked"]


@pytest.mark.parametrize("heads", [BOTH, BOTH[::-1]], ids=["length first", "chunks first"])
def test_no_request_can_be_smuggled_in_another(unharmed: Target, heads: list[str]) -> None:
    authorized = HIDDEN.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    lines = "\r\n".join(["POST /predict HTTP/1.1", "Host: 127.0.0.1", "Content-Type: image/png", *heads, "", ""])
    answer = unharmed.send(lines.encode() + b"0\r\n\r\n" + authorized, seconds=1)
    assert answer.count(b"HTTP/1.1 ") <= 1, answer  # RFC 9112, section 6.3: an error, or the connection is closed after it
    assert unharmed.client.get("/models").json()["current"] == 1


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
@pytest.mark.parametrize("encoding", [f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked"])
def test_what_follows_a_request_to_upgrade_is_no_request(unharmed: Target, protocol: str, encoding: str) -> None:
    lines = ["POST /predict HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", f"Upgrade: {protocol}", encoding, "", ""]
    with unharmed.connect(seconds=2) as connection:
        connection.sendall("\r\n".join(lines).encode())
        time.sleep(0.2)
        with contextlib.suppress(ConnectionError):
            connection.sendall(HIDDEN)
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := connection.recv(2**16):
                answer += part
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("text", ["a%0d%0aSet-Cookie:%20x=1", "a%0aX-Evil:%201", "%0d%0a%0d%0a<script>"])
def test_no_header_of_an_answer_can_be_written_by_a_client(unharmed: Target, text: str) -> None:
    for path in (f"/{text}", f"/models/{text}", f"/static/{text}", f"/samples?offset={text}", f"/weights/w1.png?version={text}"):
        answer = unharmed.client.get(path, headers={"X-Request-ID": text})
        assert 400 <= answer.status_code < 500
        assert not {"set-cookie", "x-evil"} & set(answer.headers)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_dozens_of_requests_in_one_packet_are_answered_in_order(unharmed: Target) -> None:
    one = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = unharmed.send(one * 59 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b"HTTP/1.1 200 ") == 60


def test_trailers_are_not_kept(tmp_path: Path) -> None:
    # A server of its own: what others made it hold would hide what this one does.
    model_core.save(tiny.model(), tmp_path / "tiny.npz")
    settings = Settings(state_dir=tmp_path, model=tmp_path / "tiny.npz", training_slots=0, port=free_port())
    with server(settings, tmp_path / "log") as (process, client):
        fresh = Target(settings, client, tmp_path / "log", process.pid)
        before = fresh.peak_bytes()
        answer = fresh.send(head("Transfer-Encoding: chunked") + CHUNKED[:-2] + b"X: y\r\n" * (2**22 // 6) + b"\r\n")
        assert status_of(answer) in (0, 431)  # what it did not read may meet the client as a reset
        assert fresh.peak_bytes() < before + 2**25
