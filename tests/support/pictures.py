"""Pictures as files, to upload."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0\0")) + chunk(b"IEND", b"")


def png(samples: NDArray[np.integer[Any]], depth: int, transparent: list[int]) -> bytes:
    """A PNG of samples (rows, columns, 1 or 3) with so many bits each, one value of them (1 or 3) transparent; Pillow writes few depths."""
    height, width, channels = samples.shape
    bits = np.unpackbits(samples.astype(">u2").view(np.uint8).reshape(height, width * channels, 2), axis=-1)[..., -depth:]
    rows = np.packbits(bits.reshape(height, -1), axis=1)
    content = np.insert(rows, 0, 0, axis=1).tobytes()  # each row after its filter's number
    header = struct.pack(">IIBBBBB", width, height, depth, 0 if channels == 1 else 2, 0, 0, 0)
    key = np.array(transparent, ">u2").tobytes()
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"tRNS", key) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks_of(content: bytes) -> dict[str, bytes]:
    """The chunks of a PNG that has one of each kind."""
    chunks, position = {}, len(SIGNATURE)
    while position < len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4])
        chunks[content[position + 4 : position + 8].decode()] = content[position:end]
        position = end
    return chunks
