"""The weights file: a round trip, an atomic save, and everything that is refused."""

import hashlib
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import model_core
from model_core import artifact, explain
from model_core.artifact import FORMAT, MAX_BYTES, Model
from model_core.data import CLASSES
from model_core.errors import ArtifactError, ArtifactFormatError, ArtifactMissingError
from model_core.network import LARGEST_WEIGHT, Parameters, initialise, unflatten
from model_core.preprocess import STD_FLOOR
from model_core.recipe import MAX_HIDDEN
from tests.support import tiny
from tests.support.archives import members, npy, npy_header, pack, small_model, with_card, with_members

GOOD = artifact.to_bytes(small_model())


def refusal(content: bytes) -> str:
    """Why the content is refused."""
    with pytest.raises(ArtifactFormatError) as refused:
        artifact.from_bytes(content, "that file")
    assert str(refused.value).startswith("that file ")
    return str(refused.value)


def assert_same(one: Model, other: Model) -> None:
    for mine, theirs in zip(
        (*one.parameters, one.standardizer.mean, one.standardizer.std),
        (*other.parameters, other.standardizer.mean, other.standardizer.std),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)
        assert theirs.dtype == np.float32


def test_a_model_comes_back_from_its_file_exactly(tmp_path: Path) -> None:
    artifact.save(tiny.model(), tmp_path / "model.npz")
    loaded = model_core.load(tmp_path / "model.npz")
    assert_same(tiny.model(), loaded)
    assert loaded.card == json.loads(json.dumps(tiny.model().card))
    images = tiny.test_images().images
    np.testing.assert_array_equal(loaded.predict_proba(images), tiny.model().predict_proba(images))


def test_saving_what_was_loaded_gives_the_same_bytes() -> None:
    assert artifact.to_bytes(artifact.from_bytes(GOOD, "")) == GOOD


def test_a_file_that_numpy_packed_tighter_is_read_too() -> None:
    assert_same(artifact.from_bytes(with_members(zipfile.ZIP_DEFLATED), ""), small_model())


def test_a_files_name_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    digest = artifact.save(small_model(), tmp_path / "model.npz")
    assert digest == artifact.sha256(GOOD) == hashlib.sha256((tmp_path / "model.npz").read_bytes()).hexdigest()


def test_the_largest_network_with_the_longest_history_fits() -> None:
    hidden, record = (MAX_HIDDEN, MAX_HIDDEN), {**tiny.model().card["history"][0], "train_loss": 0.12345678901234567}
    parameters = unflatten(initialise(hidden, np.random.default_rng(0)), hidden)
    card = {**tiny.model().card, "history": [record] * 2000}
    content = artifact.to_bytes(Model(parameters, tiny.model().standardizer, card))
    assert len(content) <= MAX_BYTES
    assert artifact.from_bytes(content, "").parameters.hidden == hidden


def test_a_model_predicts_one_image_as_it_does_in_a_batch() -> None:
    image = tiny.test_images().images[3]
    np.testing.assert_allclose(tiny.model().predict_proba(image), tiny.model().predict_proba(image[None]), atol=1e-6)


@pytest.mark.parametrize(
    "images", [np.zeros((28, 28)), np.zeros((1, 28, 27), np.uint8), np.zeros((1, 1, 28, 28), np.uint8), np.zeros(784, np.uint8)]
)
def test_a_model_takes_nothing_but_28_by_28_bytes(images: np.typing.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 28, 28\) uint8"):
        small_model().predict_proba(images)


