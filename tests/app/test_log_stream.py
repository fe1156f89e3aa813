"""Who reads the log may stand still, and the service does not."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from select import PIPE_BUF

import httpx2
import pytest

from app.log_stream import _pieces
from app.settings import Settings
from tests.support.service import BASE_URL, PATIENCE_SECONDS, environ_of, eventually, free_port, is_ready, start_process

MORE_LINES_THAN_A_PIPE_TAKES = 600
FLOOD = """
import logging, os
from app import logs
logs.configure()
for number in range(20_000):
    logging.getLogger("rookie").info("line %d of many, which nobody reads as long as they come", number)
os.write(1, b"done")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_that_nobody_reads_holds_up_neither_requests_nor_the_stop(settings: Settings, workers: int) -> None:
    settings = dataclasses.replace(settings, port=free_port(), workers=workers)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as output:
        process = start_process(environ_of(settings), output)
        try:
            with closing(httpx2.Client(base_url=f"{BASE_URL}:{settings.port}", timeout=PATIENCE_SECONDS, trust_env=False)) as client:
                assert eventually(lambda: is_ready(client))
                for _ in range(MORE_LINES_THAN_A_PIPE_TAKES):
                    assert client.get(f"/no-such-page-{'x' * 200}").status_code == 404
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()


def test_lines_for_which_there_is_no_room_are_counted_and_the_others_come_in_order() -> None:
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(4) == b"done"
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    lines = [json.loads(line)["message"] for line in log.splitlines()]
    (told,) = [line for line in lines if "are lost" in line]
    numbers = [int(line.split()[1]) for line in lines if line != told]
    assert numbers == sorted(numbers)
    assert told == f"{20_000 - len(numbers)} lines of the log are lost: nobody read them"


def test_what_is_written_at_a_time_is_whole_lines_that_no_other_process_comes_between() -> None:
    lines = [b"a" * length + b"\n" for length in (10, PIPE_BUF - 12, 5, PIPE_BUF, 3, 3)] + [b"without an end"]
    pieces = list(_pieces(b"".join(lines)))
    assert pieces == [lines[0] + lines[1], lines[2], lines[3], lines[4] + lines[5], lines[6]]


def test_a_process_that_ends_has_written_all_that_it_said() -> None:
    said = FLOOD.replace("20_000", "50") + "raise SystemExit"
    done = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    assert len(done.stderr.splitlines()) == 50
