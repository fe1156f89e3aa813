"""Score a model that came from outside, in a process of its own: python -m app.jobs.scoring PROMOTE < FILE.npz.

What an uploaded card says of its own accuracy counts for nothing. The service's process neither loads the dataset nor computes on it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import ConflictError, UnavailableError
from app.jobs.dispatch import trainer_environ
from app.jobs.promotion import Gate
from app.settings import Settings
from app.store import Store
from model_core import artifact, card, data
from model_core.data import LabelledImages
from model_core.errors import DataError

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Score:
    """What a model achieves here, the version that it was compared with, and whether it is to serve."""

    validation_accuracy: float
    test_accuracy: float
    ece: float
    compared_with: int | None
    promotion: dict[str, Any]


def score_in_process(settings: Settings, content: bytes, promote: str) -> Score:
    """Score a checked weights file beside the serving model. Blocks. Raises ConflictError where there is no dataset to score on."""
    command = [sys.executable, "-m", "app.jobs.scoring", promote]
    try:
        done = subprocess.run(
            command, input=content, env=trainer_environ(settings, os.environ), capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"scoring the model took more than {TIMEOUT_SECONDS:g} s; the service is busy", 30) from error
    answer: Mapping[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"error": "the scoring process died; see the log"}
    if "error" in answer:
        sys.stderr.buffer.write(done.stderr)
        raise ConflictError(f"the model cannot be scored: {answer['error']}")
    return Score(**answer)


def main(promote: str) -> None:
    """Read a weights file, print its score as JSON."""
    os.nice(10)
    settings = Settings.from_environ(os.environ)
    try:
        print(json.dumps(score(settings, sys.stdin.buffer.read(), promote).__dict__))  # noqa: T201
    except DataError as error:
        print(json.dumps({"error": str(error)}))  # noqa: T201


def score(settings: Settings, content: bytes, promote: str) -> Score:
    """Measure the model on validation and test images, and the serving one on validation images."""
    model = artifact.from_bytes(content, "the upload")
    images = data.load_training(settings.data_dir)
    validation = LabelledImages(images.validation_images, images.validation_labels)
    gate = Gate(Store(settings.store_url), promote, images)
    gate.score_current()
    accuracy = card.evaluate(model, validation).accuracy
    test = card.evaluate(model, data.load_test(settings.data_dir))
    return Score(accuracy, test.accuracy, test.calibration_error, gate.current, gate.judge(accuracy))


if __name__ == "__main__":
    main(sys.argv[1])
