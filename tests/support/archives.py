"""Weights files taken apart and put together wrongly."""

import io
import warnings
import zipfile
from collections.abc import Iterable

import numpy as np

from model_core import artifact, network
from model_core.artifact import Model
from model_core.data import CLASSES
from model_core.preprocess import Standardizer

HIDDEN = (3, 2)


def small_model() -> Model:
    """An untrained 784-3-2-10 network with the least of a card: its file has 12 kB."""
    parameters = network.unflatten(network.initialise(HIDDEN, np.random.default_rng(0)), HIDDEN)
    standardizer = Standardizer(np.full(784, 70, np.float32), np.full(784, 90, np.float32))
    return Model(parameters, standardizer, {"classes": list(CLASSES)})


def members(content: bytes) -> dict[str, bytes]:
    """The raw members of an archive, by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(parts: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members, twice the same name included."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, content in parts:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_members(compression: int = zipfile.ZIP_STORED, /, **changes: object) -> bytes:
    """A small model's file with some members replaced: by an array, by bytes as they are, or (None) by nothing."""
    parts = members(artifact.to_bytes(small_model()))
    for name, change in changes.items():
        del parts[f"{name}.npy"]
        if change is not None:
            parts[f"{name}.npy"] = change if isinstance(change, bytes) else npy(change)
    return pack(parts.items(), compression)


def npy(array: object) -> bytes:
    """What np.save writes, objects pickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.asanyarray(array), allow_pickle=True)
    return buffer.getvalue()


def npy_header(text: str, body: bytes = b"") -> bytes:
    """An .npy file of version 1.0 with any header."""
    header = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def with_card(text: str | bytes) -> bytes:
    """A small model's file with any text for a card."""
    raw = text.encode() if isinstance(text, str) else text
    return with_members(card=np.frombuffer(raw, np.uint8))
