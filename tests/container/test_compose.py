"""docker compose up: the image builds, becomes healthy, answers, trains, stops."""

import io
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
MOST_BYTES = 160 * 10**6  # of the image, without the one that it is built on
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

    def inspect(self, what: str) -> str:
        """A fact of the service's container, by Docker's template."""
        container = self.run("ps", "--all", "--quiet", "rookie").strip()
        return docker("inspect", "--format", what, container).strip()

    def up(self, *options: str) -> None:
        """Start, and wait until the service is healthy."""
        self.run("up", "--detach", "--wait", "--wait-timeout", "120", *options)

    def label(self, picture: bytes) -> str:
        """The class that the service gives a picture."""
        response = self.client.post("/predict", files={"file": picture})
        assert response.status_code == 200, response.text
        return str(response.json()["label"])


def docker(*arguments: str) -> str:
    """What `docker ARGUMENTS` prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


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
    assert "NoNewPrivs:\t1" in composition.inside("cat", "/proc/self/status")
    assert composition.inspect("{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}") == "true [ALL]"


def test_it_has_bounds_on_memory_processes_and_processors(composition: Composition) -> None:
    memory, processes, quota = composition.inspect("{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuQuota}}").split()
    assert (int(memory), int(processes), int(quota)) == (2**31, 256, 200_000)


@pytest.mark.parametrize("tool", ["pip", "gcc", "cc", "make", "ld", "git", "curl"])
def test_there_is_nothing_in_it_to_build_or_fetch_programs_with(composition: Composition, tool: str) -> None:
    assert composition.inside("sh", "-c", f"command -v {tool} || echo none") == "none"


@pytest.mark.parametrize("module", ["pip", "ensurepip", "setuptools"])
def test_no_package_can_be_installed_in_it(composition: Composition, module: str) -> None:
    assert f"No module named {module}" in composition.inside("sh", "-c", f"python -m {module} 2>&1 || true")


def test_it_is_healthy_where_every_request_needs_the_token(composition: Composition) -> None:
    secrets = ["--env", "ROOKIE_TOKEN=an-example-of-a-token-0123456789", "--env", "ROOKIE_TOKEN_SCOPE=all"]
    container = docker("run", "--detach", "--read-only", "--tmpfs", "/tmp", *secrets, composition.inspect("{{.Image}}")).strip()  # noqa: S108 (the container's)
    try:
        assert eventually(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", container).strip() == "healthy")
    finally:
        docker("rm", "--force", "--volumes", container)


def test_it_is_small(composition: Composition) -> None:
    layers = docker("history", "--human=false", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}", composition.inspect("{{.Image}}"))
    ours, label, _base = layers.partition("LABEL org.opencontainers.image.title")
    assert label
    sizes = [int(line.split()[0]) for line in ours.splitlines()]
    assert 50 * 10**6 < sum(sizes) <= MOST_BYTES


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


def test_it_answers_what_has_begun_when_it_is_told_to_stop(composition: Composition) -> None:
    picture = garments.PICTURES[0].read_bytes()
    with socket.create_connection(("127.0.0.1", composition.port), timeout=30) as connection, ThreadPoolExecutor(1) as pool:
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {len(picture)}\r\n\r\n"
        connection.sendall(head.encode() + picture[:50])
        stopping = pool.submit(composition.run, "stop")
        time.sleep(2)
        connection.sendall(picture[50:])
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200 ")
        stopping.result()
    assert composition.inspect("{{.State.ExitCode}}") == "0"
    composition.up()


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
