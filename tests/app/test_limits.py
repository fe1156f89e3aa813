"""What is too much is refused, while it arrives and so that the client hears of it; each limit is a setting."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app import limits
from app.settings import FIELDS, Settings
from tests.app.test_predict_batch import npy
from tests.support.pictures import encode, grey, png_claiming
from tests.support.service import client_of, free_port, server

BLOCK = b"\0" * 2**16
TEN_MEGABYTES = 10 * 2**20


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[int]:
    """Where a real server listens."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(
        state_dir=folder,
        data_dir=tiny_folder,
        model=shipped,
        training_slots=0,
        port=free_port(),
        bytes_in_hand=2**20,
        token="an-example-of-a-token-0123456789",
    )
    with server(settings, folder / "log") as (process, client):
        yield settings.port
        assert client.get("/readyz").status_code == 200
        assert process.poll() is None
    assert "Traceback" not in (folder / "log").read_text()


def most_bytes(path: str, query: bytes) -> int:
    """How many bytes a body may have by default."""
    return limits.most_bytes(Settings(), path, query)


def send_until_refused(port: int, head: str, block: bytes, times: int, path: str = "/predict") -> tuple[bytes, int]:
    """Send `block` again and again until the server answers or has closed; its answer and the bytes that went out."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: image/png\r\n{head}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(times):
                connection.sendall(block)
                sent += len(block)
        answer = b""
        connection.settimeout(2)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := connection.recv(2**16):
                answer += part
        return answer, sent


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_refused_upload_is_read_on_for_a_while_so_that_the_client_sees_why(port: int, chunked: bool, connection: str) -> None:
    head = f"Connection: {connection}\r\n" + ("Transfer-Encoding: chunked" if chunked else f"Content-Length: {TEN_MEGABYTES}")
    block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
    answer, sent = send_until_refused(port, head, block, TEN_MEGABYTES // len(BLOCK))
    assert sent == TEN_MEGABYTES // len(BLOCK) * len(block)
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:200]
    assert (b"connection: close" in answer) == (connection == "close")


@pytest.mark.parametrize("path", ["/models", "/train", "/nowhere"])
def test_an_upload_that_is_refused_at_the_door_is_read_on_too(port: int, path: str) -> None:
    answer, sent = send_until_refused(
        port, f"Content-Length: {TEN_MEGABYTES}\r\nConnection: close", BLOCK, TEN_MEGABYTES // len(BLOCK), path
    )
    assert sent == TEN_MEGABYTES
    assert answer.startswith(b"HTTP/1.1 401 "), answer[:200]


@pytest.mark.parametrize("path", ["/predict", "/train", "/nowhere"])
def test_it_is_not_read_on_for_ever(port: int, path: str) -> None:
    answer, sent = send_until_refused(port, "Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK), 1000, path)
    assert sent < 2 * Settings.drain_bytes
    assert answer[:13] in (b"HTTP/1.1 413 ", b"HTTP/1.1 401 "), answer[:200]


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


def test_the_bodies_of_all_requests_together_have_a_limit(port: int) -> None:
    head = f"POST /predict/batch HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-npy\r\nContent-Length: 3000000\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as first,
        socket.create_connection(("127.0.0.1", port), timeout=30) as second,
    ):
        first.sendall(head.encode() + b"\0" * 2**21)  # alone it may have as much as its route takes
        time.sleep(0.5)
        second.sendall(head.encode() + b"\0" * 3_000_000)
        answer = read_answer(second)
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        first.sendall(b"\0" * (3_000_000 - 2**21))
        assert read_answer(first).status == 422
        second.sendall(head.encode() + b"\0" * 3_000_000)
        assert read_answer(second).status == 422


def read_answer(connection: socket.socket) -> HTTPResponse:
    """The next answer that comes on a connection, read to its end."""
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[TestClient]:
    """A service with the least of everything."""
    least = Settings(
        state_dir=tmp_path_factory.mktemp("narrow"),
        data_dir=tiny_folder,
        model=shipped,
        training_slots=0,
        picture_bytes=1024,
        photo_bytes=2048,
        photo_pixels=1000,
        batch_bytes=4096,
        batch_rows=2,
        form_parts=1,
        model_bytes=1024,
        body_bytes=1024,
        queued_jobs=1,
        stored_bytes=2**20,
    )
    with client_of(least) as client:
        yield client


def form(name: str, count: int) -> dict[str, Any]:
    return {"files": [(name, ("a.png", b"x"))] * count}


def body(content: bytes, content_type: str = "image/png") -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": content_type}}


TENSOR = {"name": "image", "shape": [3, 784], "datatype": "UINT8", "data": []}
BEYOND: dict[str, tuple[str, dict[str, Any]]] = {
    "a picture's bytes": ("/predict", body(b"\0" * 1025)),
    "a photograph's bytes": ("/predict?prepare=photo", body(b"\0" * 2049)),
    "a photograph's pixels": ("/predict?prepare=photo", body(png_claiming(1001, 1))),
    "a batch's bytes": ("/predict/batch", body(b"\0" * 4097, "application/x-npy")),
    "a batch's rows": ("/predict/batch", body(npy(np.zeros((3, 28, 28), np.uint8)), "application/x-npy")),
    "a batch's parts": ("/predict/batch", form("files", 3)),
    "a form's parts": ("/predict", form("file", 2)),
    "a tensor's bytes": ("/v2/models/fashion-mnist/infer", body(b"\0" * 4097)),
    "a tensor's rows": ("/v2/models/fashion-mnist/infer", {"json": {"inputs": [TENSOR]}}),
    "a model's bytes": ("/models", body(b"\0" * 1025)),
    "another body's bytes": ("/train", body(b"\0" * 1025, "application/json")),
}


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_a_limit_the_answer_is_413(narrow: TestClient, name: str) -> None:
    path, request = BEYOND[name]
    answer = narrow.post(path, **request)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large"), answer.text


def test_a_picture_within_the_limits_is_answered(narrow: TestClient) -> None:
    assert narrow.post("/predict", **body(encode(grey()))).status_code == 200


@pytest.mark.parametrize(("kind", "side"), [("PNG", 31), ("JPEG", 44), ("WEBP", 19)])
def test_a_jpeg_may_have_twice_the_pixels_and_a_webp_three_eighths(narrow: TestClient, kind: str, side: int) -> None:
    sizes = {each: encode(np.zeros((each, each), np.uint8), kind) for each in (side, side + 1)}
    found = {each: narrow.post("/predict?prepare=photo", **body(content)).status_code for each, content in sizes.items()}
    assert found == {side: 200, side + 1: 413}


def test_a_full_queue_of_jobs_is_said_and_the_same_key_is_answered_all_the_same(narrow: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    assert narrow.post("/train", headers=key).status_code == 202
    answer = narrow.post("/train")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "60")
    assert "DELETE /train/{job}" in answer.json()["detail"]
    assert narrow.post("/train", headers=key).json()["id"] == 1
    assert narrow.delete("/train/1").status_code == 202
    assert narrow.post("/train").status_code == 202


def test_full_storage_is_said_to_uploads_and_to_training(settings: Settings) -> None:
    with client_of(replace(settings, training_slots=0)) as client:
        mine = client.get("/models/1/weights.npz").content
        assert client.post("/models?promote=never", **body(mine, "application/octet-stream")).status_code == 201
    with client_of(replace(settings, training_slots=0, stored_bytes=2 * len(mine))) as client:
        for answer in (client.post("/models", **body(mine, "application/octet-stream")), client.post("/train")):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
            assert "DELETE /models/{version} makes room" in answer.json()["detail"]
        assert client.delete("/models/2").status_code == 204
        assert client.post("/train").status_code == 202


LIMITS = re.findall(r"^\| `(ROOKIE_\w+)` \| ([\d,]+)", (Path(__file__).parents[2] / "docs/operations.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "default"), LIMITS)
def test_the_documents_limits_are_the_settings(name: str, default: str) -> None:
    assert FIELDS[name].default == int(default.replace(",", ""))


def test_every_limit_is_in_the_document() -> None:
    names = list(FIELDS)
    limits = names[names.index("ROOKIE_PICTURE_BYTES") :]
    assert {name for name, _ in LIMITS} == set(limits)
