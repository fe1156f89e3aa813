"""Uploaded bytes -> (28, 28) uint8, and pictures -> PNG bytes. Pillow is known here, in photo.py, and where WebP is decoded."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app import image_parts
from app.errors import NotAnImageError, TooLargeError, UnreadableImageError, WrongSizeError

# Pillow's own bound on pixels warns, which costs more than reading a small picture; the size is judged here, before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
SIDE = 28  # pixels
MAX_PIXELS = 32 * 2**20  # a header that claims more is answered with 413 instead of a mere wrong size
MOST_WEBP_BYTES = 2**14  # noise of 28 x 28 has some 4,000; codes that no pixel uses take 3 s a mebibyte
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
    if image.format == "WEBP":
        _check_codes(content)
    with reading(image):
        check_frames(image)
        return _to_grey(image)


def open_picture(content: bytes, with_exif: bool = False) -> Image.Image:
    """The picture in an uploaded file, of which only the header has been read, and EXIF data where it is wanted."""
    if not content:
        raise NotAnImageError("the upload is empty; send a picture")
    try:
        content = image_parts.essential(content, with_exif)
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.format == "PNG":
            _scale_transparency(image, image_parts.png_depth(content))
    except DECODING_ERRORS as error:
        raise NotAnImageError(f"the upload is not a picture that can be read; send one as {', '.join(FORMATS)}") from error
    return image


def _scale_transparency(image: Image.Image, depth: int) -> None:
    """Bring a PNG's transparent value to eight bits like the pixels: Pillow leaves it as it stands in the file."""
    value = image.info.get("transparency")
    if image.mode == "L" and value is not None:
        image.info["transparency"] = _to_eight_bits(value, depth)
    elif image.mode == "RGB" and value is not None:
        image.info["transparency"] = tuple(_to_eight_bits(sample, depth) for sample in value)


def _to_eight_bits(sample: int, depth: int) -> int:
    """A sample of so many bits, of which it may have more."""
    sample &= 2**depth - 1
    return sample >> 8 if depth == 16 else sample * 255 // (2**depth - 1)


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


def _check_codes(webp: bytes) -> None:
    if len(image_parts.essential(webp, with_exif=False)) > MOST_WEBP_BYTES:
        raise UnreadableImageError(f"the WebP picture has more than {MOST_WEBP_BYTES} bytes for {SIDE} x {SIDE} pixels; save it anew")


def check_frames(image: Image.Image) -> None:
    """Refuse an animation: which of its pictures is meant?"""
    if getattr(image, "is_animated", False):
        raise UnreadableImageError(f"the {image.format} picture is animated; send one picture")


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
