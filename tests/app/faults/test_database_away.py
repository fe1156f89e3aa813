"""A PostgreSQL server that says nothing any more, though its machine takes what comes: no limit of TCP ends such a call."""

import dataclasses
import os
import signal
import socket
from pathlib import Path

import pytest

from app.settings import Settings
from app.shutdown import END_SECONDS
from app.watcher import STALE_SECONDS
from tests.support.faults import no_trainer_left
from tests.support.pictures import encode, grey
from tests.support.postgres import Server
from tests.support.service import PATIENCE_SECONDS, eventually, free_port, is_ready, launched

pytestmark = pytest.mark.postgres

LEAVING = 200  # clients that ask for something and hang up
THREADS = 24  # of an idle process, and the few that wait for the database


def ask_and_leave(port: int, request: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())


def test_while_it_stands_still_predictions_go_on_and_a_stop_ends(settings: Settings, postgres: Server, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings, port=free_port(), database_url=postgres.create_database())
    with no_trainer_left(settings), launched(settings, tmp_path / "log") as (process, client):
        assert eventually(lambda: is_ready(client))
        with postgres.standing_still():
            for number in range(LEAVING):
                ask_and_leave(settings.port, f"GET /weights/w1.png?version={number + 2}")
                ask_and_leave(settings.port, "POST /v2/repository/index")
                ask_and_leave(settings.port, "GET /train/1/events")
            answer = client.post("/predict", content=encode(grey()), headers={"Content-Type": "image/png"})
            assert answer.status_code == 200
            assert len(os.listdir(f"/proc/{process.pid}/task")) < THREADS
            assert eventually(lambda: client.get("/readyz").status_code == 503, seconds=2 * STALE_SECONDS)
            waited = client.get("/models")
            assert (waited.status_code, waited.json()["code"]) == (503, "unavailable")
            process.send_signal(signal.SIGTERM)
            code = process.wait(END_SECONDS + PATIENCE_SECONDS)
    log = (tmp_path / "log").read_text()
    assert (code, "database that does not answer" in log) in ((0, False), (1, True))  # 0: every call had an end of its own
    assert "Traceback" not in log
