"""docker compose up: the image builds, becomes healthy, answers, trains, stops."""

import io
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model_core import data
from tests.support import garments
from tests.support.parts import absent
from tests.support.service import eventually, free_port, wait_for

pytestmark = pytest.mark.container

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 15  # stop_grace_period in docker-compose.yml
KILLED = 137  # the exit code of a container that had to be killed


class Composition:
    """The project's compose file under a name and a port of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)

    def run(self, *arguments: str) -> str:
        """What `docker compose ARGUMENTS` prints; its failure fails the test, with all that it said."""
        command = ["docker", "compose", "--project-name", f"rookie-test-{self.port}", *arguments]
        environment = {**os.environ, "ROOKIE_PORT": str(self.port)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, *command: str) -> str:
        """What a command prints in the service's container."""
        return self.run("exec", "--no-TTY", "rookie", *command).strip()

    def up(self, *options: str) -> None:
        """Start, and wait until the service is healthy."""
        self.run("up", "--detach", "--wait", "--wait-timeout", "120", *options)

    def label(self, picture: bytes) -> str:
        """The class that the service gives a picture."""
        response = self.client.post("/predict", files={"file": picture})
        assert response.status_code == 200, response.text
        return str(response.json()["label"])


@pytest.fixture(scope="module")
def composition(request: pytest.FixtureRequest) -> Iterator[Composition]:
    """Rookie in a container, healthy; nothing of it stays behind."""
    require_engine(request.config)
    composition = Composition(free_port())
    try:
        composition.up("--build")
        yield composition
    finally:
        composition.client.close()
        composition.run("down", "--volumes", "--rmi", "local", "--timeout", "5")


def require_engine(config: pytest.Config) -> None:
    """Skip where no Docker engine with Compose answers."""
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            absent(config, "container", f"`{' '.join(command)}` fails: there is no Docker engine with Compose here")


def test_it_serves_the_page_on_the_loopback_only(composition: Composition) -> None:
    assert composition.client.get("/").status_code == 200
    assert composition.run("port", "rookie", "8000").strip() == f"127.0.0.1:{composition.port}"


def test_it_runs_without_root_privileges_or_a_writable_disk(composition: Composition) -> None:
    assert composition.inside("id", "-u") == "10001"
    assert "CapBnd:\t0000000000000000" in composition.inside("cat", "/proc/self/status")
    refusal = composition.inside("sh", "-c", "touch /srv/rookie/app/new 2>&1 || true")
    assert "Read-only file system" in refusal


def test_the_image_holds_the_code_and_the_model_and_nothing_else_of_the_checkout(composition: Composition) -> None:
    assert composition.inside("ls", "-A", "/srv/rookie").split() == ["app", "model_core", "weights"]


@pytest.mark.parametrize("picture", garments.PICTURES, ids=lambda picture: picture.stem)
def test_it_labels_an_example_rightly(composition: Composition, picture: Path) -> None:
    assert composition.label(picture.read_bytes()) == garments.label(picture)


def test_it_labels_a_test_image_rightly(composition: Composition, fashion_mnist: Path) -> None:
    test = data.load_test(fashion_mnist)
    assert composition.label(png(test.images[0])) == data.CLASSES[test.labels[0]]


def test_a_model_that_it_trains_is_served_without_a_restart(composition: Composition, fashion_mnist: Path) -> None:
    composition.run("cp", f"{fashion_mnist}/.", "rookie:/var/lib/rookie/data")
    request = {"recipe": "quick", "epochs": 1, "promote": "always"}
    job = composition.client.post("/train", json=request).json()
    finished = wait_for(composition.client, job["id"], "succeeded")
    assert eventually(lambda: composition.client.get("/readyz").json()["model"]["version"] == finished["version"], seconds=5)


def test_it_stops_when_told_to_and_keeps_its_state(composition: Composition) -> None:
    served = composition.client.get("/readyz").json()
    container = composition.run("ps", "--quiet", "rookie").strip()
    began = time.monotonic()
    composition.run("stop")
    assert time.monotonic() - began < GRACE_SECONDS
    inspect = ["docker", "inspect", "--format", "{{.State.ExitCode}}", container]
    assert int(subprocess.run(inspect, check=True, capture_output=True).stdout) != KILLED
    composition.up()
    assert composition.client.get("/readyz").json() == served


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An image (28, 28) uint8 as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
