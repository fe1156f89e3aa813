"""Schemathesis tries every operation of /openapi.json against a real server: by example, at the bounds, at random and in sequence."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import model_core
from app.settings import Settings
from tests.support import tiny
from tests.support.parts import absent
from tests.support.service import free_port, server

pytestmark = pytest.mark.schema

PROGRAM = Path(".venv-schemathesis/bin/schemathesis")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
TOKEN = "an-example-of-a-token-0123456789"
EXAMPLES = 60  # of each operation in each phase: about a minute
PHASES = ("Examples", "Coverage", "Fuzzing", "Stateful")


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Path:
    """Schemathesis' command."""
    if not PROGRAM.exists() or subprocess.run([PROGRAM, "--version"], capture_output=True).returncode:
        absent(request.config, "schema", f"{PROGRAM} is not there; install it: make .venv-schemathesis")
    return PROGRAM.absolute()


@pytest.fixture
def address(tmp_path: Path, tiny_folder: Path) -> Iterator[str]:
    """Where a server listens that asks for a token and only queues jobs; at the end it has no error of its own in its log."""
    model_core.save(tiny.model(), tmp_path / "tiny.npz")
    settings = Settings(
        state_dir=tmp_path, data_dir=tiny_folder, model=tmp_path / "tiny.npz", token=TOKEN, training_slots=0, port=free_port()
    )
    with server(settings, tmp_path / "log"):
        yield f"http://127.0.0.1:{settings.port}/openapi.json"
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert TOKEN not in log


def test_the_service_does_what_its_description_says_and_nothing_else(program: Path, address: str, tmp_path: Path) -> None:
    command: list[str | Path] = [
        program,
        "--config-file",
        CONFIGURATION,
        "run",
        address,
        "--checks",
        "all",
        "--max-examples",
        str(EXAMPLES),
    ]
    done = subprocess.run(command, cwd=tmp_path, env={"ROOKIE_TOKEN": TOKEN}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for phase in PHASES:
        assert f"✅ {phase}" in done.stdout, f"{phase} was not run: {done.stdout}"
