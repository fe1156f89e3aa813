"""Score a model that came from outside, in a process of its own: python -m app.jobs.scoring PROMOTE < FILE.npz.

What an uploaded card says of its own accuracy counts for nothing. The service's process neither loads the dataset nor computes on it.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app import logs
from app.errors import ConflictError, UnavailableError
from app.jobs.dispatch import trainer_environ
from app.jobs.promotion import Gate
from app.jobs.trainer import NICENESS
from app.settings import Settings
from app.store import Store, StoreError, one_line
from model_core import Recipe, artifact, card, data
from model_core.data import LabelledImages
from model_core.errors import ArtifactError, DataError

TIMEOUT_SECONDS = 60.0
log = logging.getLogger("rookie.jobs")

_children: "set[subprocess.Popen[bytes]]" = set()
_turn = threading.Lock()  # one at a time in each serving process: scoring takes a core for seconds


@dataclass(frozen=True)
class Score:
    """A card's figures as measured here, the version that the model was compared with, and whether it is to serve."""

    metrics: dict[str, Any]
    compared_with: int | None
    promotion: dict[str, Any]


def score_in_process(settings: Settings, content: bytes, promote: str) -> Score:
    """Score a checked weights file beside the serving model. Blocks. Raises ConflictError where there is no dataset to score on."""
    if not _turn.acquire(blocking=False):
        raise UnavailableError("another model is being scored; send this one again when that is done", 5)
    try:
        answer = _run(settings, content, promote)
    finally:
        _turn.release()
    if "error" in answer:
        raise ConflictError(f"the model cannot be scored: {answer['error']}")
    return Score(**answer)


def _run(settings: Settings, content: bytes, promote: str) -> Mapping[str, Any]:
    """What the scoring process prints."""
    command, environ = [sys.executable, "-m", "app.jobs.scoring", promote], trainer_environ(settings, os.environ)
    with _started(command, environ) as child:
        _children.add(child)
        try:
            printed, _ = child.communicate(content, TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise UnavailableError(f"scoring the model took more than {TIMEOUT_SECONDS:g} s; the service is busy", 30) from error
        finally:
            _children.discard(child)
    if child.returncode:
        raise UnavailableError(f"the scoring process ended with code {child.returncode}; the service's log says more", 5)
    answer: Mapping[str, Any] = json.loads(printed)
    return answer


def _started(command: list[str], environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    try:
        # A session of its own: Ctrl-C in the server's terminal is the server's to answer.
        return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    except OSError as error:  # no memory, no process to be had
        raise UnavailableError(f"the scoring process could not be started ({error.strerror}); send the model again later", 5) from error


def stop() -> None:
    """End the scoring that goes on, so that the service can end."""
    for child in list(_children):
        child.kill()


def main(promote: str) -> None:
    """Read a weights file, print its score as JSON; where that cannot be, one line of the log says why."""
    os.nice(NICENESS)
    settings = Settings.from_environ(os.environ)
    try:
        answer = score(settings, sys.stdin.buffer.read(), promote).__dict__
    except DataError as error:
        answer = {"error": str(error)}
    except (StoreError, sa.exc.SQLAlchemyError, ArtifactError) as error:  # the last: the server died before it had handed over all
        log.error("an uploaded model cannot be scored: %s", one_line(error))
        sys.exit(1)
    with contextlib.suppress(BrokenPipeError):  # the server was killed meanwhile
        os.write(sys.stdout.fileno(), json.dumps(answer).encode())


def score(settings: Settings, content: bytes, promote: str) -> Score:
    """Measure the model on validation and test images, and the serving one on validation images."""
    model = artifact.from_bytes(content, "the upload")
    images = data.load_training(settings.data_dir)
    gate = Gate(Store(settings.store_url, make=False), promote, images)
    gate.score_current()
    accuracy = card.evaluate(model, LabelledImages(images.validation_images, images.validation_labels)).accuracy
    recipe = Recipe.from_record(model.card["recipe"])
    figures = card.score(model, recipe, images, data.load_test(settings.data_dir))
    return Score({"validation_accuracy": accuracy, **figures}, gate.current, gate.judge(accuracy))


if __name__ == "__main__":
    logs.configure()
    main(sys.argv[1])