def test_a_save_replaces_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "model.npz"
    artifact.write_atomically(path, b"old")
    artifact.save(small_model(), path)
    assert path.read_bytes() == GOOD
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.touch(0o600)
    artifact.save(small_model(), path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_arrays_in_any_order_are_saved(tmp_path: Path) -> None:
    good = small_model()
    artifact.save(Model(Parameters(*map(np.asfortranarray, good.parameters)), good.standardizer, good.card), tmp_path / "model.npz")
    assert (tmp_path / "model.npz").read_bytes() == GOOD


UNLOADABLE: dict[str, Callable[[Model], Model]] = {
    "no number": lambda model: Model(model.parameters._replace(w1=model.parameters.w1 * np.nan), model.standardizer, model.card),
    "another shape": lambda model: Model(model.parameters._replace(b1=model.parameters.b1[:-1]), model.standardizer, model.card),
    "no card": lambda model: Model(model.parameters, model.standardizer, {}),
    "another format": lambda model: Model(model.parameters, model.standardizer, {**model.card, "format": "rookie-0"}),
    "a long card": lambda model: Model(model.parameters, model.standardizer, {**model.card, "more": "x" * 2**20}),
}


@pytest.mark.parametrize("fault", UNLOADABLE)
def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(GOOD)
    with pytest.raises(ArtifactFormatError, match="the model"):
        artifact.save(UNLOADABLE[fault](small_model()), path)
    assert path.read_bytes() == GOOD
    assert list(tmp_path.iterdir()) == [path]


def test_no_images_have_no_probabilities() -> None:
    assert small_model().predict_proba(np.zeros((0, 28, 28), np.uint8)).shape == (0, 10)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "model.npz"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        artifact.save(small_model(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_through_a_symbolic_link_replaces_the_file_that_it_leads_to(tmp_path: Path) -> None:
    link, path = tmp_path / "link.npz", tmp_path / "elsewhere" / "model.npz"
    link.symlink_to(path)
    for _ in range(2):  # the first makes it
        artifact.insist_on_writable(link)
        artifact.save(small_model(), link)
    assert link.is_symlink()
    assert path.read_bytes() == GOOD


def test_a_save_does_not_destroy_what_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for write in (artifact.insist_on_writable, lambda path: artifact.save(small_model(), path)):
        with pytest.raises(OSError, match="no regular file"):
            write(pipe)
    assert pipe.is_fifo()


def test_a_missing_file_is_named_with_the_way_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match=r"none.npz does not exist.*python -m model_core train --out"):
        artifact.load(tmp_path / "none.npz")


def test_a_folder_is_no_weights_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match="cannot be read"):
        artifact.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), GOOD[1:], GOOD[30:], bytes(1000)], ids=repr)
def test_what_is_no_archive_of_ours_is_refused(content: bytes) -> None:
    assert "damaged or not a Rookie artifact" in refusal(content)


def test_a_file_cut_short_anywhere_is_refused() -> None:
    for length in range(0, len(GOOD), 101):
        refusal(GOOD[:length])


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    assert "larger than" in refusal(GOOD + bytes(MAX_BYTES))


@pytest.mark.parametrize("name", [*Parameters._fields, "mean", "std", "card"])
def test_a_file_without_one_of_its_arrays_is_refused(name: str) -> None:
    assert "expected w1, b1" in refusal(with_members(**{name: None}))


@pytest.mark.parametrize("name", ["w4.npy", "../w1.npy", "/w1.npy", "w1.npy/", "..\\w1.npy", "w1", "W1.npy", "w1.npy\x00.txt", "w1.npy"])
def test_a_file_with_a_member_too_many_is_refused_and_none_is_unpacked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = members(GOOD)
    refusal(pack([*parts.items(), (name, parts["w1.npy"])]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../w1.npy", "/w1.npy", "w1.npy/", "./w1.npy"])
def test_a_member_under_another_path_is_not_taken_for_its_array(name: str) -> None:
    parts = members(GOOD)
    refusal(pack([(name if key == "w1.npy" else key, content) for key, content in parts.items()]))


class Bomb:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["w1", "card"])
def test_pickled_objects_are_refused_and_never_unpickled(name: str, tmp_path: Path) -> None:
    bomb = np.array([Bomb(tmp_path / "gone off")], object)
    refusal(with_members(**{name: bomb}))
    refusal(with_members(**{name: pickle.dumps(bomb)}))
    assert list(tmp_path.iterdir()) == []


F32 = np.float32


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"w1": np.zeros((784, 3))}, id="float64"),
        pytest.param({"w1": np.zeros((784, 3), ">f4")}, id="big-endian"),
        pytest.param({"w1": np.zeros((784, 3), np.int32)}, id="whole numbers"),
        pytest.param({"w1": np.zeros((784, 3), "<U1")}, id="text"),
        pytest.param({"w1": np.zeros((784, 3), "<f4,<f4")}, id="records"),
        pytest.param({"w1": np.zeros((784, 3), "<M8[s]")}, id="dates"),
        pytest.param({"w1": np.asfortranarray(np.zeros((784, 3), F32))}, id="fortran order"),
        pytest.param({"w1": np.zeros((783, 3), F32)}, id="fewer pixels"),
        pytest.param({"w1": np.zeros((3, 784), F32)}, id="transposed"),
        pytest.param({"w1": np.zeros((784, 4), F32)}, id="a unit more than w2 takes"),
        pytest.param({"w1": np.zeros(784 * 3, F32)}, id="w1 flat"),
        pytest.param({"w1": np.zeros((784, 3, 1), F32)}, id="three dimensions"),
        pytest.param({"w1": np.zeros((784, 0), F32), "b1": np.zeros(0, F32), "w2": np.zeros((0, 2), F32)}, id="no units"),
        pytest.param({"w1": F32(1)}, id="one number"),
        pytest.param({"b1": np.zeros((3, 1), F32)}, id="bias as column"),
        pytest.param({"w3": np.zeros((2, 11), F32)}, id="eleven classes"),
        pytest.param({"w3": np.zeros(20, F32)}, id="w3 flat"),
        pytest.param({"mean": np.zeros(1, F32)}, id="one mean"),
        pytest.param({"card": np.zeros((2, 2), np.uint8)}, id="card of two dimensions"),
        pytest.param({"card": np.zeros(2, F32)}, id="card of floats"),
        pytest.param({"card": np.zeros(0, np.uint8)}, id="empty card"),
        pytest.param({"w1": np.zeros((784, MAX_HIDDEN + 1), F32), "b1": np.zeros(MAX_HIDDEN + 1, F32)}, id="too wide"),
        pytest.param({"w1": npy(np.zeros((784, 3), F32))[:-4]}, id="a number short"),
        pytest.param({"w1": npy(np.zeros((784, 3), F32)) + b"\x00"}, id="a byte long"),
        pytest.param({"w1": b""}, id="empty"),
        pytest.param({"w1": b"\x93NUMPY\x02\x00" + npy(np.zeros((784, 3), F32))[8:]}, id="another .npy version"),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused(changes: dict[str, object]) -> None:
    refusal(with_members(**changes))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [*Parameters._fields, "mean", "std"])
