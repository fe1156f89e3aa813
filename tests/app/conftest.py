"""The service over a tiny model and a tiny dataset."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import model_core
from app.settings import Settings
from tests.support import tiny
from tests.support.parts import absent
from tests.support.postgres import Server, find_binaries, server
from tests.support.service import client_of


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file in the place of the one that a release ships."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    model_core.save(tiny.model(), path)
    return path


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A real PostgreSQL server, for as long as the tests run."""
    binaries = find_binaries()
    if binaries is None:
        absent(request.config, "postgres", "PostgreSQL's server is not installed; on Debian: apt-get install postgresql")
    with server(binaries) as started:
        yield started


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'rookie.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
def settings(tmp_path: Path, shipped: Path, tiny_folder: Path) -> Settings:
    """Settings of a service with an empty database of its own."""
    return Settings(state_dir=tmp_path / "state", data_dir=tiny_folder, model=shipped)


@pytest.fixture
def own_client(settings: Settings) -> Iterator[TestClient]:
    """A service whose state is the test's own."""
    with client_of(settings) as client:
        yield client


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[TestClient]:
    """A service that all tests share, for what changes nothing: it trains nothing."""
    state = tmp_path_factory.mktemp("state")
    with client_of(Settings(state_dir=state, data_dir=tiny_folder, model=shipped, training_slots=0)) as client:
        yield client
