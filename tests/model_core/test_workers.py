"""A search that is stopped or killed: it says how far it came, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 20  # in which all has to have ended


@contextmanager
def halfway(out: Path, tiny_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A search of two runs that has done one; the other would take a minute."""
    grid = out.with_suffix(".grid.json")
    grid.write_text(json.dumps({"recipe": "quick", "vary": {"epochs": [1, 2000]}}))
    command = [sys.executable, "-m", "model_core", "search", "--grid", str(grid), "--out", str(out)]
    environment = {**os.environ, "ROOKIE_DATA_DIR": str(tiny_folder)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            while process.poll() is None and not set(out.glob("*.json")) - {out / "runs.json"}:
                time.sleep(0.01)
            time.sleep(0.5)  # until the result that is recorded has been told, too
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("whom", [os.kill, os.killpg], ids=["search", "group"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["SIGINT", "SIGTERM", "SIGHUP"]
)
def test_a_search_that_is_stopped_says_how_many_runs_are_done(
    tmp_path: Path, tiny_folder: Path, number: int, code: int, whom: Callable[[int, int], None]
) -> None:
    out = tmp_path / "found"
    with halfway(out, tiny_folder) as process:
        whom(process.pid, number)
        _, complained = process.communicate(timeout=SECONDS)  # it returns once every process that could write has ended
    assert process.returncode == code
    assert complained.splitlines()[-1] == "Interrupted: 1 of 2 runs are done. The same command goes on with the others."
    assert "Traceback" not in complained
    assert {path.suffix for path in out.iterdir()} == {".json"}  # the shared images are gone


def test_the_workers_of_a_search_that_is_killed_end_too(tmp_path: Path, tiny_folder: Path) -> None:
    with halfway(tmp_path / "found", tiny_folder) as process:
        process.kill()
        process.communicate(timeout=SECONDS)
