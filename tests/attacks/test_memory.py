"""Whatever is sent, the server's memory stays within bounds and it goes on answering."""

import contextlib
import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest

import model_core
from app.settings import Settings
from model_core import network
from model_core.recipe import MAX_HIDDEN
from tests.support import tiny
from tests.support.pictures import encode, grey
from tests.support.service import free_port, server

INFER = "/v2/models/fashion-mnist/infer"
ASKING_SECONDS = 4.0
MOST_GROWTH = 350 * 2**20  # a body of 64 MiB, twice while it is put together, and what is made of 8 MiB of JSON
REFUSALS = 12  # of bodies that are small on their way: what one leaves behind would add up


@contextlib.contextmanager
def serving(folder: Path, model: model_core.Model) -> Iterator[tuple[int, httpx2.Client]]:
    """A real server's process number, and a client of it."""
    model_core.save(model, folder / "model.npz")
    settings = Settings(state_dir=folder, model=folder / "model.npz", training_slots=0, port=free_port())
    with server(settings, folder / "log") as (process, client):
        yield process.pid, client
        assert client.get("/readyz").status_code == 200
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, httpx2.Client]]:
    """A server with a tiny model."""
    with serving(tmp_path_factory.mktemp("server"), tiny.model()) as started:
        yield started


def largest_model() -> model_core.Model:
    """An untrained network of the largest size."""
    hidden = (MAX_HIDDEN, MAX_HIDDEN)
    parameters = network.unflatten(network.initialise(hidden, np.random.default_rng(0)), hidden)
    return model_core.Model(parameters, tiny.model().standardizer, tiny.model().card)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return 1024 * int(kilobytes)


def numbers(text: str) -> bytes:
    """8 MiB of JSON with as much data as it can hold."""
    return (
        '{"inputs":[{"name":"image","shape":[1,784],"datatype":"FP64","data":[' + text * ((2**23 - 200) // len(text)) + "0]}]}"
    ).encode()


BODIES = {
    "a bomb of a gigabyte": (gzip.compress(b"\0" * 2**30, 1), {"Content-Encoding": "gzip"}, 413),
    "8 MiB of JSON in 8 KiB": (gzip.compress(numbers("0,")), {"Content-Encoding": "gzip"}, 413),
    "as many numbers as may be": (numbers("0.12345,"), {}, 400),
    "many empty lists": (numbers("[],"), {}, 413),
    "many empty objects": (numbers("{},"), {}, 413),
    "many numbers": (numbers("0.5,"), {}, 413),
    "numbers that take longest": (numbers("2.4703282292062327209e-324,"), {}, 413),
    "64 MiB in 64 KiB, all of it JSON but a byte": (
        gzip.compress(b" " * 2**26, 1),
        {"Content-Encoding": "gzip", "Inference-Header-Content-Length": str(2**26 - 1)},
        413,
    ),
    "many strings": (numbers('"x",'), {}, 413),
    "many strings, one of them long": (numbers('"x",').replace(b'"x",' * 5000, b'"' + b"y" * 19_000 + b'",', 1), {}, 413),
    "many names": (json.dumps({str(number): 0 for number in range(10**6)}).encode(), {}, 413),
    "a long number": (numbers("1"), {}, 400),
    "deep nesting": (b"[" * 2**25, {}, 413),
    "64 MiB of nothing": (b"\0" * 2**26, {}, 413),
    "more than 64 MiB": (b"\0" * (2**26 + 1), {}, 413),
    "64 MiB for one picture": (json.dumps({"inputs": []}).encode() + b"\0" * (2**26 - 14), {"Inference-Header-Content-Length": "14"}, 400),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("name", BODIES)
def test_memory_stays_flat_under(name: str, service: tuple[int, httpx2.Client]) -> None:
    pid, client = service
    content, headers, status = BODIES[name]
    for _ in range(REFUSALS if len(content) < 2**20 else 2):
        answer = client.post(INFER, content=content, headers=headers)
        assert answer.status_code == status, answer.text[:300]
        assert answer.json()["error"]
    assert peak_bytes(pid) < MOST_GROWTH + 150 * 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_under_forms_of_files_that_are_no_pictures(tmp_path: Path) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\nx\r\n'
    form, kind = part * Settings().batch_rows + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}
    with serving(tmp_path, tiny.model()) as (pid, client), ThreadPoolExecutor(12) as crowd:
        statuses = list(crowd.map(lambda _: client.post("/predict/batch", content=form, headers=kind).status_code, range(12)))
        assert statuses == [200] * 12
        assert peak_bytes(pid) < MOST_GROWTH


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_under_a_client_that_asks_and_asks_and_does_not_listen(tmp_path: Path) -> None:
    requests = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10_000
    with serving(tmp_path, tiny.model()) as (pid, client):
        before, until = peak_bytes(pid), time.monotonic() + ASKING_SECONDS
        with socket.create_connection(("127.0.0.1", client.base_url.port or 80)) as connection, contextlib.suppress(ConnectionError):
            connection.settimeout(0.1)
            sent = 0
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    sent += connection.send(requests[sent % len(requests) :])
        assert client.get("/livez").status_code == 200
        assert peak_bytes(pid) - before < 50 * 2**20


CROWDS = {
    "one picture of weights, by 40": ["/weights/w1.png?scale=4&normalize=signed"] * 40,
    "every picture of weights, at once": [
        f"/weights/{name}.png?scale={scale}&normalize={colours}"
        for name in ("w1", "w3", "combined")
        for scale in (1, 2, 3, 4)
        for colours in ("tile", "signed")
    ],
    "reasons, by 40": ["/explain"] * 40,
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_where_crowds_ask_for_what_takes_long(tmp_path: Path) -> None:
    with serving(tmp_path, largest_model()) as (pid, client):
        for name, paths in CROWDS.items():
            with ThreadPoolExecutor(len(paths)) as crowd:
                answers = list(crowd.map(lambda path: ask(client, path), paths))
            assert {answer.status_code for answer in answers} <= {200, 503}, name
            assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
            assert peak_bytes(pid) < MOST_GROWTH + 150 * 2**20, name


def ask(client: httpx2.Client, path: str) -> httpx2.Response:
    if path == "/explain":
        return client.post(path, content=encode(grey()), headers={"Content-Type": "image/png"})
    return client.get(path)
