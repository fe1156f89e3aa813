"""The service over a tiny model and a tiny dataset."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import model_core
from app.settings import Settings
from tests.support import tiny
from tests.support.service import client_of


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file in the place of the one that a release ships."""
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    model_core.save(tiny.model(), path)
    return path


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
