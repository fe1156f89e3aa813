"""Fashion-MNIST: the four IDX files, read and checked; the split into training and validation images.

IDX is four bytes 0, 0, type, number of dimensions, then each dimension as a big-endian uint32, then the bytes
(http://yann.lecun.com/exdb/mnist/). `download.py` fetches the files.
"""

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_core.errors import DataFormatError, DataMissingError

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
SIDE = 28  # pixels
FILES = {  # name -> SHA-256 of the official file
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
Part = Literal["train", "t10k"]

# Constants of the project, not of a run: every model is scored on the same 5,000 images, and none was trained on them.
SPLIT_SEED = 784_500_324
VALIDATION_SHARE = 12  # one image in twelve: 5,000 of 60,000

_UNSIGNED_BYTE = 0x08
_MOST_IMAGES = 100_000  # the training file has 60,000; a header that claims more is damaged, and must not make us reserve memory for it


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, 28, 28) uint8 and their labels (N,) uint8, 0..9. Raises ValueError for anything else."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.shape[1:] != (SIDE, SIDE) or not len(self.images):
            raise ValueError(f"images are {self.images.shape} {self.images.dtype}; expected (N, {SIDE}, {SIDE}) uint8, one or more")
        if self.labels.dtype != np.uint8 or self.labels.shape != (len(self.images),) or self.labels.max() >= len(CLASSES):
            found = f"{self.labels.shape} {self.labels.dtype} up to {self.labels.max(initial=0)}"
            raise ValueError(f"labels are {found}; expected ({len(self.images)},) uint8 up to {len(CLASSES) - 1}")


@dataclass(frozen=True)
class TrainingData:
    """What a training run may see: training and validation images, never the test set; arrays as those of LabelledImages."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    validation_images: NDArray[np.uint8]
    validation_labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        LabelledImages(self.images, self.labels)
        LabelledImages(self.validation_images, self.validation_labels)

    def digest(self) -> str:
        """SHA-256 of all images and labels."""
        sha256 = hashlib.sha256()
        for array in (self.images, self.labels, self.validation_images, self.validation_labels):
            sha256.update(np.ascontiguousarray(array).data)
        return sha256.hexdigest()


def data_dir(environ: Mapping[str, str]) -> Path:
    """Where the dataset's files lie: ROOKIE_DATA_DIR, or data/fashion-mnist in the working folder."""
    return Path(environ.get("ROOKIE_DATA_DIR") or "data/fashion-mnist")


def missing_files(folder: Path) -> list[str]:
    """Names of the dataset's files that are not in `folder`."""
    return [name for name in FILES if not os.path.isfile(folder / name)]


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each of the dataset's files in `folder`, by name."""
    return {name: _digest(folder / name) for name in FILES}


def _digest(path: Path) -> str:
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_training(folder: Path) -> TrainingData:
    """The training file, split into training and validation images (55,000 and 5,000). Raises DataError."""
    return split(load_part(folder, "train"))


def load_test(folder: Path) -> LabelledImages:
    """The 10,000 test images: for the final figure only. Raises DataError."""
    return load_part(folder, "t10k")


def load_part(folder: Path, part: Part) -> LabelledImages:
    """One of the two parts of the dataset as it was published, images and labels checked against each other."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", (SIDE, SIDE))
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", ())
    if len(images) != len(labels):
        raise DataFormatError(f"{folder}: {part} has {len(images)} images and {len(labels)} labels{_WAY_OUT}")
    if labels.max() >= len(CLASSES):
        raise DataFormatError(f"{folder}: {part} has a label {labels.max()}; labels go from 0 to {len(CLASSES) - 1}{_WAY_OUT}")
    if labels.min() == labels.max():
        raise DataFormatError(f"{folder}: all {len(labels)} {part} labels are {labels[0]}; there is nothing to learn{_WAY_OUT}")
    return LabelledImages(images, labels)


def split(published: LabelledImages) -> TrainingData:
    """Hold one image in twelve out for validation, always the same ones."""
    count = len(published.images)
    if count < VALIDATION_SHARE:
        raise DataFormatError(f"{count} images are too few to hold one in {VALIDATION_SHARE} out for validation")
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    held_out, kept = np.sort(order[: count // VALIDATION_SHARE]), np.sort(order[count // VALIDATION_SHARE :])
    return TrainingData(published.images[kept], published.labels[kept], published.images[held_out], published.labels[held_out])


def read_idx(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array in a gzipped IDX file of unsigned bytes, (N, *item); DataError where the file is not exactly that."""
    header_format = f">HBB{1 + len(item)}I"
    try:
        with _opened(path) as packed, gzip.open(packed) as file:
            header = file.read(struct.calcsize(header_format))
            if len(header) < struct.calcsize(header_format):
                raise DataFormatError(f"{path} ends within its header{_WAY_OUT}")
            zero, kind, dimensions, count, *rest = struct.unpack(header_format, header)
            if (zero, kind, dimensions) != (0, _UNSIGNED_BYTE, 1 + len(item)):
                raise DataFormatError(
                    f"{path} starts with {header[:4].hex()}, not with {0x0800 + 1 + len(item):08x}, the magic number of its kind{_WAY_OUT}"
                )
            if tuple(rest) != item or not 0 < count <= _MOST_IMAGES:
                raise DataFormatError(f"{path} claims {(count, *rest)} items; expected (N, {', '.join(map(str, item))}){_WAY_OUT}")
            size = count * int(np.prod(item, dtype=int))
            body = file.read(size)
            longer = file.read(1)  # reading to the end also makes gzip check its own checksum
    except (OSError, EOFError, zlib.error) as error:
        raise DataFormatError(f"{path} is damaged ({error}){_WAY_OUT}") from error
    if len(body) != size or longer:
        raise DataFormatError(f"{path} holds {'more' if longer else 'fewer'} than the {size} bytes that its header claims{_WAY_OUT}")
    return np.frombuffer(body, np.uint8).reshape(count, *item)


_WAY_OUT = "; delete it and fetch it again: python -m model_core data"


def _opened(path: Path) -> BufferedReader:
    """The file, to be read. Raises DataMissingError where it is not to be had."""
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        way_out = "fetch the dataset: python -m model_core data (ROOKIE_DATA_DIR says where it lies)"
        raise DataMissingError(f"{path} is missing; {way_out}") from error
    except OSError as error:
        raise DataMissingError(f"{path} cannot be read ({error.strerror}); let this user read it, or set ROOKIE_DATA_DIR") from error
