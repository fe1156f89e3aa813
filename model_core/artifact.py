"""The weights file: an .npz with the six parameter arrays, the standardiser and a card. Saved whole or not at all, checked when read.

Nothing in the file is trusted: names, shapes, dtypes and sizes are checked before an array is read, nothing is ever unpickled.
"""

import errno
import hashlib
import io
import json
import math
import os
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from model_core import network
from model_core.data import CLASSES
from model_core.errors import ArtifactFormatError, ArtifactMissingError
from model_core.network import PIXELS, Parameters
from model_core.preprocess import LARGEST_INPUT, Standardizer
from model_core.recipe import MAX_HIDDEN

FORMAT = "rookie-1"
MAX_BYTES = 16 * 2**20  # of a whole file
MAX_CARD_BYTES = 2**20  # 2,000 epochs of history are 0.6 MB
MOST_BRACKETS = 10_000  # in a card, whose longest list has an object for each epoch; each costs a hundred bytes or more in memory
BEGIN = re.compile(rb"PK\x03\x04.{26}(card|w1)\.npy", re.DOTALL)  # of a weights file, as it is written and as it once was
_MOST_BEGIN = 1000
MOST_MEMBERS = 64  # that an archive may list: Python makes an object for each as soon as it opens one
_DIRECTORY_ENTRY = b"PK\x01\x02"
# The most elements that each array may have.
_MOST = {name: math.prod(shape) for name, shape in network.shapes((MAX_HIDDEN, MAX_HIDDEN))._asdict().items()}
_MOST |= {"mean": PIXELS, "std": PIXELS, "card": MAX_CARD_BYTES}
# The header that np.save writes, and no other: NumPy's own reader evaluates Python, which fails in more ways than one can name.
_HEADER = re.compile(rb"{'descr': '([<|]\w\d)', 'fortran_order': False, 'shape': \((\d{1,7}), ?(\d{1,7})?\), } *\n")


@dataclass(frozen=True)
class Model:
    """A trained network with its standardiser and its card. Immutable: what is served is one of these."""

    parameters: Parameters
    standardizer: Standardizer
    card: dict[str, Any]

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities (N, 10) of images (N, 28, 28) uint8, light garment on dark ground; one (28, 28) image is a batch of one."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[-2:] != (28, 28) or images.ndim not in (2, 3):
            raise ValueError(f"images are {images.shape} {images.dtype}; expected (N, 28, 28) uint8")
        x = self.standardizer.apply(images.reshape(-1, 28, 28))
        return network.predict_proba(self.parameters, x).astype(np.float32, copy=False)


def load(path: str | os.PathLike[str]) -> Model:
    """The model in the file at `path`. Raises ArtifactError."""
    return from_bytes(read_bytes(path), str(path))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A weights file's bytes, unchecked but for their number."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ArtifactMissingError(f"{path} does not exist; train it: python -m model_core train --out {path}") from error
    except OSError as error:
        raise ArtifactMissingError(f"{path} cannot be read ({error.strerror}); name a weights file (.npz)") from error
    return content


def save(model: Model, path: str | os.PathLike[str]) -> str:
    """Write `model` to `path`, replacing the old file only once the new one is whole; its SHA-256.

    Raises ArtifactFormatError for a model that `load` would refuse, ValueError for a card that is no JSON; the old file stays then.
    """
    content = to_bytes(model)
    from_bytes(content, "the model")
    write_atomically(Path(path), content)
    return sha256(content)


def sha256(content: bytes) -> str:
    """The digest that names a weights file everywhere: that of its bytes."""
    return hashlib.sha256(content).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one whole. OSError also where something else has the name."""
    path = _replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a full disk does not say which file it was
        raise


def insist_on_writable(path: Path) -> None:
    """OSError where `write_atomically` could not write there; a file that is there stays as it is."""
    path = _replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
        pass


def insist_on_others(path: Path, inputs: Iterable[Path]) -> None:
    """FileExistsError where `path`, which is to be written, is one of the files that are read."""
    for read in inputs:
        if path.exists() and read.exists() and path.samefile(read):
            raise FileExistsError(errno.EEXIST, "it is what this command reads, and would be lost; choose another name", str(path))


def insist_on_kind(path: Path, begin: re.Pattern[bytes], kind: str) -> None:
    """FileExistsError where a file that is to be replaced begins otherwise than its `kind` does: it is something else."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if not begin.match(file.read(_MOST_BEGIN)):
                raise FileExistsError(errno.EEXIST, f"it is no {kind}, and would be lost; choose another name", str(path))


def _replaceable(path: Path) -> Path:
    """The file that a name or a symbolic link leads to. OSError where that is a folder or a device: to replace it would destroy it."""
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return path


