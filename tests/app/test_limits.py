"""A body that is too long is refused while it arrives, and the rest of it is not read."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.limits import most_bytes
from app.settings import Settings
from tests.support.service import free_port, server

BLOCK = b"\0" * 2**16
TEN_MEGABYTES = 10 * 2**20


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[int]:
    """Where a real server listens."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(state_dir=folder, data_dir=tiny_folder, model=shipped, training_slots=0, port=free_port())
    with server(settings, folder / "log") as (process, client):
        yield settings.port
        assert client.get("/readyz").status_code == 200
        assert process.poll() is None
    assert "Traceback" not in (folder / "log").read_text()


def send_until_refused(port: int, head: str, block: bytes, times: int) -> tuple[bytes, int]:
    """Send `block` again and again until the server answers or has closed; its answer and the bytes that went out."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        connection.sendall(f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: image/png\r\n{head}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(times):
                connection.sendall(block)
                sent += len(block)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**16):
                answer += part
        return answer, sent


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_long_body_is_refused_while_it_arrives(port: int, chunked: bool) -> None:
    head = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {TEN_MEGABYTES}"
    block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
    answer, sent = send_until_refused(port, head, block, TEN_MEGABYTES // len(BLOCK))
    assert sent < TEN_MEGABYTES, "the server read it all"
    assert answer.startswith(b"HTTP/1.1 413 ") or answer == b"", answer[:200]  # a reset may overtake the answer


def test_a_long_body_is_refused_before_its_first_byte_where_its_length_is_known(port: int) -> None:
    answer, sent = send_until_refused(port, f"Content-Length: {TEN_MEGABYTES}", b"", 0)
    assert sent == 0
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"1048576 bytes that /predict takes" in answer


def test_a_client_that_leaves_in_the_middle_of_its_upload_is_no_error_of_ours(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"\0" * 10)


@pytest.mark.parametrize("query", ["", "prepare=photo"])
@pytest.mark.parametrize("path", ["/predict", "/explain", "/train", "/nowhere"])
def test_each_route_has_its_own_limit(client: TestClient, path: str, query: str) -> None:
    most = most_bytes(path, query.encode())
    headers = {"Content-Type": "image/png"}
    assert client.post(f"{path}?{query}", content=b"\0" * most, headers=headers).status_code != 413
    answer = client.post(f"{path}?{query}", content=b"\0" * (most + 1), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert f"{most} bytes that {path} takes" in answer.json()["detail"]


def test_only_a_photograph_may_be_large() -> None:
    assert most_bytes("/predict", b"prepare=photo") == 16 * 2**20
    queries = ("", "prepare=", "prepare=photo&prepare=x", "picture=1", "%00=;", "%C3%9C=%FF", "prepare=%C3%9C")
    assert {most_bytes("/predict", query.encode()) for query in queries} == {2**20}


@pytest.mark.parametrize("content_type", ["image/png", "multipart/form-data; boundary=x", "application/json"])
@pytest.mark.parametrize("path", ["/predict", "/train"])
def test_a_body_of_unknown_length_is_counted_as_it_comes(client: TestClient, path: str, content_type: str) -> None:
    most = most_bytes(path, b"")
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    blocks = (b"\0" * 2**14 for _ in range(most // 2**14 + 1))

    def body() -> Iterator[bytes]:
        yield start
        yield from blocks

    answer = client.post(path, content=body(), headers={"Content-Type": content_type})
    assert answer.status_code == (415 if (path, content_type) == ("/predict", "application/json") else 413)
    assert "Content-Length" not in answer.request.headers
