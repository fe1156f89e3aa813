"""Time predictions while nothing else happens, while the serving model is changed twice a second, and while a job trains.

A real server with the shipped model answers two clients, each of which posts one picture after the other over a connection that stays
open. In each round the conditions come in turn, so that whatever else the machine does meets all alike: `make bench-latency`.
"""

import argparse
import contextlib
import gzip
import http.client
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import httpx2
import numpy as np

import model_core
from app.settings import Settings
from model_core import card, data
from tests.support import tiny
from tests.support.service import add_version, eventually, free_port, server

ROOT = Path(__file__).parent.parent
PICTURE = (ROOT / "examples" / "trouser.png").read_bytes()
CLIENTS = 2
SETTLING_SECONDS = 1.0  # between two conditions

Condition = Callable[[], AbstractContextManager[None]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time /predict while nothing happens, during activations and during training.")
    parser.add_argument("--rounds", type=int, default=5, help="times that each condition is measured (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8, help="length of each measurement (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (port, conditions):
        latencies = measure_in_turn(port, conditions, arguments.rounds, arguments.seconds)
    print(f"/predict, {CLIENTS} clients, medians of {arguments.rounds} rounds of {arguments.seconds:g} s in turn\n")
    print_table(latencies, baseline="idle")
    machine = card.environment(os.environ)
    print(f"\nNumPy {machine['numpy']}, {machine['blas']}, Python {machine['python']}, {os.cpu_count()} cores, {machine['cpu']}")


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, dict[str, Condition]]]:
    """A server's port, and what can go on beside the predictions."""
    weights = ROOT / "weights" / "rookie.npz"
    settings = Settings(port=free_port(), state_dir=folder / "state", data_dir=data_folder(folder), model=weights)
    with server(settings, folder / "log") as (_, client):
        other = add_version(settings, model_core.load(weights))
        yield (
            settings.port,
            {"idle": contextlib.nullcontext, "activations": lambda: activating(client, other), "training": lambda: training(client)},
        )


def data_folder(folder: Path) -> Path:
    """Fashion-MNIST's folder, or one with noise in its shape: a step's time does not depend on the pixels."""
    found = data.data_dir(os.environ)
    if not data.missing_files(found):
        return found.absolute()
    rng = np.random.default_rng(0)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(tiny.idx(images), 1))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(tiny.idx(labels), 1))
    return folder


@contextmanager
def activating(client: httpx2.Client, other: int) -> Iterator[None]:
    """Two versions in turn, each for half a second."""
    stop = threading.Event()

    def activate() -> None:
        for version in itertools.cycle((other, 1)):
            client.put("/models/current", json={"version": version}).raise_for_status()
            if stop.wait(0.5):
                return

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(activate)
        try:
            yield
        finally:
            stop.set()
        running.result()


@contextmanager
def training(client: httpx2.Client) -> Iterator[None]:
    """A job of the quick recipe's size, in its epochs."""
    job = client.post("/train", json={"epochs": 1000}).json()["id"]
    assert eventually(lambda: client.get(f"/train/{job}").json()["epoch"] > 0)
    yield
    client.delete(f"/train/{job}").raise_for_status()


def measure_in_turn(port: int, conditions: Mapping[str, Condition], rounds: int, seconds: float) -> dict[str, list[list[float]]]:
    """Each condition's latencies in each round, in milliseconds, after one round that warms up."""
    latencies: dict[str, list[list[float]]] = {name: [] for name in conditions}
    for number in range(rounds + 1):
        for name, condition in conditions.items():
            with condition():
                found = measure(port, seconds if number else 1)
            if number:
                latencies[name].append(found)
            time.sleep(SETTLING_SECONDS)
    return latencies


def measure(port: int, seconds: float) -> list[float]:
    """What all clients saw."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return [each for found in pool.map(lambda _: predict_for(port, seconds), range(CLIENTS)) for each in found]


def predict_for(port: int, seconds: float) -> list[float]:
    """Post the picture again and again: milliseconds of each answer."""
    found, end = [], time.perf_counter() + seconds
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        while (began := time.perf_counter()) < end:
            connection.request("POST", "/predict", PICTURE, {"Content-Type": "image/png"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            found.append(1000 * (time.perf_counter() - began))
    return found


def print_table(latencies: Mapping[str, list[list[float]]], baseline: str) -> None:
    """Medians over the rounds, and how the median p99 compares with the baseline's."""
    base = median_of(latencies[baseline], 99)
    print(f"{'':14}{'answers/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'worst p99':>11}{'p99 ratio':>11}")
    for name, rounds in latencies.items():
        rate = statistics.median(1000 * CLIENTS / statistics.mean(found) for found in rounds)
        p99 = median_of(rounds, 99)
        worst = max(float(np.percentile(found, 99)) for found in rounds)
        print(f"{name:14}{rate:10.0f}{median_of(rounds, 50):9.2f}{p99:9.2f}{worst:11.2f}{p99 / base:11.2f}")


def median_of(rounds: list[list[float]], percent: float) -> float:
    """The median over the rounds of a percentile."""
    return statistics.median(float(np.percentile(found, percent)) for found in rounds)


if __name__ == "__main__":
    main()
