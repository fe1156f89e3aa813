"""The command line over the tiny dataset."""

import sys
from pathlib import Path

import pytest

from model_core import __main__ as command_line
from model_core import artifact
from tests.support import tiny
from tests.support.commands import Outcome, Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_folder: Path) -> Run:
    """Run a command on the tiny dataset."""
    monkeypatch.setenv("ROOKIE_DATA_DIR", str(tiny_folder))

    def command(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["model_core", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        return Outcome(ended.value.code, *capsys.readouterr())

    return command


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A trained model's file."""
    path = tmp_path / "model.npz"
    artifact.save(tiny.model(), path)
    return path
