"""Loaded by every Python process whose PYTHONPATH has this folder: a trainer waits in the stage in which a test holds it.

`hold`, in tests/support/faults.py, makes a file for a stage and an attempt; the trainer waits for as long as that is there. The file says
at which call of the stage's function: the calls before go through.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_ROOT = Path(__file__).parents[3]


def _wait_in(stage: str, attempt: str, module: ModuleType, name: str) -> None:
    """Let `module.name`, which the trainer calls in `stage`, wait until nobody holds it there."""
    function: Callable[..., Any] = getattr(module, name)
    file = Path(os.environ["ROOKIE_STATE_DIR"], f"{stage} {attempt}")
    calls = itertools.count(1)

    def wait_and_call(*args: Any, **options: Any) -> Any:
        call = next(calls)
        while _is_held(file, call):
            time.sleep(0.002)
        return function(*args, **options)

    setattr(module, name, wait_and_call)


def _is_held(file: Path, call: int) -> bool:
    try:
        return call >= int(file.read_text())
    except FileNotFoundError:
        return False


if "app.jobs.trainer" in sys.orig_argv:
    sys.path.insert(0, str(_ROOT))
    from model_core import artifact, card, checkpoint, data

    for _stage, _module, _name in (
        ("loading data", data, "load_training"),
        ("training", checkpoint, "to_bytes"),  # after each epoch, before it is on record
        ("evaluating", card, "finish"),
        ("publishing", artifact, "to_bytes"),
    ):
        _wait_in(_stage, sys.orig_argv[-1], _module, _name)
