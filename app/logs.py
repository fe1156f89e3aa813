"""The log: one line of JSON for each event, on standard error."""

import asyncio
import json
import logging.config
import warnings
from typing import Any

from app.log_stream import STREAM
from app.store import now


class LineWriter:
    """Writes lines of JSON; those of one turn of the event loop go out in one system call."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __call__(self, record: dict[str, Any]) -> None:
        """Write a record soon."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(json.dumps(record, ensure_ascii=True))

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        STREAM.write("\n".join(lines) + "\n")
        STREAM.flush()


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON, a traceback inside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {"time": now(), "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


# For uvicorn, whose own access log stays out: the observer writes a better one.
CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "app.logs.JsonFormatter"}},
    "handlers": {"default": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://app.log_stream.STREAM"}},
    "root": {"handlers": ["default"], "level": "WARNING"},  # of libraries
    "loggers": {
        **{name: {"handlers": ["default"], "level": "INFO", "propagate": False} for name in ("uvicorn", "uvicorn.error", "rookie")},
        "python_multipart": {"level": "ERROR"},  # what it warns of is said in the answer
    },
}
CONFIGURATION["loggers"]["uvicorn.error"]["handlers"] = []
CONFIGURATION["loggers"]["uvicorn.error"]["propagate"] = True


def configure() -> None:
    """For what no uvicorn does it: the words before the service starts, and the processes that train and score."""
    logging.config.dictConfig(CONFIGURATION)
    STREAM.write_aside()


def take_warnings() -> None:
    """Libraries' warnings become lines of the log; but not Pillow's, of what is odd in a stranger's picture: they could fill it."""
    logging.captureWarnings(True)
    warnings.filterwarnings("ignore", module=r"PIL\.")
