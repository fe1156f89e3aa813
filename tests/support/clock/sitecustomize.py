"""Loaded by every Python process whose PYTHONPATH has this folder: its wall clock is off by what a file says. test_clock.py uses it."""

import datetime
import os
import time
from pathlib import Path
from typing import Any

_TRUE_TIME = time.time
_OFFSET = Path(os.environ["CLOCK_OFFSET_FILE"])


def _time() -> float:
    return _TRUE_TIME() + float(_OFFSET.read_text())


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(_time(), tz)


time.time = _time
datetime.datetime = _Datetime  # type: ignore[misc]
