"""Uploaded bytes become the (28, 28) uint8 image that they show, or an error that says what is wrong with them."""

import contextlib
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app import images, photo
from app.errors import NotAnImageError, TooLargeError, UnreadableImageError, WrongSizeError
from tests.support.attacks import exif_of, scan_bomb, with_chunk
from tests.support.pictures import SIGNATURE, chunk, chunks_of, encode, grey, png, png_claiming, slope

COLOUR = np.random.default_rng(1).integers(0, 256, (28, 28, 4), np.uint8)
INDICES = np.random.default_rng(2).integers(0, 8, (28, 28), np.uint8)
PALETTE = np.random.default_rng(3).integers(0, 256, (8, 3), np.uint8)
DEEP = np.random.default_rng(5).integers(0, 65536, (28, 28, 3), np.uint16)
WIDE = np.random.default_rng(4).integers(0, 65536, (28, 28), np.uint16)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey of colours (..., 3) by ITU-R BT.601."""
    return np.asarray(np.rint(rgb @ np.array([0.299, 0.587, 0.114])))


def over_black(values: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.rint(values * (alpha / 255.0)).astype(np.uint8)


def palette_image() -> Image.Image:
    image = Image.fromarray(INDICES).convert("P")
    image.putdata(INDICES.reshape(-1).tolist())
    image.putpalette(PALETTE.tobytes())
    return image


def black_ink(picture: NDArray[np.uint8]) -> Image.Image:
    """A CMYK picture in black ink alone."""
    none = np.zeros_like(picture)
    return Image.frombytes("CMYK", (28, 28), np.stack([none, none, none, 255 - picture], axis=-1).tobytes())


# kind of picture: its file, the grey values that it stands for, how far off they may be
KINDS: dict[str, Callable[[], tuple[bytes, NDArray[np.generic], int]]] = {
    "grey": lambda: (encode(grey()), grey(), 0),
    "RGB": lambda: (encode(COLOUR[..., :3]), luma(COLOUR[..., :3]), 1),
    "grey as RGB": lambda: (encode(np.dstack([grey()] * 3)), grey(), 0),
    "RGBA": lambda: (encode(COLOUR), luma(over_black(COLOUR[..., :3], COLOUR[..., 3:])), 1),
    "grey with alpha": lambda: (encode(Image.fromarray(COLOUR[..., :2], "LA")), over_black(COLOUR[..., 0], COLOUR[..., 1]), 1),
    "grey with one transparent value": lambda: (
        encode(grey(), transparency=int(grey()[3, 4])),
        np.where(grey() == grey()[3, 4], 0, grey()),
        0,
    ),
    "16-bit grey with one transparent value": lambda: (
        encode(WIDE, transparency=int(WIDE[3, 4])),
        np.where(WIDE[3, 4] == WIDE, 0, WIDE >> 8),
        0,
    ),
    "2-bit grey with one transparent value": lambda: (
        png(WIDE[..., None] & 3, 2, [2]),
        np.where(WIDE & 3 == 2, 0, (WIDE & 3) * 85),
        0,
    ),
    "4-bit grey with one transparent value": lambda: (
        png(WIDE[..., None] & 15, 4, [9]),
        np.where(WIDE & 15 == 9, 0, (WIDE & 15) * 17),
        0,
    ),
    "16-bit colours with one transparent": lambda: (
        png(DEEP, 16, DEEP[3, 4].tolist()),
        np.where((DEEP[3, 4] == DEEP).all(axis=-1), 0, luma((DEEP >> 8).astype(np.uint8))),
        1,
    ),
    "palette": lambda: (encode(palette_image()), luma(PALETTE)[INDICES], 1),
    "palette with transparency": lambda: (encode(palette_image(), transparency=5), np.where(INDICES == 5, 0, luma(PALETTE)[INDICES]), 1),
    "1-bit": lambda: (encode(Image.fromarray(grey() > 127)), np.where(grey() > 127, 255, 0), 0),
    "16-bit grey": lambda: (encode(WIDE), WIDE >> 8, 0),
    "grey JPEG": lambda: (encode(slope(), "JPEG", quality=95), slope(), 4),
    "colour JPEG": lambda: (encode(np.dstack([slope()] * 3), "JPEG", quality=95), slope(), 4),
    "JPEG with another picture behind it": lambda: (
        encode(Image.fromarray(slope()), "MPO", save_all=True, append_images=[Image.fromarray(grey())], quality=95),
        slope(),
        4,
    ),
    "CMYK JPEG": lambda: (encode(black_ink(slope()), "JPEG", quality=95), slope(), 4),
    "BMP": lambda: (encode(grey(), "BMP"), grey(), 0),
    "lossless WebP": lambda: (encode(grey(), "WEBP", lossless=True), grey(), 0),
    "GIF of one frame": lambda: (encode(grey(), "GIF"), grey(), 0),
    "GIF with transparency, a comment, and how to go on": lambda: (
        encode(palette_image(), "GIF", transparency=5, comment=b"c" * 700, disposal=2, duration=9, loop=0),
        np.where(INDICES == 5, 0, luma(PALETTE)[INDICES]),
        1,
    ),
    "interlaced GIF": lambda: (encode(palette_image(), "GIF", interlace=True), luma(PALETTE)[INDICES], 1),
}
ANIMATED = ("GIF", "WEBP", "PNG")


def animation(format: str) -> bytes:  # noqa: A002
    first, second = (Image.fromarray(grey(seed)).convert("P" if format == "GIF" else "RGB") for seed in (0, 1))
    return encode(first, format, save_all=True, append_images=[second])


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_read_as_the_grey_values_that_it_shows(kind: str) -> None:
    content, expected, tolerance = KINDS[kind]()
    image = images.decode(content)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image.astype(int), expected.astype(int), atol=tolerance)


@pytest.mark.parametrize("format", ANIMATED)
def test_an_animation_is_refused(format: str) -> None:  # noqa: A002
    with pytest.raises(UnreadableImageError, match="animated; send one"):
        images.decode(animation(format))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"%PDF-1.7", b"<svg/>", encode(grey(), "TIFF"), encode(grey(), "ICO")],
    ids=["nothing", "text", "a signature alone", "another", "PDF", "SVG", "TIFF", "ICO"],
)
def test_what_is_no_picture_of_a_known_format_is_refused(content: bytes) -> None:
    with pytest.raises(NotAnImageError):
        images.decode(content)


@pytest.mark.parametrize(("height", "width"), [(28, 27), (27, 28), (29, 28), (280, 280), (1, 1)])
def test_another_size_is_refused_by_its_own_name(height: int, width: int) -> None:
    with pytest.raises(WrongSizeError, match=f"is {width} x {height} pixels"):
        images.decode(encode(grey(height=height, width=width)))


@pytest.mark.parametrize("side", [6_000, 20_000, 2**31 - 1])
def test_a_small_file_that_claims_a_huge_picture_is_too_large(side: int) -> None:
    content = png_claiming(side, side)
    assert len(content) == 68
    with pytest.raises(TooLargeError):
        images.decode(content)


def test_a_png_cut_short_is_refused_until_its_last_pixel_is_there() -> None:
    whole = encode(grey())
    for length in range(len(whole)):
        try:
            image = images.decode(whole[:length])
        except (NotAnImageError, UnreadableImageError):
            continue
        assert length > len(whole) - 24, "a checksum and the end mark may be missing, and nothing else"
        np.testing.assert_array_equal(image, grey())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if any(each in kind for each in ("GIF", "BMP", "WebP", "JPEG"))])
def test_a_file_cut_short_anywhere_is_read_or_refused(kind: str) -> None:
    whole = KINDS[kind]()[0]
    for length in range(len(whole)):
        with contextlib.suppress(NotAnImageError, TooLargeError, UnreadableImageError, WrongSizeError):
            assert images.decode(whole[:length]).shape == (28, 28)


def all_files() -> dict[str, bytes]:
    return {**{kind: make()[0] for kind, make in KINDS.items()}, **{f"animated {each}": animation(each) for each in ANIMATED}}


def test_damage_to_a_file_is_answered_with_an_error_of_ours_or_a_picture() -> None:
    rng = np.random.default_rng(7)
    for kind, whole in all_files().items():
        damaged = [whole[: int(rng.integers(len(whole)))] for _ in range(40)] + [flipped(whole, rng) for _ in range(40)]
        for content in damaged:
            with contextlib.suppress(NotAnImageError, TooLargeError, UnreadableImageError, WrongSizeError):
                assert images.decode(content).shape == (28, 28), kind


def flipped(whole: bytes, rng: np.random.Generator) -> bytes:
    """The file with a few bits turned over."""
    content = bytearray(whole)
    for _ in range(rng.choice((1, 2, 8))):
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    return bytes(content)


def test_a_picture_of_ours_reads_back_as_it_was() -> None:
    np.testing.assert_array_equal(images.decode(images.encode_png(grey())), grey())


def test_what_follows_a_jpeg_is_not_taken_for_its_scans() -> None:
    plain = encode(grey(), "JPEG")
    np.testing.assert_array_equal(images.decode(plain + b"\xff\xda" * 1000), images.decode(plain))


def test_scans_behind_a_marker_that_no_jpeg_has_are_not_passed_over() -> None:
    bomb = scan_bomb(28, 60_000)
    within = bomb.index(b"\xff\xda") + 10  # the decoder throws the marker away there, and goes on with the scans
    for marker in (b"\xff\x02", b"\xff\xff\xbf"):
        with pytest.raises(UnreadableImageError, match=f"marker ff{marker[-1]:02x}"):
            images.decode(bomb[:within] + marker + b"\xff\xff\xff\xd0" + bomb[within:])


@pytest.mark.parametrize("size", range(65_530, 65_542))
def test_a_marker_is_found_wherever_it_stands(size: int) -> None:
    plain = encode(slope(), "JPEG")
    np.testing.assert_array_equal(images.decode(plain[:2] + b"\xff" * size + plain[2:]), images.decode(plain))


def test_fill_bytes_that_lead_to_no_marker_are_passed_over_in_one_go() -> None:
    plain = encode(grey(), "JPEG")
    content = plain[:-2] + b"\xff" * 60_000 + b"\0" + plain[-2:]
    began = time.monotonic()
    np.testing.assert_array_equal(images.decode(content), images.decode(plain))
    assert time.monotonic() - began < 10  # a millisecond is enough; begun anew at each of them it took half a minute


def packed(kind: bytes, count: int, size: int) -> bytes:
    """A picture with chunks of that kind, each of which unpacks to `size` bytes."""
    return with_chunk(encode(slope()), chunk(kind, b"k\0\0" + zlib.compress(b"a" * size, 9)) * count)


@pytest.mark.parametrize(
    "content", [packed(b"zTXt", 2, 10**5), packed(b"zTXt", 3, 10**6), packed(b"iCCP", 5, 10**5)], ids=["texts", "long texts", "profiles"]
)
def test_what_is_no_part_of_a_png_is_not_unpacked(content: bytes) -> None:
    np.testing.assert_array_equal(images.decode(content), slope())
    assert not {"k", "icc_profile"} & set(images.open_picture(content).info)


def test_what_is_no_part_of_a_jpeg_is_not_handed_to_its_decoder() -> None:
    plain = encode(slope(), "JPEG", exif=exif_of((0x112, 3, 1, b"\6\0\0\0")), comment=b"c", dpi=(300, 300))
    more = plain[:2] + b"\xff\xe1\x00\x0cExif\0\0more" * 3 + b"junk" + b"\xff\xed\x00\x10Photoshop 3.0\0" + plain[2:]
    image = images.open_picture(more, with_exif=True)
    assert image.info["exif"] == b"Exif\0\0more"
    assert "exif" not in images.open_picture(more).info
    assert "comment" not in image.info
    assert image.info["dpi"] == (300, 300)
    np.testing.assert_array_equal(images.decode(more), images.decode(plain))


SMALL = np.zeros((28, 28, 1), np.uint8)
PARTS = chunks_of(png(SMALL, 8, [0]))


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (["IHDR", "tRNS", "IEND"], "no pixels"),
        (["IHDR", "IEND"], "no pixels"),
        (["tRNS", "IHDR", "IDAT", "IEND"], "no header"),
        (["IDAT", "IEND"], "no header"),
    ],
)
def test_a_png_whose_parts_do_not_make_a_picture_is_refused(order: list[str], named: str) -> None:
    content = SIGNATURE + b"".join(PARTS[kind] for kind in order)
    for read in (images.decode, photo.prepare):
        with pytest.raises((NotAnImageError, UnreadableImageError), match=named):
            read(content)


@pytest.mark.parametrize("order", [["IHDR", "IDAT", "tRNS", "IEND"], ["IHDR", "IDAT"], ["IHDR", "IDAT", "IHDR", "tRNS", "IDAT", "IEND"]])
def test_what_stands_behind_a_pngs_pixels_changes_nothing(order: list[str]) -> None:
    content = SIGNATURE + b"".join(PARTS[kind] for kind in order)
    assert "transparency" not in images.open_picture(content).info
    np.testing.assert_array_equal(images.decode(content), SMALL[..., 0])


def test_a_png_may_have_its_second_header_but_the_first_one_counts() -> None:
    colours = chunks_of(png(np.zeros((28, 28, 3), np.uint8), 8, [1, 2, 3]))["IHDR"]
    content = SIGNATURE + PARTS["IHDR"] + colours + PARTS["tRNS"] + PARTS["IDAT"] + PARTS["IEND"]
    np.testing.assert_array_equal(images.decode(content), SMALL[..., 0])


def test_a_png_of_numbered_colours_without_the_colours_is_refused() -> None:
    whole = encode(palette_image())
    parts = chunks_of(whole)
    assert set(parts) == {"IHDR", "PLTE", "IDAT", "IEND"}
    for read in (images.decode, photo.prepare):
        with pytest.raises(UnreadableImageError, match="no colours"):
            read(SIGNATURE + parts["IHDR"] + parts["IDAT"] + parts["IEND"])


def test_pixels_in_many_chunks_are_read_like_those_in_one() -> None:
    parts = chunks_of(encode(grey()))
    pixels = parts["IDAT"][8:-4]
    pieces = b"".join(chunk(b"IDAT", pixels[start : start + 1]) for start in range(len(pixels)))
    np.testing.assert_array_equal(images.decode(SIGNATURE + parts["IHDR"] + pieces + parts["IEND"]), grey())


def test_more_parts_than_any_encoder_makes_are_refused() -> None:
    whole = encode(grey(), "JPEG")
    for content in (with_chunk(encode(grey()), chunk(b"tEXt", b"") * 32_768), whole[:2] + b"\xff\xfe\0\2" * 32_768 + whole[2:]):
        with pytest.raises(UnreadableImageError, match="more than 32768 "):
            images.decode(content)


def test_a_jpeg_with_more_tables_than_any_encoder_writes_is_refused() -> None:
    whole = encode(grey(), "JPEG")
    with pytest.raises(UnreadableImageError, match="more than 64 tables"):
        images.decode(whole[:2] + b"\xff\xdd\0\4\0\0" * 64 + whole[2:])


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF], ids=hex)
def test_a_jpeg_that_is_coded_as_no_browser_shows_is_refused(frame: int) -> None:
    usual = encode(grey(), "JPEG")
    with pytest.raises(UnreadableImageError, match="save it as a usual JPEG"):
        images.decode(usual.replace(b"\xff\xc0", bytes((0xFF, frame)), 1))


def test_a_png_is_turned_by_exif_data_behind_its_pixels_too() -> None:
    parts = chunks_of(encode(grey(height=60, width=40)))
    turned = chunk(b"eXIf", exif_of((0x112, 3, 1, b"\6\0\0\0"))[6:])
    assert (
        "turned upright, as its EXIF data says" in photo.prepare(SIGNATURE + parts["IHDR"] + parts["IDAT"] + turned + parts["IEND"]).steps
    )
