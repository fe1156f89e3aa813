"""Several serving processes: they die, stand still, cannot start again, and find no room; the others go on, and a stop is heard."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.support.faults import LONG, Weights, assert_same_weights, freeze, is_gone, kill, locked, show, submit, trainer_of, weights_of
from tests.support.service import environ_of, eventually, is_ready, server, wait_for


def test_a_worker_that_is_killed_is_replaced_and_its_job_goes_on(settings: Settings, tmp_path: Path, undisturbed: Weights) -> None:
    with server(dataclasses.replace(settings, workers=2), tmp_path / "log") as (_, client):
        job = submit(client)
        pid = trainer_of(settings, job)
        kill(parent_of(pid))
        assert eventually(lambda: is_ready(client))
        ended = wait_for(client, job, "succeeded")
        assert ended["attempt"] == 1
        assert_same_weights(weights_of(client, ended["version"]), undisturbed)


def test_workers_that_die_before_they_give_a_sign_of_life_are_replaced_at_once(settings: Settings, tmp_path: Path) -> None:
    with server(dataclasses.replace(settings, workers=2), tmp_path / "log") as (process, client):
        assert eventually(lambda: len(workers_of(process.pid)) == 2)
        first = workers_of(process.pid)
        for pid in first:
            freeze(pid)
        time.sleep(2)  # they have been asked by now
        kill(*first)
        assert eventually(lambda: len({*workers_of(process.pid)} - {*first}) == 2, seconds=20)  # uvicorn alone waits for a minute
        assert eventually(lambda: is_ready(client))


def test_a_supervisor_whose_worker_hangs_hears_that_it_is_to_end(settings: Settings, tmp_path: Path) -> None:
    with server(dataclasses.replace(settings, workers=2), tmp_path / "log") as (process, _):
        assert eventually(lambda: len(workers_of(process.pid)) == 2)
        hanging, other = workers_of(process.pid)
        freeze(hanging)
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: is_gone(other), seconds=20)
        assert process.wait(60) == 0  # it is killed after 40 s
        assert is_gone(hanging)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_ends_in_good_order_with_its_terminal(settings: Settings, tmp_path: Path, workers: int) -> None:
    with server(dataclasses.replace(settings, workers=workers), tmp_path / "log") as (process, client):
        job = submit(client, LONG)
        trainer_of(settings, job)
        for pid in (process.pid, *workers_of(process.pid)):
            os.kill(pid, signal.SIGHUP)
        assert process.wait(30) == 0
    log = (tmp_path / "log").read_text()
    assert log.count("Application shutdown complete") == workers
    assert "Traceback" not in log


def test_workers_whose_supervisor_is_killed_end_in_good_order(settings: Settings, tmp_path: Path) -> None:
    with server(dataclasses.replace(settings, workers=2), tmp_path / "log") as (process, client):
        assert eventually(lambda: len(workers_of(process.pid)) == 2)
        workers = workers_of(process.pid)
        job = submit(client, LONG)
        trainer_of(settings, job)
        kill(process.pid)
        assert all(eventually(lambda pid=pid: is_gone(pid), seconds=20) for pid in workers)  # type: ignore[misc]
    assert (tmp_path / "log").read_text().count("Application shutdown complete") == 2
    with server(settings, tmp_path / "log of the next") as (_, client):
        assert show(client, job)["status"] in ("queued", "running")


def test_a_worker_whose_successor_cannot_reach_the_database_costs_the_others_nothing(settings: Settings, tmp_path: Path) -> None:
    with server(dataclasses.replace(settings, workers=2), tmp_path / "log") as (process, client):
        assert eventually(lambda: (tmp_path / "log").read_text().count("Application startup complete") == 2)
        first, other = workers_of(process.pid)
        time.sleep(2)  # the supervisor has heard by now that they serve
        with locked(settings):
            kill(first)
            assert eventually(lambda: "database is locked" in (tmp_path / "log").read_text())
            assert eventually(lambda: "] died" in (tmp_path / "log").read_text().partition("database is locked")[2])
            assert client.get("/livez").status_code == 200
        assert eventually(lambda: len(workers_of(process.pid)) == 2 and is_ready(client))
        assert other in workers_of(process.pid)
    assert "Traceback" not in (tmp_path / "log").read_text()


def workers_of(supervisor: int) -> list[int]:
    """The serving processes of a supervisor, in no order."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if not is_gone(int(pid)) and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("moment", [0.1, 1.2, 3.0])
def test_ctrl_c_during_the_start_ends_it_without_a_traceback(settings: Settings, tmp_path: Path, workers: int, moment: float) -> None:
    with (tmp_path / "log").open("wb") as output:
        environ = environ_of(dataclasses.replace(settings, workers=workers))
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        with subprocess.Popen([sys.executable, "-m", "app"], env=environ, start_new_session=True, **streams) as process:
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            assert process.wait(20) in (0, -signal.SIGINT)
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not list(settings.state_dir.glob("rookie-metrics-*"))


def test_workers_that_die_again_and_again_leave_no_files_behind(settings: Settings, tmp_path: Path) -> None:
    with server(dataclasses.replace(settings, workers=2), tmp_path / "log") as (process, client):
        assert eventually(lambda: len(workers_of(process.pid)) == 2)
        for _ in range(4):
            before = workers_of(process.pid)
            kill(before[0])
            assert eventually(lambda before=before: len({*workers_of(process.pid)} - {*before}) == 1)  # type: ignore[misc]
            assert eventually(lambda: is_ready(client))
        assert eventually(lambda: len(list(settings.state_dir.glob("rookie-metrics-*/*"))) == 8)  # four each
        assert client.get("/metrics").status_code == 200
