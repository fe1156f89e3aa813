"""Weights files made to hurt: bombs, pickles, archives that lie, a hundred damaged copies. What is taken is a model that computes."""

import pickle
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_core import artifact
from model_core.errors import ArtifactFormatError
from tests.support import tiny
from tests.support.archives import members, npy, npy_header, pack, small_model, with_card, with_members
from tests.support.attacks import BEARER, Target, mutants

REFUSED = (413, 422)


class Runs:
    """Unpickled, it would make a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, ("/tmp/rookie-was-unpickled", "w")  # noqa: S108 (the file that such a pickle would make)


def bomb(size: int) -> bytes:
    """An archive whose w1 unpacks to `size` bytes of nothing."""
    return with_members(zipfile.ZIP_DEFLATED, w1=npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (784, 3), }", bytes(size)))


def nested() -> bytes:
    """An archive of archives of archives."""
    content = bomb(2**22)
    for _ in range(8):
        content = pack([(f"{number}.zip", content) for number in range(4)], zipfile.ZIP_DEFLATED)
    return content


def lying_about_sizes(stored: int) -> bytes:
    """An archive whose directory claims another size for its first member."""
    content = bytearray(artifact.to_bytes(small_model()))
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = stored.to_bytes(4, "little")
    return bytes(content)


def overlapping() -> bytes:
    """An archive whose members all lie at the same place (a quine's trick, and David Fifield's bomb)."""
    content = bytearray(artifact.to_bytes(small_model()))
    for match in re.finditer(b"PK\x01\x02", bytes(content)):
        content[match.start() + 42 : match.start() + 46] = bytes(4)
    return bytes(content)


def header(shape: str, descr: str = "<f4") -> bytes:
    return npy_header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")


PARTS = members(artifact.to_bytes(small_model()))
FILES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a pickle": lambda: pickle.dumps(Runs()),
    "a pickle as a member": lambda: with_members(w1=pickle.dumps(Runs())),
    "an array of objects": lambda: with_members(w1=npy(np.array([Runs()], object))),
    "a card of objects": lambda: with_members(card=npy(np.array([Runs()], object))),
    "an .npy": lambda: npy(np.zeros(3)),
    "a bomb of 64 MiB": lambda: bomb(2**26),
    "a bomb of 256 MiB": lambda: bomb(2**28),
    "archives in archives": nested,
    "members that lie in one place": overlapping,
    "a size of 4 GiB": lambda: lying_about_sizes(2**32 - 2),
    "a size of nothing": lambda: lying_about_sizes(0),
    "a member twice": lambda: pack([*PARTS.items(), ("w1.npy", PARTS["w1.npy"])]),
    "a member that goes upwards": lambda: pack([*PARTS.items(), ("../../w1.npy", b"")]),
    "a member from the root": lambda: pack([*PARTS.items(), ("/etc/passwd", b"")]),
    "a member of NUL": lambda: pack([*PARTS.items(), ("w1.npy\0.txt", b"")]),
    "ten thousand members": lambda: pack([(f"{number}.npy", b"") for number in range(10_000)]),
    "a directory of 300,000 members": lambda: b"PK\x01\x02".ljust(46, b"\0") * 300_000 + b"PK\x05\x06".ljust(22, b"\0"),
    "every array as large as the largest": lambda: with_members(
        zipfile.ZIP_DEFLATED, **{name: np.zeros((1536, 1536), np.float32) for name in ("w1", "b1", "w2", "b2", "w3", "b3", "mean", "std")}
    ),
    "a card of lists": lambda: with_card('{"format": "rookie-1", "x": [' + "[]," * 340_000 + "0]}"),
    "a shape of 10**18": lambda: with_members(w1=header(f"({10**9}, {10**9})")),
    "a shape below nothing": lambda: with_members(w1=header("(-784, -3)")),
    "a shape of no numbers": lambda: with_members(w1=header("(__import__('os').abort(),)")),
    "a shape of a thousand sizes": lambda: with_members(w1=header("(" + "1," * 1000 + ")")),
    "a dtype of Python": lambda: with_members(w1=header("(784, 3)", "|O")),
    "a dtype of fields": lambda: with_members(w1=npy(np.zeros((784, 3), [("a", "<f4"), ("b", "|O")]))),
    "a dtype of 2 GiB": lambda: with_members(w1=header("(784, 3)", "|V2147483647")),
    "a header of 64 kB": lambda: with_members(w1=npy_header(" " * 65_000)),
    "a header of brackets": lambda: with_members(w1=npy_header("(" * 60_000)),
    "a card of brackets": lambda: with_card("[" * 500_000),
    "a card of digits": lambda: with_card('{"format": ' + "9" * 500_000 + "}"),
    "a card with infinity": lambda: with_card('{"format": "rookie-1", "x": Infinity}'),
    "a card of half a surrogate": lambda: with_card('{"format": "rookie-1\\ud800"}'),
    "weights of infinity": lambda: with_members(w1=np.full((784, 3), np.inf, np.float32)),
    "weights that overflow": lambda: with_members(w1=np.full((784, 3), 1e38, np.float32), w2=np.full((3, 2), 1e38, np.float32)),
    "a deviation of nothing": lambda: with_members(std=np.zeros(784, np.float32)),
    "random bytes behind a signature": lambda: b"PK\x03\x04" + np.random.default_rng(0).bytes(5000),
    "zlib behind a signature": lambda: b"PK\x03\x04" + zlib.compress(bytes(2**20)),
}


def upload(target: Target, content: bytes) -> int:
    """The status of a weights file's answer; what was taken is deleted again."""
    headers = {"Content-Type": "application/octet-stream", **BEARER}
    answer = target.client.post("/models?promote=never", content=content, headers=headers)
    if answer.status_code == 201:
        assert target.client.delete(answer.headers["Location"], headers=BEARER).status_code == 204
    else:
        assert answer.json()["detail"]
    return answer.status_code


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_weights_file_is_refused(unharmed: Target, name: str) -> None:
    assert upload(unharmed, FILES[name]()) in REFUSED


def test_nothing_was_unpickled(unharmed: Target) -> None:
    assert unharmed.client.get("/models", headers=BEARER).json()["current"] == 1
    assert not Path("/tmp/rookie-was-unpickled").exists()  # noqa: S108 (the file that such a pickle would make)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_damaged_weights_files_are_refused_or_whole(unharmed: Target, count: int) -> None:
    whole = artifact.to_bytes(tiny.model())
    found = [upload(unharmed, content) for content in mutants(whole, count)]
    assert set(found) <= {201, *REFUSED}


@pytest.mark.parametrize("count", [1000, pytest.param(20_000, marks=pytest.mark.soak)])
def test_the_reader_takes_no_damaged_file_that_could_not_compute(count: int) -> None:
    picture = np.full((1, 28, 28), 255, np.uint8)
    for content in mutants(artifact.to_bytes(small_model()), count):
        try:
            model = artifact.from_bytes(content, "mutant")
        except ArtifactFormatError:
            continue
        assert np.isfinite(model.predict_proba(picture)).all()


def test_an_archive_that_is_read_is_never_written_to_disk(unharmed: Target) -> None:
    before = sorted(path.name for path in unharmed.settings.state_dir.iterdir())
    assert upload(unharmed, pack([*PARTS.items(), ("../evil.npy", b"x")])) == 422
    assert sorted(path.name for path in unharmed.settings.state_dir.iterdir()) == before
