"""python -m benchmarks.serve.pieces: what one prediction's pieces take, alone and among 16, and its forward pass beside onnxruntime's.

Pieces are timed one after the other, so each finds its code and data in the core's cache; in a server they displace each other's, and
take longer. What a request takes beyond them is the server's: sockets, HTTP, the event loop, limits and doors.
"""

import os
import statistics
import time
from collections.abc import Callable

# Before NumPy loads: as app.__main__ has it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnxruntime

import model_core
from app import answers, images, multipart
from app.inference import Answer, Served
from app.metrics import Meters
from app.settings import Settings
from benchmarks.serve.run import PNG, form
from model_core import network
from model_core.export import to_onnx

COMPANY = 16
PER_REQUEST = ("form", "picture (PNG)", "JSON")  # done for each request alone
ROUNDS, CALLS = 25, 100


def main() -> None:
    """Measure and print."""
    model = model_core.load("weights/rookie.npz")
    alone, among = pieces(model, 1), pieces(model, COMPANY)
    seconds = time_in_turn({**{f"1 {name}": run for name, run in alone.items()}, **{f"16 {name}": run for name, run in among.items()}})
    print("| piece | µs alone | µs a picture among 16 |\n|---|---:|---:|")
    for name in alone:
        count = 1 if name in PER_REQUEST else COMPANY
        print(f"| {name} | {1e6 * seconds[f'1 {name}']:.0f} | {1e6 * seconds[f'16 {name}'] / count:.0f} |")
    passes = time_in_turn(forward_passes(model))
    print("\n| forward pass of one image | µs |\n|---|---:|")
    for name, median in passes.items():
        print(f"| {name} | {1e6 * median:.1f} |")


def pieces(model: model_core.Model, count: int) -> dict[str, Callable[[], object]]:
    """The steps of /predict for pictures that go through the network together."""
    request = form("file")
    rows = np.repeat(images.decode(PNG).reshape(1, network.PIXELS), count, axis=0)
    served, meters = Served(1, "0" * 64, model), Meters()
    probabilities = served.probabilities(rows)
    told = answers.predictions(Answer(probabilities, served, served.unfamiliar(rows)))[0]
    return {
        "form": lambda: multipart.parts(request.body, request.headers["Content-Type"], Settings().form_parts),
        "picture (PNG)": lambda: images.decode(PNG),
        "network": lambda: served.probabilities(rows),
        "unfamiliar": lambda: served.unfamiliar(rows),
        "counting": lambda: meters.batch_done(probabilities, 1, 0.001, [0.001] * count),
        "JSON": lambda: answers.json_response(told),
    }


def forward_passes(model: model_core.Model) -> dict[str, Callable[[], object]]:
    """From one picture's pixels to its probabilities, with one thread each."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    picture = images.decode(PNG)[None]
    served, rows = Served(1, "0" * 64, model), picture.reshape(1, network.PIXELS)
    np.testing.assert_allclose(session.run(None, {"image": picture})[0], served.probabilities(rows), atol=1e-5)
    return {"Rookie": lambda: served.probabilities(rows), "onnxruntime": lambda: session.run(None, {"image": picture})}


def time_in_turn(contestants: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of a call, from rounds in which they take turns."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            began = time.perf_counter()
            for _ in range(CALLS):
                run()
            found[name].append((time.perf_counter() - began) / CALLS)
    return {name: statistics.median(times) for name, times in found.items()}


if __name__ == "__main__":
    main()
