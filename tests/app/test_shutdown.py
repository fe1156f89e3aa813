"""The end of a stop, whatever a thread waits for."""

import subprocess
import sys
import threading

import pytest

from app import shutdown
from tests.support.service import PATIENCE_SECONDS

STUCK = """
import threading, app.shutdown
app.shutdown.END_SECONDS = 0.2
app.shutdown.end_in_time()
threading.Thread(target=threading.Event().wait, args=[{seconds}]).start()
"""


@pytest.mark.parametrize(("seconds", "code"), [("None", 1), ("0", 0)])
def test_a_thread_that_does_not_end_does_not_keep_the_process(seconds: str, code: int) -> None:
    command = [sys.executable, "-c", STUCK.format(seconds=seconds)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert ended.returncode == code
    assert ("does not answer" in ended.stderr) == bool(code)


def test_a_stop_goes_on_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    shutdown.end_in_time()
    assert caplog.messages == ["nothing will end the stop after 30 s: can't start new thread"]