def test_a_number_that_is_not_finite_is_refused_by_its_arrays_name(name: str, value: float) -> None:
    array = np.load(io.BytesIO(members(GOOD)[f"{name}.npy"]))
    array.flat[-1] = value
    assert f"value in {name} that is not a finite number" in refusal(with_members(**{name: array}))


@pytest.mark.parametrize("std", [0, -90, 1e-30, 1e-45, 6.1])
def test_a_standardiser_that_could_exceed_30_is_refused(std: float) -> None:
    deviations = np.full(784, 90, np.float32)
    deviations[100] = std
    assert "can exceed |x| = 30" in refusal(with_members(std=deviations))


def test_the_smallest_deviation_that_the_trainer_writes_is_taken() -> None:
    artifact.from_bytes(with_members(std=np.full(784, STD_FLOOR, np.float32), mean=np.zeros(784, np.float32)), "")


@pytest.mark.parametrize("mean", [-1e30, 3e38, 1e5])
def test_a_mean_far_outside_the_pixels_is_refused(mean: float) -> None:
    refusal(with_members(mean=np.full(784, mean, np.float32)))


@pytest.mark.parametrize("found", ["rookie-2", "", None, 7, ["rookie-1"]])
def test_an_unknown_format_is_refused_with_what_was_found_and_the_way_out(found: object) -> None:
    message = refusal(with_card(json.dumps({"format": found, "classes": list(CLASSES)})))
    assert f"has format {found!r}; this version reads {FORMAT!r}" in message
    assert "python -m model_core train" in message


@pytest.mark.parametrize("classes", [None, [], list(CLASSES[:9]), list(CLASSES[::-1]), "shirts"])
def test_a_card_for_other_classes_is_refused(classes: object) -> None:
    assert "other classes" in refusal(with_card(json.dumps({"format": FORMAT, "classes": classes})))


NOT_JSON = [
    "no JSON",
    "",
    "{",
    "[" * 5000,
    '{"a":' * 5000,
    "NaN",
    '{"a": Infinity}',
    '{"a": 1e999}',
    "9" * 5000,
    b"\xff\xfe\xfd",
    b"\x00",
]


@pytest.mark.parametrize("text", [text for text in NOT_JSON if text], ids=lambda text: repr(text)[:20])
def test_a_card_that_is_not_plain_json_is_refused(text: str | bytes) -> None:
    assert "card that is not JSON" in refusal(with_card(text))


@pytest.mark.parametrize("text", ["7", "[]", "null", '"rookie-1"', "true"])
def test_a_card_that_is_no_object_is_refused(text: str) -> None:
    assert "has format" in refusal(with_card(text))


NOT_HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (784, 3)",
    "{'descr': (), 'fortran_order': False, 'shape': (784, 3), }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (784, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (784L, 3L), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-784, -3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (784, 3.0), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').getcwd(), }",
    "{[]: 1}",
    "{1: 2, 'a': 3}",
    "'''",
    "-" * 9000 + "1",
    "(" * 500,
    "\x00",
    "",
]


