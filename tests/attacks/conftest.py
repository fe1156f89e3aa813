"""One real server with a token for all attacks; after each of them it has to be unharmed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import model_core
from app.settings import Settings
from tests.support import tiny
from tests.support.attacks import TOKEN, Target
from tests.support.service import free_port, server


@pytest.fixture(scope="package")
def target(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Target]:
    """A server that trains nothing and lets 40 streams of events be open."""
    folder = tmp_path_factory.mktemp("target")
    model_core.save(tiny.model(), folder / "tiny.npz")
    settings = Settings(
        state_dir=folder,
        data_dir=tiny_folder,
        model=folder / "tiny.npz",
        token=TOKEN,
        training_slots=0,
        event_streams=40,
        port=free_port(),
    )
    with server(settings, folder / "log") as (process, client):
        yield Target(settings, client, folder / "log", process.pid)


@pytest.fixture
def unharmed(target: Target) -> Iterator[Target]:
    """The server, which is looked after once the test is over."""
    target.fresh_log()
    yield target
    target.assert_unharmed()
