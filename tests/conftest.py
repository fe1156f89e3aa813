"""Options and fixtures of every test."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_core import data
from tests.support import tiny
from tests.support.parts import PARTS, absent, required

WAIT_TO_BE_ASKED = ("soak", "faults")  # run where -m names them; what has both waits for the first


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require", default="", metavar="NAME[,NAME...]", help=f"fail instead of skip where one of {', '.join(PARTS)} is absent"
    )

    parser.addoption("--screenshots", type=Path, metavar="FOLDER", help="where the browser tests write pictures of the page's parts")


def pytest_configure(config: pytest.Config) -> None:
    unknown = set(required(config)) - set(PARTS)
    if unknown:
        raise pytest.UsageError(f"--require {','.join(sorted(unknown))}: no such part; there are {', '.join(PARTS)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = str(config.getoption("-m"))
    waiting = {item for item in items if _waits_for(item) not in asked}
    config.hook.pytest_deselected(items=sorted(waiting, key=items.index))
    items[:] = [item for item in items if item not in waiting]


def _waits_for(item: pytest.Item) -> str:
    return next((marker for marker in WAIT_TO_BE_ASKED if item.get_closest_marker(marker)), "")


@pytest.fixture(autouse=True)
def hears_the_end_of_its_terminal() -> Iterator[None]:
    """What a test starts hears SIGHUP, whatever nohup has said to the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def fashion_mnist(request: pytest.FixtureRequest) -> Path:
    """The folder of the real dataset."""
    folder = data.data_dir(os.environ)
    if missing := data.missing_files(folder):
        absent(request.config, "data", f"{folder} lacks {', '.join(missing)}; fetch them: python -m model_core data")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny dataset in the real one's format."""
    return tiny.write_dataset(tmp_path_factory.mktemp("tiny"))
