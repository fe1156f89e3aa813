"""Loaded by every Python process whose PYTHONPATH has this folder: a trainer waits in the stage in which a test holds it.

`hold`, in tests/support/faults.py, makes a file for a stage and an attempt; the trainer waits for as long as that is there.
"""

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

    def wait_and_call(*args: Any, **options: Any) -> Any:
        while file.exists():
            time.sleep(0.002)
        return function(*args, **options)

    setattr(module, name, wait_and_call)


if "app.jobs.trainer" in sys.orig_argv:
    sys.path.insert(0, str(_ROOT))
    from model_core import artifact, checkpoint, data

    for _stage, _module, _name in (
        ("loading data", data, "load_training"),
        ("training", checkpoint, "to_bytes"),  # after an epoch
        ("evaluating", data, "load_test"),
        ("publishing", artifact, "to_bytes"),
    ):
        _wait_in(_stage, sys.orig_argv[-1], _module, _name)
