"""The files of several processes' counts: in the state folder, with room of their own, and gone when nobody needs them."""

import dataclasses
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from app import metric_files
from app.metric_files import FILE_BYTES, FOLDER_VARIABLE, KINDS
from app.settings import Settings, SettingsError
from tests.support.service import free_port, server


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv(FOLDER_VARIABLE, "")


def test_they_lie_in_the_state_folder_and_what_a_killed_service_left_there_goes(tmp_path: Path) -> None:
    left, held = tmp_path / "rookie-metrics-left", tmp_path / "rookie-metrics-held"
    for folder in (left, held):
        folder.mkdir()
        for name in ("counter_1.db", "gauge_max_2.new"):
            (folder / name).touch()
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with metric_files.folder(tmp_path, workers=2):
        mine = Path(os.environ[FOLDER_VARIABLE])
        assert (mine.parent, mine.is_dir()) == (tmp_path, True)
        assert set(tmp_path.iterdir()) == {mine, held}
    os.close(handle)
    assert set(tmp_path.iterdir()) == {held}


def test_where_the_state_folder_takes_none_they_lie_among_temporary_files_and_what_was_left_there_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    left = tmp_path / "tmp" / "rookie-metrics-left"
    left.mkdir(parents=True)
    (left / "counter_1.db").touch()
    (tmp_path / "state").touch()  # no folder
    with metric_files.folder(tmp_path / "state", workers=2):
        assert [path.parent for path in (tmp_path / "tmp").glob("rookie-metrics-*")] == [tmp_path / "tmp"]
        assert not left.exists()


def test_what_is_not_theirs_stays_whatever_its_name(tmp_path: Path) -> None:
    export = tmp_path / "rookie-metrics-2025" / "deep" / "export.csv"
    mixed, empty = tmp_path / "rookie-metrics-mixed", tmp_path / "rookie-metrics-empty"
    export.parent.mkdir(parents=True)
    export.write_text("precious")
    for folder in (mixed, empty):  # the empty one may be another service's that starts just now
        folder.mkdir()
    for name in ("counter_1.db", "counter_one.db", "notes.txt"):
        (mixed / name).touch()
    os.mkfifo(tmp_path / "rookie-metrics-pipe")
    (tmp_path / "rookie-metrics-file").touch()
    (tmp_path / "rookie-metrics-link").symlink_to(mixed)
    (tmp_path / "metrics-of-another-program").mkdir()
    (tmp_path / "metrics-of-another-program" / "counter_1.db").touch()
    before = set(tmp_path.rglob("*"))
    with metric_files.folder(tmp_path, workers=2):
        pass
    assert before - set(tmp_path.rglob("*")) == {mixed / "counter_1.db"}


def test_the_files_of_a_process_that_died_are_taken_over_and_its_counts_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, living = ended_process(), os.getppid()
    for process in (dead, living):
        for kind in KINDS:
            (tmp_path / f"{kind}_{process}.db").write_bytes(b"%d" % process)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    metric_files.reserve()
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}_{process}.db" for kind in KINDS for process in (os.getpid(), living)}
    assert (tmp_path / f"counter_{os.getpid()}.db").read_bytes() == b"%d" % dead
    assert (tmp_path / f"gauge_livesum_{os.getpid()}.db").read_bytes() == bytes(FILE_BYTES)  # what it had in hand, it has no more
    assert (tmp_path / f"counter_{living}.db").read_bytes() == b"%d" % living


def test_a_scrape_begins_again_where_a_file_is_taken_over_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def collect(_collector: MultiProcessCollector) -> list[str]:
        tries.append(1)
        if len(tries) < 3:
            raise FileNotFoundError
        return ["figures"]

    tries: list[int] = []
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue())  # type: ignore[no-untyped-call]
    monkeypatch.setattr(MultiProcessCollector, "collect", collect)
    assert list(metric_files.shared_registry(CollectorRegistry()).collect()) == ["figures"]


def test_a_file_is_seen_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, content: bytes) -> int:
        seen.append([file.name for file in tmp_path.glob("*.db") if file.stat().st_size < FILE_BYTES])
        return written(path, content)

    seen: list[list[str]] = []
    written = Path.write_bytes
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", write)
    metric_files.reserve()
    assert seen == [[]] * len(KINDS)
    assert len(list(tmp_path.glob("*.db"))) == len(KINDS)


@pytest.mark.parametrize("variable", [FOLDER_VARIABLE, FOLDER_VARIABLE.lower()])
def test_another_programs_files_are_left_alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / f"counter_{ended_process()}.db").write_bytes(b"counts")
    before = list(theirs.iterdir())
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv(variable, str(theirs))
    with server(dataclasses.replace(settings, port=free_port()), tmp_path / "log") as (_, client):
        assert client.get("/metrics").status_code == 200
        assert list(theirs.iterdir()) == before


def ended_process() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_where_there_is_no_state_folder_they_lie_among_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with metric_files.folder(tmp_path / "file", workers=2):
        mine = Path(os.environ[FOLDER_VARIABLE])
        assert mine.is_dir()
        assert tmp_path not in mine.parents


def test_one_process_needs_none_and_removes_what_was_left(tmp_path: Path) -> None:
    left = tmp_path / "rookie-metrics-left" / "counter_1.db"
    left.parent.mkdir()
    left.touch()
    with metric_files.folder(tmp_path, workers=1):
        assert list(tmp_path.iterdir()) == []


def test_each_has_its_room_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    metric_files.reserve()
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}_{os.getpid()}.db" for kind in KINDS}
    assert all(path.stat().st_blocks * 512 >= FILE_BYTES for path in tmp_path.iterdir())  # no holes


SERVE_MANY_VERSIONS = """
import numpy as np
from app.metrics import Meters
meters = Meters()
for version in [*range(1, 400), 1, 399]:
    meters.batch_done(np.full((2, 10), 0.1, np.float32), version, 0.001, [0.0])
for family in meters.figures():
    for sample in family.samples:
        if sample.name == "rookie_inference_rows_total":
            print(sample.labels["version"], int(sample.value))
"""


def test_versions_for_which_there_is_no_room_are_counted_together_and_no_file_grows(tmp_path: Path) -> None:
    environment = {**os.environ, FOLDER_VARIABLE: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SERVE_MANY_VERSIONS], capture_output=True, text=True, check=True, env=environment)
    rows = {label: int(count) for label, count in map(str.split, done.stdout.splitlines())}
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {FILE_BYTES}
    assert sum(rows.values()) == 2 * 401
    assert rows["1"] == 4
    assert rows["other"] == 2 * (401 - 1 - (len(rows) - 1))
    assert 100 < len(rows) < 300


def test_a_start_without_room_for_their_folder_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    with pytest.raises(SettingsError, match=r"ROOKIE_STATE_DIR nor TMPDIR .* \(No space left"), metric_files.folder(tmp_path, workers=2):
        pass


def test_a_process_that_finds_no_room_counts_for_itself_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, content: bytes) -> int:  # noqa: ARG001
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    inherited = tmp_path / f"counter_{ended_process()}.db"
    inherited.write_bytes(b"counts")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    metric_files.reserve()
    assert "No space left on device" in caplog.text
    (kept,) = tmp_path.iterdir()
    assert (kept.name, kept.read_bytes()) == (f"counter_{os.getpid()}.db", b"counts")
    own = CollectorRegistry()
    assert metric_files.shared_registry(own) is own
