"""Pictures made to hurt: bombs of every format, files that are two things at once, a hundred damaged copies of each."""

import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from model_core import artifact
from tests.support.archives import small_model
from tests.support.attacks import (
    Target,
    bmp_claiming,
    bmp_of_colours,
    exif_of,
    gif_claiming,
    gif_clearing,
    gif_in_blocks,
    gif_of,
    jpeg_claiming,
    mutants,
    packed_bmp,
    scan_bomb,
    webp_claiming,
    webp_of_codes,
    with_chunk,
)
from tests.support.pictures import chunk, encode, grey, png_claiming

PHOTO = {"prepare": "photo"}
MEBIBYTE = 2**20
LONGEST_SECONDS = 8.0  # on a machine that does other things as well
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
REFUSED = (413, 415, 422)
EXIF_PIECE = b"\xff\xe1\x00\x12Exif\0\0" + b"II*\0" + bytes(6)

# Files of a few bytes that claim much, and files that claim little and take much. None may be decoded.
BOMBS: dict[str, tuple[Callable[[], bytes], int]] = {
    "PNG of 2,147,483,647 pixels a side": (lambda: png_claiming(2**31 - 1, 2**31 - 1), 413),
    "PNG of 50,000 pixels a side": (lambda: png_claiming(50_000, 50_000), 413),
    "JPEG of 65,500 pixels a side": (lambda: jpeg_claiming(65_500), 413),
    "GIF of 65,535 pixels a side": (lambda: gif_claiming(65_535), 413),
    "GIF whose first picture clears 65,535 pixels a side after it": (lambda: gif_clearing(65_535), 413),
    "BMP of 50,000 pixels a side": (lambda: bmp_claiming(50_000), 413),
    "WebP of 16,383 pixels a side": (lambda: webp_claiming(16_383), 413),
    "WebP of 65,536 groups of codes": (lambda: webp_of_codes(1024), 422),
    "JPEG of 95,000 scans": (lambda: scan_bomb(28, MEBIBYTE - 100), 422),
    "GIF of 60,000 frames": (lambda: gif_of(60_000), 422),
    "BMP with a table of 65,536 colours": (lambda: bmp_of_colours(65_536), 422),
    "BMP of 500,000 empty runs": (lambda: packed_bmp(28, 500_000), 422),
    "PNG with 80,000 chunks": (lambda: with_chunk(encode(grey()), chunk(b"tEXt", b"a\0") * 70_000), 422),
    "GIF in blocks of one byte": (lambda: gif_in_blocks(500_000), 422),
    "WebP with 130,000 chunks": (lambda: _riff(encode(grey(), "WEBP")[8:] + b"XXXX\0\0\0\0" * 130_000), 422),
    "JPEG with 260,000 segments": (lambda: encode(grey(), "JPEG")[:2] + b"\xff\xfe\x00\x02" * 260_000 + encode(grey(), "JPEG")[2:], 422),
}
# Files of 28 x 28 that are whole, with a mebibyte around their pixels. They are read, but not where others wait for it.
PADDED: dict[str, Callable[[], bytes]] = {
    "PNG with an ICC profile of 64 MiB": lambda: with_chunk(encode(grey()), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**26), 9))),
    "PNG with 900 texts of a mebibyte": lambda: with_chunk(encode(grey()), _text(2**20) * 900),
    "PNG with 3,000 texts whose checksum is wrong": lambda: with_chunk(encode(grey()), _text(2**18 - 100, b"XXXX") * 3000),
    "PNG with 64 MiB behind its pixels": lambda: (
        encode(grey())[:33] + chunk(b"IDAT", zlib.compress(bytes(29 * 28) + bytes(2**26), 9)) + encode(grey())[-12:]
    ),
    "JPEG with 30,000 pieces of EXIF data": lambda: encode(grey(), "JPEG")[:2] + EXIF_PIECE * 30_000 + encode(grey(), "JPEG")[2:],
    "JPEG with a mebibyte of fill bytes": lambda: encode(grey(), "JPEG")[:2] + b"\xff" * 1_040_000 + encode(grey(), "JPEG")[2:],
    "JPEG with a mebibyte of fill bytes in its scan": lambda: encode(grey(), "JPEG")[:-2] + b"\xff" * 1_040_000 + b"\0\xff\xd9",
    "WebP with a mebibyte of EXIF data": lambda: _riff(encode(grey(), "WEBP")[8:] + b"EXIF" + struct.pack("<I", 10**6) + bytes(10**6)),
}
# What a photograph may be, and no more: the largest pictures that are let in.
LARGEST: dict[str, Callable[[], bytes]] = {
    "JPEG of 64 million pixels": lambda: encode(Image.new("L", (8000, 8000)), "JPEG"),
    "PNG of 31 million pixels with 16 bits": lambda: encode(np.zeros((5600, 5600), np.uint16)),
    "PNG of 31 million pixels with 16 bits, of which one is transparent": lambda: encode(np.zeros((5600, 5600), np.uint16), transparency=7),
    "WebP of 12 million pixels": lambda: encode(Image.new("RGB", (4096, 3072)), "WEBP", lossless=True, method=0),
    "PNG of 33 million pixels of grey and transparency": lambda: encode(Image.new("LA", (8192, 4096))),
    "PNG of one row": lambda: encode(Image.new("L", (2**25 - 5, 1))),
}


