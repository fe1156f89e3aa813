"""Two servers on one PostgreSQL database."""

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from app.settings import Settings
from tests.support.faults import Weights, assert_same_weights, kill, no_trainer_left, submit, trainers, weights_of
from tests.support.postgres import Server
from tests.support.service import eventually, free_port, is_ready, launched, wait_for
from tests.support.streams import following

pytestmark = pytest.mark.postgres


@dataclasses.dataclass
class Host:
    """One of the two: its settings, its process, a client of it."""

    settings: Settings
    pid: int
    client: httpx2.Client


@pytest.fixture
def hosts(settings: Settings, postgres: Server, tmp_path: Path) -> Iterator[list[Host]]:
    """Both, started at once on an empty database."""
    shared = dataclasses.replace(settings, database_url=postgres.create_database())
    ours = [dataclasses.replace(shared, port=free_port(), state_dir=tmp_path / name) for name in "ab"]
    with ExitStack() as stack:
        for each in ours:
            stack.enter_context(no_trainer_left(each))
        started = [stack.enter_context(launched(each, tmp_path / f"log-{each.port}")) for each in ours]
        assert all(eventually(lambda client=client: is_ready(client)) for _, client in started)  # type: ignore[misc]
        yield [Host(each, process.pid, client) for each, (process, client) in zip(ours, started, strict=True)]


def test_servers_that_start_at_once_on_an_empty_database_share_one_model(hosts: list[Host]) -> None:
    for host in hosts:
        assert [version["version"] for version in host.client.get("/models").json()["models"]] == [1]
        assert host.client.get("/readyz").json()["model"]["version"] == 1


def test_what_one_server_is_told_the_other_shows(hosts: list[Host]) -> None:
    first, second = hosts
    job = submit(first.client)
    with following(second.client, job) as events:
        assert list(events)[-1].data["status"] == "succeeded"
    for host in hosts:
        assert eventually(lambda host=host: host.client.get("/readyz").json()["model"]["version"] == 2, seconds=10)  # type: ignore[misc]


def test_the_job_of_a_server_that_is_killed_with_its_trainer_is_taken_over(hosts: list[Host], undisturbed: Weights) -> None:
    job = submit(hosts[0].client)
    assert eventually(lambda: any(trainers(host.settings) for host in hosts))
    owner, other = sorted(hosts, key=lambda host: not trainers(host.settings))
    kill(owner.pid, *trainers(owner.settings).values())
    ended = wait_for(other.client, job, "succeeded")
    assert ended["attempt"] == 2
    assert_same_weights(weights_of(other.client, ended["version"]), undisturbed)
