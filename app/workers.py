"""Serving processes as uvicorn's supervisor sees them: one that has died is replaced at once, one that hangs after a while."""

import time
from typing import Any

from uvicorn.supervisors import multiprocess


class Worker(multiprocess.Process):
    """Uvicorn's, asked for a sign of life without waiting for it: meanwhile the supervisor sees to the others, and to signals."""

    _asked: float | None = None  # when, while there is no answer yet

    def start(self) -> None:
        """Start the process. Its end of the pipe is its own from then on: where that is closed, it has died."""
        super().start()
        self.child_conn.close()

    def is_alive(self, timeout: float = 5) -> bool:
        """Whether the process runs and has answered, or has time left to: `timeout` seconds."""
        try:
            if self._asked is None:
                self._asked = time.monotonic()
                self.parent_conn.send(b"ping")
            elif self.parent_conn.poll():
                self.parent_conn.recv()
                self._asked = None
        except (OSError, EOFError):
            return False
        return self.process.is_alive() and (self._asked is None or time.monotonic() - self._asked < timeout)


def install() -> None:
    """Let uvicorn start such processes; it has no setting for it."""
    supervisor: Any = multiprocess
    supervisor.Process = Worker