def _text(size: int, checksum: bytes | None = None) -> bytes:
    packed = zlib.compress(bytes(size), 9)
    return chunk(b"zTXt", b"a\0\0" + packed[:-4] + (checksum or packed[-4:]))


def _riff(body: bytes) -> bytes:
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def post(target: Target, content: bytes, **query: str) -> tuple[int, float]:
    """The status of a picture's answer, and the seconds that it took."""
    began = time.monotonic()
    status = target.client.post("/predict", params=query, content=content, headers={"Content-Type": "image/png"}).status_code
    return status, time.monotonic() - began


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded(unharmed: Target, name: str) -> None:
    make, expected = BOMBS[name]
    content = make()
    assert len(content) <= MEBIBYTE
    for query in ({}, PHOTO):
        status, seconds = post(unharmed, content, **query)
        assert status == expected
        assert seconds < LONGEST_SECONDS


def test_a_small_webp_of_codes_that_no_pixel_uses_is_refused_where_others_wait_for_it(unharmed: Target) -> None:
    content = webp_of_codes(28, unused=65_000)
    assert post(unharmed, content)[0] == 422
    assert post(unharmed, content, **PHOTO)[0] == 200  # by a process of its own


def test_a_photograph_of_a_million_scans_is_refused_at_once(unharmed: Target) -> None:
    content = scan_bomb(2000, 14 * MEBIBYTE)  # read to its end it would keep a core busy for two hours
    status, seconds = post(unharmed, content, **PHOTO)
    assert status == 422
    assert seconds < LONGEST_SECONDS


@pytest.mark.parametrize("name", PADDED)
def test_a_picture_in_much_wrapping_holds_up_nobody(unharmed: Target, name: str) -> None:
    content = PADDED[name]()
    assert len(content) <= MEBIBYTE
    status, seconds = post(unharmed, content)
    assert status == 200
    assert seconds < LONGEST_SECONDS


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_photographs_are_read_in_bounded_memory(unharmed: Target, name: str) -> None:
    status, seconds = post(unharmed, LARGEST[name](), **PHOTO)
    assert status == 200
    assert seconds < 2 * LONGEST_SECONDS
    assert unharmed.peak_bytes() < 700 * MEBIBYTE