def to_bytes(model: Model) -> bytes:
    """The file's content for `model`."""
    card = np.frombuffer(json.dumps({"format": FORMAT, **model.card}, allow_nan=False).encode(), np.uint8)
    arrays = {**model.parameters._asdict(), "mean": model.standardizer.mean, "std": model.standardizer.std}
    buffer = io.BytesIO()
    np.savez(buffer, card=card, **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()})  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(content: bytes, source: str) -> Model:
    """The model in a weights file's bytes; `source` names it in errors. ArtifactFormatError where it is not whole and ours."""
    if len(content) > MAX_BYTES:
        raise _refusal(source, f"is larger than {MAX_BYTES} bytes")
    if content.count(_DIRECTORY_ENTRY) > MOST_MEMBERS:
        raise _refusal(source, f"has more than {MOST_MEMBERS} members")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = _read_members(archive, source)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError, ValueError) as error:
        raise _refusal(source, f"cannot be read as an .npz file ({error})") from error
    card = _parse_card(arrays.pop("card"), source)
    _check_shapes(arrays, source)
    standardizer = Standardizer(arrays.pop("mean"), arrays.pop("std"))
    if not (standardizer.std.min() > 0 and standardizer.largest_input() <= LARGEST_INPUT):
        raise _refusal(source, f"has a standardiser that can exceed |x| = {LARGEST_INPUT:g}")
    parameters = Parameters(**arrays)
    if network.can_overflow(parameters, LARGEST_INPUT):
        raise _refusal(source, "has weights so large that a picture could overflow them")
    return Model(parameters, standardizer, card)


def _read_members(archive: zipfile.ZipFile, source: str) -> dict[str, NDArray[Any]]:
    """The archive's arrays, each no larger than a network can be."""
    found = sorted(archive.namelist())
    if found != sorted(f"{name}.npy" for name in _MOST):
        raise _refusal(source, f"holds {', '.join(found) or 'nothing'}; expected {', '.join(_MOST)}")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in archive.infolist()):
        raise _refusal(source, "is packed in a way that NumPy does not use")
    return {name: _read_array(archive, name, source) for name in _MOST}


def _read_array(archive: zipfile.ZipFile, name: str, source: str) -> NDArray[Any]:
    """One .npy member: the header is judged before memory is taken for what it claims."""
    dtype, code = (np.uint8, b"|u1") if name == "card" else (np.float32, b"<f4")
    with archive.open(f"{name}.npy") as file:
        if file.read(8) != npy.magic(1, 0):
            raise _refusal(source, f"has {name} in another format than .npy version 1.0")
        header = file.read(int.from_bytes(file.read(2), "little"))
        found = _HEADER.fullmatch(header)
        shape = tuple(int(size) for size in found.groups()[1:] if size) if found else ()
        if not found or found[1] != code or not 0 < math.prod(shape) <= _MOST[name]:
            raise _refusal(source, f"has {name} as {header[:100].decode('latin-1').strip()}")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        body = file.read(size + 1)
    if len(body) != size:
        raise _refusal(source, f"has {len(body)} bytes of {name} where {size} are due")
    array = np.frombuffer(body, dtype).reshape(shape)
    if not np.isfinite(array).all():
        raise _refusal(source, f"has a value in {name} that is not a finite number")
    return array


def _parse_card(raw: NDArray[np.uint8], source: str) -> dict[str, Any]:
    text = raw.tobytes()
    if text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
        raise _refusal(source, f"has a card of more than {MOST_BRACKETS} lists and objects")
    try:
        card = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _refusal(source, f"has a card that is not JSON ({error})") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise ArtifactFormatError(f"{source} has format {found!r}; this version reads {FORMAT!r}. Retrain it: python -m model_core train")
    if card.get("classes") != list(CLASSES):
        raise _refusal(source, "is for other classes than Fashion-MNIST's ten")
    return card


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)  # 1e999 reads as infinity, which no JSON writer takes back


def _check_shapes(arrays: dict[str, NDArray[Any]], source: str) -> None:
    """The arrays fit together as one network of a size that we allow."""
    if arrays["w1"].ndim != 2 or arrays["w3"].ndim != 2 or max(arrays["w1"].shape[1], arrays["w3"].shape[0]) > MAX_HIDDEN:
        raise _refusal(source, f"has w1 {arrays['w1'].shape} and w3 {arrays['w3'].shape}")
    expected = {**network.shapes((arrays["w1"].shape[1], arrays["w3"].shape[0]))._asdict(), "mean": (PIXELS,), "std": (PIXELS,)}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise _refusal(source, f"has {name} of shape {arrays[name].shape}; expected {shape}")


def _refusal(source: str, fault: str) -> ArtifactFormatError:
    return ArtifactFormatError(f"{source} {fault}; it is damaged or not a Rookie artifact")