@pytest.mark.parametrize("text", NOT_HEADERS, ids=lambda text: text[:60])
def test_a_header_that_numpy_does_not_write_is_refused(text: str) -> None:
    refusal(with_members(w1=npy_header(text, bytes(784 * 3 * 4))))


def test_weights_are_bounded_even_where_no_activation_reaches_them() -> None:
    silent = {"w1": np.zeros((784, 3), np.float32), "b1": np.zeros(3, np.float32)}
    largest = {"w2": np.full((3, 2), LARGEST_WEIGHT, np.float32), "w3": np.full((2, 10), LARGEST_WEIGHT, np.float32)}
    p = artifact.from_bytes(with_members(**silent, **largest), "").parameters
    assert np.isfinite(explain.speaks_for(p, 0)).all()
    for name, w in largest.items():
        assert "overflow" in refusal(with_members(**silent, **{**largest, name: w * np.float32(1.01)}))


def peak_memory(content: bytes) -> int:
    """Bytes that refusing the content takes at its worst, beside the content itself."""
    tracemalloc.start()
    try:
        refusal(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


HUGE = [
    "(4000000000, 4)",
    "(4294967296, 4294967296)",
    "(4611686018427387904, 4)",
    "(9223372036854775808, 2)",
    "(2359296, 2)",
    f"({'9' * 5000},)",
]


@pytest.mark.parametrize("shape", HUGE, ids=lambda shape: shape[:30])
@pytest.mark.parametrize("name", ["w1", "b1"])
def test_a_header_that_claims_a_huge_array_takes_no_memory(name: str, shape: str) -> None:
    header = npy_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}")
    assert peak_memory(with_members(**{name: header})) < 2**20


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_to_far_more_than_an_array_takes_no_memory(compression: int) -> None:
    content = with_members(compression, w1=npy(np.zeros((784, 3), F32)) + bytes(8 * 2**20))
    assert len(content) < 2**20
    assert peak_memory(content) < 2**21


def central_entry(content: bytes, name: str) -> int:
    """Where the archive's directory describes a member."""
    return content.index(name.encode(), content.index(b"PK\x01\x02")) - 46


def test_a_member_that_says_it_is_encrypted_is_refused() -> None:
    content = bytearray(GOOD)
    content[central_entry(GOOD, "w1.npy") + 8] |= 1
    content[GOOD.index(b"w1.npy") - 30 + 6] |= 1
    assert "encrypted" in refusal(bytes(content))


@pytest.mark.parametrize("method", [1, 9, 12, 14, 93, 97, 99])
def test_a_member_packed_in_a_way_that_numpy_does_not_use_is_refused(method: int) -> None:
    content = bytearray(GOOD)
    struct.pack_into("<H", content, central_entry(GOOD, "w1.npy") + 10, method)
    refusal(bytes(content))


@pytest.mark.parametrize("offset", [2**64 - 1, 2**63, 2**63 - 1, 2**40])
def test_a_member_that_claims_to_lie_far_outside_the_file_is_refused(offset: int) -> None:
    content, at = bytearray(GOOD), central_entry(GOOD, "w1.npy")
    extra = struct.pack("<HHQ", 1, 8, offset)  # of ZIP64
    struct.pack_into("<H", content, at + 30, len(extra))
    struct.pack_into("<I", content, at + 42, 0xFFFF_FFFF)
    content[at + 46 + len("w1.npy") : at + 46 + len("w1.npy")] = extra
    end = content.rindex(b"PK\x05\x06") + 12
    struct.pack_into("<I", content, end, struct.unpack_from("<I", content, end)[0] + len(extra))
    refusal(bytes(content))


@pytest.mark.parametrize("seed", range(100))
def test_a_file_with_a_flipped_bit_or_cut_short_is_refused_or_still_a_finite_model(seed: int) -> None:
    rng = np.random.default_rng(seed)
    damaged = bytearray(GOOD)
    for _ in range(rng.integers(1, 4)):
        # Half of the flips hit what surrounds the numbers: the archive's directory and the members' headers.
        at = rng.integers(GOOD.index(b"PK\x01\x02"), len(GOOD)) if rng.random() < 0.5 else rng.integers(len(GOOD))
        damaged[at] ^= 1 << rng.integers(8)
    for content in (bytes(damaged), bytes(damaged[: rng.integers(len(damaged))])):
        try:
            model = artifact.from_bytes(content, "damaged")
        except ArtifactError:
            continue
        assert np.isfinite(model.predict_proba(np.full((1, 28, 28), 255, np.uint8))).all()
