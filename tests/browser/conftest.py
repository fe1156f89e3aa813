"""A server with a little of everything, and pages of it at every width and in both colour schemes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.support import tiny
from tests.support.browser import LOOKS, Look, Watched
from tests.support.garments import EXAMPLES
from tests.support.parts import absent
from tests.support.service import add_version, free_port, server

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
    return Settings(state_dir=tmp_path_factory.mktemp("browser"), data_dir=tiny_folder, model=WEIGHTS, port=free_port())


@pytest.fixture(scope="package")
def address(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a real server listens that has two versions."""
    with server(settings, tmp_path_factory.mktemp("log") / "log"):
        add_version(settings, tiny.model())
        yield f"http://127.0.0.1:{settings.port}/"


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """A width and a colour scheme."""
    chosen: Look = request.param
    return chosen


@pytest.fixture
def watched(chromium: Any, address: str) -> Iterator[Callable[..., Watched]]:
    """Open pages that are held to their promises when the test ends."""
    with ExitStack() as stack:
        yield lambda look=LOOKS[0], at=address, **options: stack.enter_context(Watched(chromium, at, look, **options))


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of the page go, if somebody asked for them."""
    folder: Path | None = request.config.getoption("--screenshots")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
