"""NVIDIA's tritonclient, both of its HTTP clients, against a real server with one and with three serving processes."""

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import model_core
from app.settings import Settings
from tests.conformance.checks import CHECKS
from tests.support import tiny
from tests.support.parts import absent
from tests.support.service import add_version, free_port, server

pytestmark = pytest.mark.conformance

ENVIRONMENT = Path(".venv-conformance/bin/python")
SCRIPT = Path(__file__).with_name("checks.py")


@pytest.fixture(scope="module")
def environment(request: pytest.FixtureRequest) -> Path:
    """A Python that has tritonclient."""
    found = (
        ENVIRONMENT.exists() and subprocess.run([ENVIRONMENT, "-c", "import tritonclient.http.aio"], capture_output=True).returncode == 0
    )
    if not found:
        absent(request.config, "conformance", f"{ENVIRONMENT} has no tritonclient; install it: make .venv-conformance")
    return ENVIRONMENT


@pytest.fixture(scope="module", params=[1, 3], ids=["one process", "three processes"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[str]:
    """Where a server with two model versions listens; the first one serves."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(state_dir=folder, model=tiny_model, workers=request.param, training_slots=0, port=free_port())
    with server(settings, folder / "log") as (_, _client):
        add_version(settings, tiny.model())
        yield f"127.0.0.1:{settings.port}"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    model_core.save(tiny.model(), path)
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, and the answers that are due to them."""
    path = tmp_path_factory.mktemp("inputs") / "inputs.npz"
    images = tiny.test_images().images[:50]
    np.savez(path, images=images, expected=tiny.model().predict_proba(images))
    return path


@pytest.fixture(scope="module", params=["sync", "aio"])
def faults(request: pytest.FixtureRequest, environment: Path, address: str, inputs: Path) -> dict[str, str | None]:
    """What each check found."""
    return _run(environment, request.param, address, inputs)


@functools.cache
def _run(environment: Path, kind: str, address: str, inputs: Path) -> dict[str, str | None]:
    done = subprocess.run([environment, SCRIPT, kind, address, inputs], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_a_client_of_the_protocol_finds_that(check: str, faults: dict[str, str | None]) -> None:
    assert faults[check] is None, faults[check]
