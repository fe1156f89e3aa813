"""Pictures as files, to upload."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encode(picture: Image.Image | NDArray[Any], format: str = "PNG", **options: Any) -> bytes:  # noqa: A002 (Pillow's own word)
    """A picture, or an array that is one, as a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def grey(seed: int = 0, height: int = 28, width: int = 28) -> NDArray[np.uint8]:
    """Grey noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def slope() -> NDArray[np.uint8]:
    """A soft 28 x 28 picture, which JPEG keeps nearly as it is."""
    return np.add.outer(np.arange(28), np.arange(28)).astype(np.uint8) * 4


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of 68 bytes whose header claims a size that its data does not have."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0\0\0")) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
