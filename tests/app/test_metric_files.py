"""The files of several processes' counts: in the state folder, with room of their own, and gone when nobody needs them."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, values

from app import metric_files
from app.metric_files import FILE_BYTES, FOLDER_VARIABLE, KINDS


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv(FOLDER_VARIABLE, "")


def test_they_lie_in_the_state_folder_and_what_a_killed_service_left_there_goes(tmp_path: Path) -> None:
    left, held = tmp_path / "metrics-left", tmp_path / "metrics-held"
    for folder in (left, held):
        folder.mkdir()
        (folder / "counter_1.db").touch()
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with metric_files.folder(tmp_path, workers=2):
        mine = Path(os.environ[FOLDER_VARIABLE])
        assert (mine.parent, mine.is_dir()) == (tmp_path, True)
        assert set(tmp_path.iterdir()) == {mine, held}
    os.close(handle)
    assert set(tmp_path.iterdir()) == {held}


def test_where_there_is_no_state_folder_they_lie_among_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with metric_files.folder(tmp_path / "file", workers=2):
        mine = Path(os.environ[FOLDER_VARIABLE])
        assert mine.is_dir()
        assert tmp_path not in mine.parents


def test_one_process_needs_none(tmp_path: Path) -> None:
    with metric_files.folder(tmp_path, workers=1):
        assert list(tmp_path.iterdir()) == []


def test_each_has_its_room_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    metric_files.reserve()
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}_{os.getpid()}.db" for kind in KINDS}
    assert all(path.stat().st_blocks * 512 >= FILE_BYTES for path in tmp_path.iterdir())  # no holes


def test_a_process_that_finds_no_room_counts_for_itself_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, content: bytes) -> int:  # noqa: ARG001
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", refuse)
    metric_files.reserve()
    assert "No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []
    own = CollectorRegistry()
    assert metric_files.shared_registry(own) is own