def test_a_crowd_of_the_largest_photographs_is_answered_or_told_when_to_come_again(unharmed: Target) -> None:
    content = encode(Image.new("LA", (8192, 4096)))
    with ThreadPoolExecutor(60) as crowd:
        statuses = list(crowd.map(lambda _: post(unharmed, content, **PHOTO)[0], range(60)))
    assert set(statuses) <= {200, 503}  # it hangs on the machine whether any waits for too long
    assert post(unharmed, encode(Image.new("L", (400, 400))), **PHOTO)[0] == 200
    assert unharmed.peak_bytes() < 700 * MEBIBYTE


ORIENTATION = (0x112, 3, 1, b"\6\0\0\0")
ODD_EXIF: dict[str, bytes] = {
    "a number for the maker's name": exif_of(ORIENTATION, (0x10F, 11, 1, b"\0\0\xc0\x3f")),
    "a name for the resolution": exif_of(ORIENTATION, (0x11A, 2, 4, b"abc\0")),
    "a directory at its own place": exif_of(ORIENTATION, (0x8769, 4, 1, b"\x08\0\0\0")),
    "a directory beyond its end": exif_of(ORIENTATION, (0x8825, 4, 1, b"\xff\xff\xff\xff")),
    "a directory at no number": exif_of(ORIENTATION, (0x8769, 7, 4, b"\xff\xff\xff\xff")),
    "values beyond its end": exif_of(ORIENTATION, (0x132, 2, 2**32 - 1, b"\xff\xff\xff\xff")),
    "an orientation in words": exif_of((0x112, 2, 4, b"six\0")),
    "four orientations": exif_of((0x112, 1, 4, b"\6\6\6\6")),
    "no directory": b"Exif\0\0II*\0\xff\xff\xff\xff",
    "nothing": b"Exif\0\0",
}


@pytest.mark.parametrize("name", ODD_EXIF)
def test_a_photograph_with_odd_exif_data_is_read_and_the_log_is_silent_of_it(unharmed: Target, name: str) -> None:
    for format in ("JPEG", "PNG", "WEBP"):  # noqa: A001
        content = encode(grey(height=60, width=40), format, exif=ODD_EXIF[name])
        assert post(unharmed, content, **PHOTO)[0] == 200


POLYGLOTS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "a picture that is also HTML": (with_chunk(encode(grey()), chunk(b"tEXt", b"a\0<script>alert(1)</script>")), (200,)),
    "a picture that is also a weights file": (encode(grey()) + artifact.to_bytes(small_model()), (200,)),
    "a GIF that is also JavaScript": (encode(grey(), "GIF") + b"/*\x00*/=1;", (200,)),
    "a picture behind a script": (b"#!/bin/sh\n" + encode(grey()), (415,)),
    "a picture of a picture": (encode(grey(), "BMP") + encode(grey()), (200,)),
    "a JPEG with a PNG inside": (encode(grey(), "JPEG", comment=encode(grey())), (200,)),
    "an SVG that loads a file": (b'<svg xmlns:xlink="x"><image xlink:href="file:///etc/passwd"/></svg>', (415,)),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n(/etc/passwd) (r) file", (415,)),
    "MVG for ImageMagick": (b"push graphic-context\nviewbox 0 0 28 28\nfill 'url(https://127.0.0.1/\"|id\")'", (415,)),
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_a_file_that_is_two_things_is_the_picture_or_nothing(unharmed: Target, name: str) -> None:
    content, expected = POLYGLOTS[name]
    answer = unharmed.client.post("/predict", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code in expected
    assert answer.headers["Content-Type"] in ("application/json", "application/problem+json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "passwd" not in answer.text


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("format", FORMATS)
def test_damaged_copies_are_read_or_refused(unharmed: Target, format: str, count: int) -> None:  # noqa: A002
    for content in mutants(encode(grey(), format), count):
        assert post(unharmed, content)[0] in (200, *REFUSED)


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("format", FORMATS)
def test_damaged_photographs_are_read_or_refused(unharmed: Target, format: str, count: int) -> None:  # noqa: A002
    for content in mutants(encode(grey(height=90, width=70), format), count):
        assert post(unharmed, content, **PHOTO)[0] in (200, *REFUSED)
