"""What the clients of a soak do: each function is one step of one kind of client, told by a random generator."""

import io
import json
import time
from collections.abc import Callable

import httpx2
import numpy as np

from app.jobs import scoring
from benchmarks.soak.notes import Notes
from model_core import artifact
from tests.support import tiny
from tests.support.attacks import flip, gif_of, jpeg_claiming, mutants, packed_bmp, scan_bomb, webp_claiming
from tests.support.photos import photograph
from tests.support.pictures import encode, grey, png_claiming
from tests.support.service import PATIENCE_SECONDS

PNG = {"Content-Type": "image/png"}
REFUSED = (400, 404, 408, 411, 413, 415, 422, 431)
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
LISTEN_SECONDS = 3.0
MOST_WAITING = 6  # jobs that are not over; a real queue is not asked for more and more either

Step = Callable[[httpx2.Client, np.random.Generator, Notes], None]


def predict(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """One small picture."""
    answer = notes.answered("predict", client.post("/predict", content=encode(grey(int(rng.integers(99)))), headers=PNG), (200,))
    if answer.status_code == 200:
        notes.saw(answer.json()["model"])


def predict_photo(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """A photograph."""
    content = encode(photograph(str(rng.choice(("trouser", "dress", "bag")))), "JPEG")
    answer = notes.answered("photograph", client.post("/predict?prepare=photo", content=content, headers=PNG), (200,))
    if answer.status_code == 200:
        notes.saw(answer.json()["model"])


def predict_batch(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """Some hundreds of pictures as one array, all for one version."""
    buffer = io.BytesIO()
    np.save(buffer, rng.integers(0, 256, (int(rng.integers(1, 900)), 28, 28), np.uint8))
    headers = {"Content-Type": "application/x-npy"}
    answer = notes.answered("batch", client.post("/predict/batch", content=buffer.getvalue(), headers=headers), (200,))
    if answer.status_code == 200:
        models = [each["model"] for each in answer.json()["predictions"]]
        notes.saw(models[0])
        if any(model != models[0] for model in models):
            notes.fault("a batch was answered by two versions")


def infer(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """A request of the Open Inference Protocol."""
    rows = int(rng.integers(1, 9))
    tensor = {"name": "image", "shape": [rows, 784], "datatype": "UINT8", "data": rng.integers(0, 256, rows * 784).tolist()}
    content = json.dumps({"inputs": [tensor]})
    answer = notes.answered("infer", client.post("/v2/models/fashion-mnist/infer", content=content), (200,))
    if answer.status_code == 200:
        notes.saw({"version": answer.json()["model_version"]})


def look(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """What a person and a monitor look at."""
    paths = ("/", "/weights/w1.png", "/weights/w3.png?scale=4", "/metrics", "/train", "/models/current", "/readyz", "/openapi.json")
    notes.answered("look", client.get(str(rng.choice(paths))), (200,))
    answer = client.get("/models")
    if notes.answered("look", answer, (200,)).status_code == 200:
        notes.knows(answer.json()["models"])


def attack(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """A hostile upload: a bomb, or a damaged picture, form or array."""
    bombs = (
        lambda: png_claiming(2**31 - 1, 9),
        lambda: jpeg_claiming(65_500),
        lambda: webp_claiming(16_383),
        lambda: scan_bomb(28, 2**19),
        lambda: gif_of(9000),
        lambda: packed_bmp(28, 9000),
    )
    damaged = flip(encode(grey(), FORMATS[rng.integers(5)]), rng)
    content = bombs[rng.integers(6)]() if rng.random() < 0.3 else damaged
    path = ("/predict", "/predict?prepare=photo", "/explain", "/predict/batch", "/v2/models/fashion-mnist/infer")[rng.integers(5)]
    kind = ("image/png", "multipart/form-data; boundary=x", "application/x-npy", "application/json", "text/x")[rng.integers(5)]
    answer = client.post(path, content=content, headers={"Content-Type": kind})
    notes.answered("hostile upload", answer, (200, *REFUSED))


def attack_models(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """A damaged weights file, or now and then a whole one."""
    content = artifact.to_bytes(tiny.model())
    if rng.random() < 0.8:
        content = next(mutants(content + bytes(int(rng.integers(999))), 1))
    patience = scoring.TIMEOUT_SECONDS + PATIENCE_SECONDS  # the service gives up on its own before that
    notes.answered("weights file", client.post("/models?promote=never", content=content, timeout=patience), (201, 409, *REFUSED))


def train(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """A small job, unless enough are waiting."""
    unfinished = [job for job in client.get("/train").json().get("jobs", ()) if job["status"] in ("queued", "running")]
    if len(unfinished) >= MOST_WAITING:
        return
    promote = str(rng.choice(("if-better", "always", "never")))
    wanted = {"epochs": int(rng.integers(2, 40)), "hidden": [int(rng.integers(8, 64)), 12], "batch_size": 64, "promote": promote}
    answer = notes.answered("train", client.post("/train", json=wanted), (202,))
    if answer.status_code == 202:
        notes.started(answer.json()["id"])


def cancel(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """End one of the newest jobs, whatever it does."""
    if notes.jobs:
        job = notes.jobs[-int(rng.integers(1, min(len(notes.jobs), 4) + 1))]
        notes.answered("cancel", client.delete(f"/train/{job}"), (202, 409))


def activate(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """Let any of the versions serve."""
    versions = sorted(notes.known)[-8:]
    if versions:
        answer = client.put("/models/current", json={"version": int(rng.choice(versions))})
        notes.answered("activate", answer, (200, 404))


def listen(client: httpx2.Client, rng: np.random.Generator, notes: Notes) -> None:
    """Follow a job for a moment or to its end, and leave without a word."""
    if not notes.jobs:
        return
    deadline = time.monotonic() + LISTEN_SECONDS * rng.random()
    job = notes.jobs[-int(rng.integers(1, min(len(notes.jobs), 5) + 1))]
    with client.stream("GET", f"/train/{job}/events") as answer:
        if answer.status_code != 200:
            answer.read()
        notes.answered("listen", answer, (200,))
        for line in answer.iter_lines():
            notes.heard(line.startswith("event:"))
            if time.monotonic() > deadline:
                break


# Each kind of client, how many of it there are, and how long each pauses after a step, in seconds.
CLIENTS: dict[Step, tuple[int, float]] = {
    predict: (3, 0.01),
    predict_photo: (1, 0.3),
    predict_batch: (2, 0.2),
    infer: (1, 0.05),
    look: (1, 0.2),
    attack: (2, 0.05),
    attack_models: (1, 1.0),
    train: (1, 1.5),
    cancel: (1, 7.0),
    activate: (1, 0.7),
    listen: (12, 0.1),
}
