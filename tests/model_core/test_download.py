"""Fetching the dataset, against a real server on the loopback."""

import fcntl
import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest

from model_core import download
from model_core.errors import DownloadError
from tests.support.source import Source

CONTENT = {f"file{k}.gz": np.random.default_rng(k).bytes(150_000) for k in range(2)}
WRONG = dict.fromkeys(CONTENT, b"<html>This page is for sale</html>")
FIRST = "file0.gz"


@pytest.fixture(autouse=True)
def _two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset is two files of known content, and no proxy stands between."""
    monkeypatch.setattr(download, "FILES", {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()})
    monkeypatch.setenv("no_proxy", "*")


def assert_whole(folder: Path) -> None:
    """Each file is there, and nothing beside them."""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


def test_missing_files_are_fetched_and_reported(tmp_path: Path) -> None:
    seen = []
    with Source(CONTENT) as source:
        fetched = download.fetch(tmp_path / "new", lambda *progress: seen.append(progress), [source.url])
    assert fetched == list(CONTENT)
    assert_whole(tmp_path / "new")
    assert seen[-1] == ("file1.gz", 150_000, 150_000)


def test_files_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    with Source(CONTENT) as source:
        download.fetch(tmp_path, sources=[source.url])
        source.requests.clear()
        assert download.fetch(tmp_path, sources=[source.url]) == []
    assert source.requests == []


def test_another_dataset_of_the_same_names_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b"MNIST's, or damaged")
    with Source(CONTENT) as source, pytest.raises(DownloadError, match=rf"{FIRST}\); take them away, .* or set ROOKIE_DATA_DIR"):
        download.fetch(tmp_path, sources=[source.url])
    assert source.requests == []
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"MNIST's, or damaged"]


def test_a_download_that_broke_off_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    with Source(CONTENT, cut_after=100_000) as source, pytest.raises(DownloadError, match="ended after 100000 of 150000 bytes"):
        download.fetch(tmp_path, sources=[source.url])
    assert (tmp_path / f"{FIRST}.part").stat().st_size == 100_000
    with Source(CONTENT) as source:
        download.fetch(tmp_path, sources=[source.url])
    assert source.requests[0] == (FIRST, "bytes=100000-")
    assert_whole(tmp_path)


def test_a_source_that_trickles_gives_way_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LEAST_RATE", 10**9)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 1.0)
    with Source(CONTENT, piece=10) as slow, Source(CONTENT) as quick:
        download.fetch(tmp_path, sources=[slow.url, quick.url])
        with pytest.raises(DownloadError, match="sends less than 1000000000 bytes a second"):
            download.fetch(tmp_path / "alone", sources=[slow.url])
    assert quick.names() == list(CONTENT)
    assert {path.name for path in tmp_path.iterdir()} == {*CONTENT, "alone"}


def test_one_source_takes_up_what_another_left(tmp_path: Path) -> None:
    with Source(CONTENT, cut_after=100_000) as broken, Source(CONTENT) as whole:
        download.fetch(tmp_path, sources=[broken.url, whole.url])
    assert whole.requests[0] == (FIRST, "bytes=100000-")
    assert_whole(tmp_path)


def test_a_download_starts_over_where_the_source_ignores_ranges(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.part").write_bytes(CONTENT[FIRST][:100])
    with Source(CONTENT, honours_ranges=False) as source:
        download.fetch(tmp_path, sources=[source.url])
    assert source.requests[0] == (FIRST, "bytes=100-")
    assert_whole(tmp_path)


def test_a_part_that_is_already_whole_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.part").write_bytes(CONTENT[FIRST])
    with Source(CONTENT) as source:
        download.fetch(tmp_path, sources=[source.url])
    assert_whole(tmp_path)


def test_a_part_of_something_else_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.part").write_bytes(b"something else")
    with Source(CONTENT) as first, Source(CONTENT) as second:
        download.fetch(tmp_path, sources=[first.url, second.url])
    assert second.requests == [(FIRST, None)]
    assert_whole(tmp_path)


@pytest.mark.parametrize("files", [WRONG, {}], ids=["wrong content", "not found"])
def test_where_one_source_fails_the_next_is_asked(tmp_path: Path, files: dict[str, bytes]) -> None:
    with Source(files) as first, Source(CONTENT) as second:
        download.fetch(tmp_path, sources=[first.url, second.url])
    assert first.names() == second.names() == list(CONTENT)
    assert_whole(tmp_path)


def test_where_every_source_fails_the_error_names_each_with_its_reason(tmp_path: Path) -> None:
    with Source({}) as gone:
        pass
    with Source(WRONG) as wrong, Source({}) as empty, pytest.raises(DownloadError) as failed:
        download.fetch(tmp_path, sources=[wrong.url, empty.url, gone.url])
    assert f"{wrong.url}: the file's SHA-256 is not the dataset's" in str(failed.value)
    assert f"{empty.url}: HTTP Error 404" in str(failed.value)
    assert f"{gone.url}: " in str(failed.value)
    assert f"put the four files into {tmp_path} yourself" in str(failed.value)
    assert not (tmp_path / FIRST).exists()


def test_a_source_that_sends_too_much_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 100_000)
    with Source(CONTENT) as source, pytest.raises(DownloadError, match="sends more than 100000 bytes"):
        download.fetch(tmp_path, sources=[source.url])
    assert (tmp_path / f"{FIRST}.part").stat().st_size == 0


def test_who_waits_for_another_process_that_stands_still_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(download, "LOOK_SECONDS", 0.01)
    with (tmp_path / f"{FIRST}.part").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with Source(CONTENT) as source, pytest.raises(DownloadError, match=rf"another process fetches .*{FIRST} .*; end it"):
            download.fetch(tmp_path, sources=[source.url])
    assert source.requests == []


def test_two_fetches_at_once_share_the_work(tmp_path: Path) -> None:
    fetched: list[str] = []
    with Source(CONTENT) as source:
        threads = [threading.Thread(target=lambda: fetched.extend(download.fetch(tmp_path, sources=[source.url]))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(fetched) == sorted(source.names()) == list(CONTENT)
    assert all((tmp_path / name).read_bytes() == content for name, content in CONTENT.items())
