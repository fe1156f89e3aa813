"""IDX files, whole and broken; the split."""

import gzip
import re
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core import data
from model_core.data import LabelledImages, TrainingData
from model_core.errors import DataFormatError, DataMissingError
from tests.support import tiny

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 10
WHOLE = tiny.idx(IMAGES)

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write bytes to a file as they are."""

    def to_file(content: bytes) -> Path:
        path = tmp_path / "images.gz"
        path.write_bytes(content)
        return path

    return to_file


def write_part(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Path:
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(tiny.idx(images)))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(tiny.idx(labels)))
    return folder


def test_an_idx_file_is_read_as_the_array_that_was_written(write: Write) -> None:
    np.testing.assert_array_equal(data.read_idx(write(gzip.compress(WHOLE)), (28, 28)), IMAGES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"\x00\x00\x0d\x03" + WHOLE[4:], "starts with 00000d03, not with 00000803", id="another type"),
        pytest.param(tiny.idx(LABELS), "starts with 00000801, not with 00000803", id="labels for images"),
        pytest.param(b"\x01" + WHOLE[1:], "starts with 01000803", id="no IDX"),
        pytest.param(WHOLE[:7], "ends within its header", id="header cut"),
        pytest.param(b"", "ends within its header", id="nothing"),
        pytest.param(WHOLE[:-1], "fewer than the 23520 bytes", id="short"),
        pytest.param(WHOLE + b"\x00", "more than the 23520 bytes", id="long"),
        pytest.param(tiny.idx(IMAGES[:, :27]), r"claims \(30, 27, 28\)", id="another size"),
        pytest.param(tiny.idx(IMAGES[:0]), r"claims \(0, 28, 28\)", id="no images"),
    ],
)
def test_a_file_that_is_not_exactly_its_kind_of_idx_is_refused(write: Write, content: bytes, reason: str) -> None:
    path = write(gzip.compress(content))
    with pytest.raises(DataFormatError, match=reason) as refused:
        data.read_idx(path, (28, 28))
    assert str(refused.value).startswith(str(path))
    assert "python -m model_core data" in str(refused.value)


def test_a_flipped_byte_is_found_by_gzips_checksum(write: Write) -> None:
    packed = bytearray(gzip.compress(WHOLE, 0))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(DataFormatError, match="is damaged"):
        data.read_idx(write(bytes(packed)), (28, 28))


def test_a_file_cut_short_anywhere_is_refused(write: Write) -> None:
    packed = gzip.compress(WHOLE)
    for length in range(1, len(packed), 997):
        with pytest.raises(DataFormatError):
            data.read_idx(write(packed[:length]), (28, 28))


def test_a_file_that_is_not_packed_is_refused(write: Write) -> None:
    with pytest.raises(DataFormatError, match="is damaged"):
        data.read_idx(write(WHOLE), (28, 28))


@pytest.mark.parametrize("count", [100_000, 10_000_000, 2**32 - 1])
def test_a_header_that_claims_far_more_images_than_follow_takes_no_memory_for_them(write: Write, count: int) -> None:
    path = write(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, count, 28, 28) + bytes(784)))
    tracemalloc.start()
    try:
        with pytest.raises(DataFormatError):
            data.read_idx(path, (28, 28))
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_named_with_the_way_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"train-images-idx3-ubyte.gz is missing.*python -m model_core data"):
        data.load_training(tmp_path)
    assert data.missing_files(tmp_path) == list(data.FILES)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte.gz").mkdir()
    with pytest.raises(DataMissingError, match=r"t10k-images-idx3-ubyte.gz cannot be read \(Is a directory\)"):
        data.load_test(tmp_path)
    with pytest.raises(DataMissingError):
        data.file_hashes(tmp_path)


def test_a_label_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="label 10; labels go from 0 to 9"):
        data.load_part(write_part(tmp_path, IMAGES, LABELS + 1), "train")


def test_images_and_labels_of_different_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="30 images and 29 labels"):
        data.load_part(write_part(tmp_path, IMAGES, LABELS[1:]), "train")


def test_labels_of_one_class_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="all 30 train labels are 4"):
        data.load_part(write_part(tmp_path, IMAGES, np.full(30, 4, np.uint8)), "train")


def test_a_dataset_is_read_from_its_folder(tiny_folder: Path) -> None:
    training, test = data.load_training(tiny_folder), data.load_test(tiny_folder)
    np.testing.assert_array_equal(training.images, tiny.training_data().images)
    np.testing.assert_array_equal(test.labels, tiny.test_images().labels)
    assert data.missing_files(tiny_folder) == []
    assert data.file_hashes(tiny_folder).keys() == data.FILES.keys()


def numbered(count: int) -> LabelledImages:
    """Images that carry their own number."""
    numbers = np.zeros((count, 28, 28), np.uint8)
    numbers[:, 0, 0], numbers[:, 0, 1] = np.divmod(np.arange(count), 256)
    return LabelledImages(numbers, (np.arange(count) % 10).astype(np.uint8))


def numbers_of(images: NDArray[np.uint8]) -> list[int]:
    return [int(image[0, 0]) * 256 + int(image[0, 1]) for image in images]


@pytest.mark.parametrize("count", [12, 600, 6001])
def test_the_split_holds_out_one_image_in_twelve_and_loses_none(count: int) -> None:
    parts = data.split(numbered(count))
    kept, held_out = numbers_of(parts.images), numbers_of(parts.validation_images)
    assert len(held_out) == count // 12
    assert sorted(kept + held_out) == list(range(count))


def test_the_split_keeps_each_label_with_its_image() -> None:
    parts = data.split(numbered(600))
    assert (parts.labels == np.array(numbers_of(parts.images)) % 10).all()
    assert (parts.validation_labels == np.array(numbers_of(parts.validation_images)) % 10).all()


def test_the_split_holds_out_the_same_images_whatever_they_show() -> None:
    held_out = numbers_of(data.split(numbered(600)).validation_images)
    assert held_out == numbers_of(data.split(numbered(600)).validation_images)
    assert held_out[:5] == [1, 8, 24, 44, 63]
    other = tiny.labelled_images(600, seed=5)
    np.testing.assert_array_equal(data.split(other).validation_images, other.images[held_out])


def test_too_few_images_to_hold_any_out_are_refused() -> None:
    with pytest.raises(DataFormatError, match="11 images are too few"):
        data.split(numbered(11))


def test_the_data_folder_is_the_environments_or_the_default() -> None:
    assert data.data_dir({"ROOKIE_DATA_DIR": "/somewhere"}) == Path("/somewhere")
    assert data.data_dir({}) == data.data_dir({"ROOKIE_DATA_DIR": ""}) == Path("data/fashion-mnist")


PICTURES, CLASSES_OF_THEM = np.zeros((3, 28, 28), np.uint8), np.array([0, 1, 2], np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        (PICTURES.reshape(3, 784), CLASSES_OF_THEM, "images are (3, 784) uint8"),
        (PICTURES.astype(np.float32), CLASSES_OF_THEM, "images are (3, 28, 28) float32"),
        (PICTURES[:0], CLASSES_OF_THEM[:0], "images are (0, 28, 28) uint8"),
        (PICTURES, CLASSES_OF_THEM[:, None], "labels are (3, 1) uint8"),
        (PICTURES, CLASSES_OF_THEM[:2], "labels are (2,) uint8"),
        (PICTURES, CLASSES_OF_THEM.astype(np.int8) - 1, "labels are (3,) int8"),
        (PICTURES, CLASSES_OF_THEM + np.uint8(8), "labels are (3,) uint8 up to 10"),
    ],
    ids=["flat", "floats", "none", "a column", "too few", "below nothing", "eleven classes"],
)
def test_arrays_that_are_no_dataset_are_refused_before_anything_is_trained(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], named: str
) -> None:
    for arrays in ((images, labels, PICTURES, CLASSES_OF_THEM), (PICTURES, CLASSES_OF_THEM, images, labels)):
        with pytest.raises(ValueError, match=re.escape(named)):
            TrainingData(*arrays)
