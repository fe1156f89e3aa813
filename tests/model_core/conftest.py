"""The command line over the tiny dataset."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_core import __main__ as command_line
from model_core import artifact
from model_core.interruptions import STOPS
from tests.support import tiny
from tests.support.commands import Outcome, Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_folder: Path) -> Iterator[Run]:
    """Run a command on the tiny dataset. One that was stopped is deaf from then on, but not the tests."""
    monkeypatch.setenv("ROOKIE_DATA_DIR", str(tiny_folder))
    before = {each: signal.getsignal(each) for each in STOPS}

    def command(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["model_core", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        return Outcome(ended.value.code, *capsys.readouterr())

    yield command
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A trained model's file."""
    path = tmp_path / "model.npz"
    artifact.save(tiny.model(), path)
    return path
