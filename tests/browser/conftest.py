"""A server with a little of everything, and pages of it at every width and in both colour schemes."""

import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.settings import Settings
from tests.support.browser import LOOKS, OPPOSITE, Look, Watched
from tests.support.garments import EXAMPLES
from tests.support.parts import absent
from tests.support.service import add_version, eventually, free_port, server
from tests.support.tiny import another_model

WEIGHTS = EXAMPLES.parent / "weights" / "rookie.npz"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="package")
def chromium(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The browser that the machine has."""
    if not Path(CHROMIUM).is_file():
        absent(request.config, "browser", f"{CHROMIUM} is not there; on Debian: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent(request.config, "browser", "playwright is not installed; make install")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Settings:
    """A service that serves the shipped network and trains on the tiny dataset."""
    folder = tmp_path_factory.mktemp("browser")
    return Settings(state_dir=folder, data_dir=tiny_folder, model=WEIGHTS, port=free_port(), keep_versions=1000)


@pytest.fixture(scope="package")
def address(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a real server listens that has two versions."""
    with server(settings, tmp_path_factory.mktemp("log") / "log"):
        add_version(settings, another_model(seed=1, epochs=2))
        yield f"http://127.0.0.1:{settings.port}/"


@pytest.fixture
def client(address: str) -> Iterator[httpx2.Client]:
    """A client of that server."""
    with httpx2.Client(base_url=address, trust_env=False) as client:
        yield client


@pytest.fixture(autouse=True)
def version_1_serves(client: httpx2.Client) -> None:
    """Whatever an earlier test has activated, each begins with the shipped network."""
    if not serves_version_1(client):
        client.put("/models/current", json={"version": 1})
        assert eventually(lambda: serves_version_1(client))


def serves_version_1(client: httpx2.Client) -> bool:
    """Whether the next answer will be version 1's."""
    return bool(client.get("/readyz").json()["model"]["version"] == 1)


@pytest.fixture(params=LOOKS, ids=str)
def every_look(request: pytest.FixtureRequest) -> Look:
    """A width and a colour scheme, for what is judged by how it looks."""
    chosen: Look = request.param
    return chosen


@pytest.fixture(params=OPPOSITE, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """The two looks that differ most, for what the page does."""
    chosen: Look = request.param
    return chosen


@pytest.fixture(scope="package")
def context(chromium: Any) -> Callable[[Look], Any]:
    """The browser's context of each look: tests share it and open a tab of their own, as the page keeps nothing beyond a tab."""
    return functools.cache(lambda look: look.context(chromium))


@pytest.fixture
def watched(context: Callable[[Look], Any], address: str) -> Iterator[Callable[..., Watched]]:
    """Open pages that are held to their promises when the test ends."""
    with ExitStack() as stack:
        yield lambda look=LOOKS[0], at=address, **options: stack.enter_context(Watched(context(look), at, look, **options))


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of the page go, if somebody asked for them."""
    folder: Path | None = request.config.getoption("--screenshots")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
