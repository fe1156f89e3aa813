"""Uploaded bytes -> (28, 28) uint8, and pictures -> PNG bytes. With photo.py the only module that knows Pillow."""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from app.errors import NotAnImageError, TooLargeError, UnreadableImageError, WrongSizeError

# Pillow's own bound on pixels warns, which costs more than reading a small picture; the size is judged here, before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Bytes of a PNG's texts, unpacked, of each and of all: a kilobyte that unpacks to a megabyte takes 6 ms.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**18

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
SIDE = 28  # pixels
MAX_PIXELS = 32 * 2**20  # a header that claims more is answered with 413 instead of a mere wrong size
MAX_SCANS = 32  # of a JPEG; encoders write about ten, each goes over the whole picture, and one that says nothing takes eleven bytes
QUICK_BYTES = 2**13  # what is larger may keep a decoder busy for a second, by segments and chunks without end
# Of a JPEG's segments; the others have no length, or stand for a byte of a scan. Of a run of ff the last one counts: to match all of it
# would begin anew at each.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_LEAST_MARKER = 0xC0  # those below are of no JPEG, and pass for garbage within a scan: what follows is no segment for the decoder
_SCAN, _END = 0xDA, 0xD9
MAX_PROFILES = 4  # of a PNG's colours, where one is allowed; each is unpacked, as its texts are
_PACKED_BMP = (1, 2)  # BI_RLE8, BI_RLE4
# What Pillow's readers and NumPy raise on damaged and hostile files.
DECODING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)


def decode(content: bytes) -> NDArray[np.uint8]:
    """The 28 x 28 grey image (28, 28) in an uploaded file; transparency is laid over black, 16 bits are cut to 8.

    Raises NotAnImageError, WrongSizeError, TooLargeError or UnreadableImageError. The size is judged by the header,
    before a pixel is decoded.
    """
    image = open_picture(content)
    _check_size(image)
    with reading(image):
        check_frames(image)
        return _to_grey(image)


def open_picture(content: bytes) -> Image.Image:
    """The picture in an uploaded file, of which only the header has been read."""
    if not content:
        raise NotAnImageError("the upload is empty; send a picture")
    if content.count(b"iCCP") > MAX_PROFILES:
        raise UnreadableImageError(f"the picture has more than {MAX_PROFILES} colour profiles; send it with one, or without")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except DECODING_ERRORS as error:
        raise NotAnImageError(f"the upload is not a picture that can be read; send one as {', '.join(FORMATS)}") from error
    _check_effort(image, content)
    _scale_transparency(image)
    return image


def _check_effort(image: Image.Image, content: bytes) -> None:
    """Refuse files that a decoder works on for far longer than their size tells."""
    if image.format in ("JPEG", "MPO") and _count_scans(content) > MAX_SCANS:
        raise UnreadableImageError(f"the JPEG picture has more than {MAX_SCANS} scans; send one with fewer")
    if image.format == "BMP" and image.info.get("compression") in _PACKED_BMP:
        raise UnreadableImageError("the BMP picture is packed (RLE), which is read slowly; send it unpacked, or as PNG")


def _count_scans(content: bytes) -> int:
    """How many scans a JPEG has before its end; of those beyond MAX_SCANS only the first is counted. Raises UnreadableImageError."""
    position, scans = 2, 0
    while scans <= MAX_SCANS and (found := _MARKER.search(content, position)):
        marker, position = found[0][-1], found.end()
        if marker == _END:
            break
        if marker < _LEAST_MARKER:
            raise UnreadableImageError(f"the JPEG picture has a marker ff{marker:02x}, which no JPEG has; save it anew")
        scans += marker == _SCAN
        position += max(2, int.from_bytes(content[position : position + 2]))  # the segment's own length
    return scans


def _scale_transparency(image: Image.Image) -> None:
    """Bring a PNG's transparent value to eight bits like the pixels: Pillow leaves it as it stands in the file."""
    value = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("L", "RGB") or value is None:
        return
    depth = image.tile[0].args  # type: ignore[attr-defined] # of every picture that was read from a file
    samples = [_to_eight_bits(sample, depth) for sample in (value if image.mode == "RGB" else [value])]
    image.info["transparency"] = tuple(samples) if image.mode == "RGB" else samples[0]


def _to_eight_bits(sample: int, depth: str) -> int:
    """A sample of a PNG, of which as many bits count as Pillow's name for its depth says."""
    match depth:
        case "L;2":
            return (sample & 3) * 85
        case "L;4":
            return (sample & 15) * 17
        case "RGB;16B":
            return sample >> 8
        case _:
            return sample & 255


@contextmanager
def reading(image: Image.Image) -> Iterator[None]:
    """Whatever decoding `image` meets is UnreadableImageError."""
    try:
        yield
    except DECODING_ERRORS as error:
        raise UnreadableImageError(f"the {image.format} picture is cut short or damaged ({error})") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise TooLargeError(
            f"the picture claims {width} x {height} pixels; send one of {SIDE} x {SIDE}, or any photograph to ?prepare=photo"
        )
    if (width, height) != (SIDE, SIDE):
        raise WrongSizeError(f"the picture is {width} x {height} pixels; send one of {SIDE} x {SIDE}, or any to ?prepare=photo")


def check_frames(image: Image.Image) -> None:
    """Refuse an animation: which of its pictures is meant? Behind a camera's JPEG (MPO) is the same one, smaller or from the side."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise UnreadableImageError(f"the {image.format} picture is animated, with {frames} frames; send one picture")


def _to_grey(image: Image.Image) -> NDArray[np.uint8]:
    image = narrow(image)
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colour.size, "black"), colour)
    grey = image if image.mode == "L" else image.convert("L")
    return np.frombuffer(grey.tobytes(), np.uint8).reshape(SIDE, SIDE)  # a third of what np.array(grey) takes


def narrow(image: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel, cut to 8, with alpha where it has a transparent value, in little memory; any other as it is."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    grey = Image.fromarray(np.asarray(np.clip(values, 0, 65535) >> 8).astype(np.uint8))
    if "transparency" in image.info:
        grey.putalpha(Image.fromarray((values != image.info["transparency"]) * np.uint8(255)))
    return grey


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """A grey (rows, columns) or colour (rows, columns, 3) picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
