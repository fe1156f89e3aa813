"""make bench-serve: Rookie beside its peers, one machine, one run, one picture; the server on one core and the load on another.

Needs Linux with two cores, wrk and taskset. Peers run in environments of their own (.venv-peers/NAME); one that is not there is reported.
"""

import argparse
import base64
import contextlib
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serve.load import Request, Round, run
from tests.support.service import free_port

ROOT = Path(__file__).parents[2]
PEERS, ENVIRONMENTS = Path(__file__).parent / "peers", ROOT / ".venv-peers"
SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (1, 16, 64)
BATCH_CONNECTIONS = (1, 4)  # each request brings as many pictures as 256 of the others
PNG = (ROOT / "examples/trouser.png").read_bytes()
BATCH = 256


def form(name: str, count: int = 1) -> Request:
    """The picture as a form's file, once or many times."""
    head = f'--rookie\r\nContent-Disposition: form-data; name="{name}"; filename="trouser.png"\r\nContent-Type: image/png\r\n\r\n'.encode()
    body = (head + PNG + b"\r\n") * count + b"--rookie--\r\n"
    return Request("/predict" if count == 1 else "/predict/batch", {"Content-Type": "multipart/form-data; boundary=rookie"}, body)


def tensor(binary: bool) -> Request:
    """Pixels for the Open Inference Protocol."""
    image = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8"}
    pixels, path = np.arange(784, dtype=np.uint8), "/v2/models/fashion-mnist/infer"
    if not binary:
        flat = {"inputs": [{**image, "data": pixels.tolist()}]}
        return Request(path, {"Content-Type": "application/json"}, json.dumps(flat).encode())
    head = json.dumps({"inputs": [{**image, "parameters": {"binary_data_size": 784}}], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Request(path, headers, head + pixels.tobytes())


def array() -> Request:
    """Many pictures as numpy.save writes them."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((BATCH, 28, 28), np.uint8))
    return Request("/predict/batch", {"Content-Type": "application/x-npy"}, buffer.getvalue())


class NotStartedError(Exception):
    """A server does not start here."""


@dataclass(frozen=True)
class Server:
    """A program, and what it is sent: each row of the table by name, with the pictures in one request."""

    environment: str  # of .venv-peers, or "" for ours
    command: tuple[str, ...]  # {port} is filled in; the first word is looked up in the environment
    rows: dict[str, tuple[Request, int]]
    folder: Path = ROOT


UVICORN = ("uvicorn", "--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--app-dir", str(PEERS))
BASE64 = Request("/predict", {"Content-Type": "application/json"}, json.dumps({"image": base64.b64encode(PNG).decode()}).encode())
SERVERS = (
    Server("", (*UVICORN, "echo:app"), {"bare FastAPI echo (the floor)": (form("file"), 1)}),
    Server(
        "",
        ("python", "-m", "app"),
        {
            "Rookie /predict, form": (form("file"), 1),
            "Rookie /predict, raw": (Request("/predict", {"Content-Type": "image/png"}, PNG), 1),
            "Rookie /v2 infer, JSON": (tensor(binary=False), 1),
            "Rookie /v2 infer, binary": (tensor(binary=True), 1),
            f"Rookie /predict/batch, {BATCH} as .npy": (array(), BATCH),
            f"Rookie /predict/batch, {BATCH} PNG files": (form("files", BATCH), BATCH),
        },
    ),
    Server("", (*UVICORN, "naive:app"), {"naive FastAPI": (form("file"), 1)}),
    Server("litserve", ("python", str(PEERS / "litserve_app.py"), "{port}"), {"LitServe": (BASE64, 1)}),
    Server(
        "bentoml",
        ("bentoml", "serve", "bento_app:Garments", "--working-dir", str(PEERS), "--host", "127.0.0.1", "--port", "{port}"),
        {"BentoML": (form("image"), 1)},
    ),
    Server("mlserver", ("mlserver", "start", str(PEERS / "mlserver")), {"MLServer, v2 JSON": (tensor(binary=False), 1)}),
)


def main() -> None:
    """Run every server for several rounds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", default="", help="servers whose row's name has this in it")
    options = parser.parse_args()
    found: dict[tuple[str, int], list[Round]] = {}
    print(f"load average before: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):  # one after another in each round, so that a busy minute hits all of them
            for server in SERVERS:
                if options.only in " ".join(server.rows):
                    _measure(server, Path(folder), options.seconds, found)
    _print_table(found)
    print(f"load average after: {os.getloadavg()[0]:.1f}", file=sys.stderr)


def _measure(server: Server, folder: Path, seconds: float, found: dict[tuple[str, int], list[Round]]) -> None:
    binary = (ENVIRONMENTS / server.environment if server.environment else ROOT / ".venv") / "bin" / server.command[0]
    if not binary.exists():
        print(f"{server.environment} is not installed ({binary}); its row stays out", file=sys.stderr)
        return
    try:
        with _started(server, binary, folder) as (process, port):
            _load_rows(server, folder, seconds, process, port, found)
    except NotStartedError as error:
        print(f"{error}\nits rows stay out", file=sys.stderr)


def _load_rows(server: Server, folder: Path, seconds: float, process: int, port: int, found: dict[tuple[str, int], list[Round]]) -> None:
    for name, (request, _) in server.rows.items():
        script = request.write_script(folder, "".join(filter(str.isalnum, name)))
        url = f"http://127.0.0.1:{port}{request.path}"
        run(script, url, 4, 1, LOAD_CORE, process)  # to warm up
        for connections in CONNECTIONS if request.path != "/predict/batch" else BATCH_CONNECTIONS:
            found.setdefault((name, connections), []).append(run(script, url, connections, seconds, LOAD_CORE, process))


@contextlib.contextmanager
def _started(server: Server, binary: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """The server's process and port, once it answers; all of its processes on one core."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    ours = {"ROOKIE_PORT": port, "ROOKIE_STATE_DIR": folder / "state", "ROOKIE_TRAINING_SLOTS": 0, "ROOKIE_ACCESS_LOG": 0}
    mlserver = {"MLSERVER_HTTP_PORT": port, "MLSERVER_GRPC_PORT": free_port(), "MLSERVER_METRICS_PORT": free_port()}
    theirs = {"OPENBLAS_NUM_THREADS": 1, **mlserver, "BENTOML_DO_NOT_TRACK": True}
    path = f"{ROOT}{os.pathsep}{PEERS / 'mlserver'}"
    environ = {**kept, "PYTHONPATH": path, **{name: str(value) for name, value in {**ours, **theirs}.items()}}
    command = ["taskset", "-c", str(SERVER_CORE), str(binary), *(word.format(port=port) for word in server.command[1:])]
    log = (folder / "log").open("wb")
    with log, subprocess.Popen(command, cwd=server.folder, env=environ, stdout=log, stderr=log, start_new_session=True) as process:
        try:
            _wait_for(port, process, folder / "log")
            yield process.pid, port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            time.sleep(3)  # listening is not yet ready, for some
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise NotStartedError(
        f"{' '.join(map(str, process.args if isinstance(process.args, list) else []))} does not start:\n{log.read_text()[-2000:]}"
    )


def _print_table(found: dict[tuple[str, int], list[Round]]) -> None:
    pictures = {name: count for server in SERVERS for name, (_, count) in server.rows.items()}
    floor = _median("requests_per_second", found.get(("bare FastAPI echo (the floor)", 16), []))
    print("| | connections | pictures/s | x floor | p50 ms | p99 ms | CPU µs a picture |\n|---|---:|---:|---:|---:|---:|---:|")
    for (name, connections), rounds in found.items():
        rate = _median("requests_per_second", rounds) * pictures[name]
        share = f"{rate / floor:.2f}" if connections == 16 and floor else ""
        note = " (failures)" if any(each.failed for each in rounds) else ""
        p50, p99, cpu = (_median(field, rounds) for field in ("p50", "p99", "cpu"))
        print(f"| {name}{note} | {connections} | {rate:,.0f} | {share} | {p50:.2f} | {p99:.2f} | {cpu / pictures[name]:.0f} |")


def _median(field: str, rounds: list[Round]) -> float:
    return statistics.median(getattr(each, field) for each in rounds) if rounds else 0.0


if __name__ == "__main__":
    main()
