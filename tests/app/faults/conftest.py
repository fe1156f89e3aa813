"""What all fault tests compare with."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.support.faults import Weights, no_trainer_left, submit, weights_of
from tests.support.service import client_of, free_port, wait_for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder waits to be asked for: make faults."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Weights:
    """The weights of a job that nobody disturbed."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("undisturbed"), data_dir=tiny_folder, model=shipped)
    with client_of(settings) as client:
        job = submit(client)
        return weights_of(client, wait_for(client, job, "succeeded")["version"])


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a service that leaves no process behind, on a port of its own, and whose trainers can be held in a stage."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support" / "stages"))
    with no_trainer_left(settings):
        yield dataclasses.replace(settings, port=free_port())
