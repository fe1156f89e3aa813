"""Photographs become pictures like the dataset's, step by step, and keep what they show."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

import model_core
from app import images, photo, resize
from app.errors import NotAnImageError, TooLargeError, UnreadableImageError
from examples import draw
from model_core.data import CLASSES
from tests.app.test_images import all_files, flipped
from tests.support import garments, photos
from tests.support.attacks import exif_of
from tests.support.garments import EXAMPLES
from tests.support.pictures import encode, grey, png_claiming

MODEL = model_core.load(EXAMPLES.parent / "weights" / "rookie.npz")
PAPER = photo.Ground(np.array([240.0, 240, 240]), 20.0)
BLUE = np.array([20.0, 60, 200])


def label(prepared: photo.Prepared) -> str:
    [probabilities] = MODEL.predict_proba(prepared.pixels)
    return CLASSES[probabilities.argmax()]


def name(garment: str) -> str:
    return garments.label(EXAMPLES / f"{garment}.png")


@pytest.mark.parametrize("on", photos.GROUNDS)
@pytest.mark.parametrize("garment", draw.GARMENTS)
def test_a_garment_keeps_its_label_on_any_ground_and_wherever_it_lies(garment: str, on: str) -> None:
    for share, place in ((0.6, 0.5), (0.9, 0.3), (0.35, 0.7)):
        picture = photos.photograph(garment, on, share=share, place=place)
        assert label(photo.prepare(encode(picture, "JPEG", quality=88))) == name(garment)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("garment", draw.GARMENTS)
def test_a_garment_that_the_camera_stored_turned_keeps_its_label(garment: str, orientation: int) -> None:
    stored, exif = photos.turned(photos.photograph(garment, "wood"), orientation)
    prepared = photo.prepare(encode(stored, "JPEG", exif=exif))
    assert label(prepared) == name(garment)
    assert prepared.steps[0] == "turned upright, as its EXIF data says"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("garment", ["bag", "sandal"])
def test_a_garment_of_4000_pixels_keeps_its_label(garment: str, format: str) -> None:  # noqa: A002
    prepared = photo.prepare(encode(photos.photograph(garment, "paper", side=4000), format))
    assert prepared.size == (3000, 4000)
    assert label(prepared) == name(garment)


@pytest.mark.parametrize("picture", garments.PICTURES, ids=lambda picture: picture.stem)
def test_a_picture_that_was_prepared_already_keeps_its_label(picture: Path) -> None:
    with Image.open(picture) as image:
        assert label(photo.prepare(encode(image))) == garments.label(picture)


def test_a_light_ground_is_inverted_and_a_dark_one_is_not() -> None:
    light, dark = (photo.prepare(encode(photos.photograph("dress", on))) for on in ("white", "dark"))
    assert (light.inverted, dark.inverted) == (True, False)
    assert "inverted, because the ground is lighter" in light.steps
    assert "ground (#282c34) made black" in dark.steps
    assert np.abs(light.pixels.astype(int) - dark.pixels).mean() < 5


def test_a_garment_in_a_transparent_picture_lies_on_the_ground_that_shows_it() -> None:
    canvas = draw.Canvas()
    draw.GARMENTS["trouser"](canvas)
    shape = np.asarray(canvas.image)
    for cloth in (30, 225):
        layers = np.dstack([np.full((*shape.shape, 3), cloth, np.uint8), np.where(shape > 0, 255, 0).astype(np.uint8)])
        assert label(photo.prepare(encode(layers))) == "Trouser"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_by_its_exif_data_alone(format: str) -> None:  # noqa: A002
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"></x:xmpmeta>'
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    options = {"pnginfo": text} if format == "PNG" else {"xmp": xmp}
    picture = photos.photograph("trouser").astype(np.uint8)
    with Image.open(io.BytesIO(encode(picture, format, **options))) as image:
        assert image.getexif().get(0x0112) == 6  # Pillow's word for it
    found, expected = photo.prepare(encode(picture, format, **options)), photo.prepare(encode(picture, format))
    np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("side", [28, 200, 1500])
@pytest.mark.parametrize("settings", [{}, {"transparency": 128}], ids=["opaque", "transparent"])
def test_sixteen_bits_a_pixel_are_read_like_eight(side: int, settings: dict[str, Any]) -> None:
    canvas = draw.Canvas()
    draw.GARMENTS["trouser"](canvas)
    eight = np.where(np.asarray(canvas.image.resize((side, side))) > 40, 225, 128).astype(np.uint8)
    sixteen = encode(eight.astype(np.uint16) * 257, **{name: 257 * value for name, value in settings.items()})
    expected, found = photo.prepare(encode(eight, **settings)), photo.prepare(sixteen)
    assert label(found) == label(expected) == "Trouser"
    assert found.steps == expected.steps
    np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_decoding_skips_what_would_be_thrown_away_of_a_jpeg_alone() -> None:
    picture = photos.photograph("bag", side=4000)
    for format, size in (("JPEG", (750, 1000)), ("PNG", (3000, 4000))):  # noqa: A001
        image = images.open_picture(encode(picture, format))
        photo.shrink_while_decoding(image)
        assert image.size == size


def put_upright(content: bytes) -> NDArray[np.uint8]:
    """A picture's pixels, turned as it asks for."""
    image = images.open_picture(content, with_exif=True)
    turn = photo.upright_turn(image)
    assert turn is not None
    return np.asarray(image.transpose(turn))


def test_a_picture_is_turned_as_its_exif_data_says() -> None:
    upright = photos.photograph("sneaker", side=160)
    for orientation in (3, 6, 8):
        stored, exif = photos.turned(upright, orientation)
        np.testing.assert_array_equal(put_upright(encode(stored, exif=exif)), upright)
    assert photo.upright_turn(Image.fromarray(upright)) is None


@pytest.mark.parametrize("orientation", [0, 1, 9, 65535])
def test_a_picture_with_no_orientation_that_there_is_stays_as_it_is(orientation: int) -> None:
    exif = exif_of((0x0112, 3, 1, orientation.to_bytes(4, "little")))
    assert photo.upright_turn(images.open_picture(encode(grey(), "JPEG", exif=exif), with_exif=True)) is None


def test_a_picture_is_turned_whatever_else_its_exif_data_says() -> None:
    upright = photos.photograph("bag", side=160)
    maker = (0x010F, 11, 1, struct.pack("<f", 1.5))  # a number, where a name is due
    stored, _ = photos.turned(upright, 6)
    np.testing.assert_array_equal(put_upright(encode(stored, exif=exif_of((0x0112, 3, 1, b"\6\0\0\0"), maker))), upright)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
def test_exif_data_that_cannot_be_read_counts_as_none() -> None:
    plain = photo.prepare(encode(grey(height=60, width=40), "JPEG"))
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"Exif\0\0II+\0\x08\0\0\0"):
        found = photo.prepare(encode(grey(height=60, width=40), "JPEG", exif=exif))
        np.testing.assert_array_equal(found.pixels, plain.pixels)
        assert found.steps == plain.steps


@pytest.mark.parametrize(("size", "shrunk"), [((400, 200), (28, 14)), ((30, 300), (3, 28)), ((1000, 2), (28, 1)), ((7, 14), (14, 28))])
def test_the_longest_edge_becomes_28_pixels_and_the_aspect_stays(size: tuple[int, int], shrunk: tuple[int, int]) -> None:
    assert resize.fit(Image.new("L", size), 28).size == shrunk


def test_a_picture_that_is_small_already_is_not_enlarged_to_work_on() -> None:
    assert resize.shrink(Image.new("L", (60, 30))).size == (60, 30)


def test_the_ground_is_the_colour_of_the_corners_that_agree() -> None:
    colours = np.full((64, 64, 3), BLUE)
    colours[:20, :20] = 255  # a label in one corner
    assert photo.measure_ground(colours).colour.tolist() == BLUE.tolist()


def test_a_textured_ground_spreads_wider_than_an_even_one() -> None:
    even, textured = (photo.measure_ground(photos.ground(on, 200, 200)).spread for on in ("blue", "carpet"))
    assert even == pytest.approx(0.06 * 255 * 3**0.5)
    assert textured > even


def test_the_margin_is_trimmed_to_the_garment_and_specks_are_none() -> None:
    colours = np.full((100, 200, 3), 240.0)
    colours[30:60, 50:90] = 20
    colours[95, 195] = 0
    box = photo.garment_box(colours, PAPER)
    assert box == (50, 30, 90, 60)
    assert photo.trim(colours, box).shape == (30, 40, 3)


def test_a_picture_of_ground_alone_is_left_whole_and_becomes_black() -> None:
    assert photo.garment_box(np.full((30, 40, 3), 240.0), PAPER) == (0, 0, 40, 30)
    for value in (0, 128, 255):
        assert photo.prepare(encode(np.full((60, 50), value, np.uint8))).pixels.max() == 0


def test_the_ground_is_lighter_where_the_garment_is_mostly_darker() -> None:
    colours, matte = np.full((10, 10, 3), 240.0), np.zeros((10, 10))
    assert photo.is_ground_lighter(colours, matte, PAPER)
    colours[2:8, 2:8], matte[2:8, 2:8] = 100, 1
    assert photo.is_ground_lighter(colours, matte, PAPER)
    assert not photo.is_ground_lighter(colours, matte, photo.Ground(np.zeros(3), 20.0))


def test_grey_goes_from_the_grounds_to_the_far_end() -> None:
    colours = np.array([[[240.0] * 3, [120.0] * 3, [0.0] * 3]])
    np.testing.assert_allclose(photo.grey(colours, PAPER, inverted=True), [[0, 127.5, 255]])
    np.testing.assert_allclose(photo.grey(colours, photo.Ground(np.full(3, 120.0), 9), inverted=False), [[226.7, 0, 0]], atol=0.1)


def test_what_is_near_the_ground_fades() -> None:
    colours = np.array([[[240.0] * 3, [229.0] * 3, [200.0] * 3]])
    assert photo.opacity(colours, PAPER)[0].tolist() == pytest.approx([0, 0.45, 1], abs=0.01)


def test_a_dim_garment_is_stretched_and_a_light_one_is_left() -> None:
    assert photo.stretch(np.full((5, 5), 64.0)).max() == 128
    assert photo.stretch(np.full((5, 5), 200.0)).max() == 200
    assert photo.stretch(np.zeros((5, 5))).max() == 0


def test_sharpening_widens_the_step_at_an_edge_and_leaves_even_parts() -> None:
    step = np.where(np.arange(28) < 14, 60, 180).astype(np.uint8)[None].repeat(28, axis=0)
    sharp = np.asarray(photo.sharpen(Image.fromarray(step)))[14]
    assert (sharp[0], sharp[-1]) == (60, 180)
    assert sharp[13] < 60
    assert sharp[14] > 180


def test_a_narrow_picture_is_centred() -> None:
    centred = photo.centre(Image.new("L", (10, 28), 255))
    assert np.flatnonzero(centred.any(axis=0)).tolist() == list(range(9, 19))


def test_too_many_pixels_are_refused_by_the_header() -> None:
    with pytest.raises(TooLargeError):
        photo.prepare(png_claiming(6_000, 6_000))
    with pytest.raises(TooLargeError):
        photo.prepare(png_claiming(20_000, 20_000))


@pytest.mark.parametrize("format", ["PNG", "BMP"])
def test_a_picture_with_more_rows_than_any_camera_makes_is_refused(format: str) -> None:  # noqa: A002
    with pytest.raises(TooLargeError, match="70000 rows"):
        photo.prepare(encode(Image.new("L", (1, 70_000)), format))


@pytest.mark.parametrize(
    ("mode", "options", "most"),
    [
        ("RGB", {"subsampling": "4:2:0"}, 80),
        ("RGB", {"subsampling": "4:4:4"}, 40),
        ("CMYK", {"subsampling": "4:4:4"}, 30),
        ("L", {}, 80),
    ],
)
def test_a_jpeg_may_have_as_many_pixels_as_its_samples_leave_room_for(mode: str, options: dict[str, Any], most: int) -> None:
    image = Image.new(mode, (10, 8), 0)
    with pytest.raises(TooLargeError, match=f"at most {most}"):
        photo.prepare(encode(image.resize((10, most // 10 + 1)), "JPEG", **options), most_pixels=40)
    photo.prepare(encode(image.resize((10, most // 10)), "JPEG", **options), most_pixels=40)


def test_every_kind_of_picture_is_prepared_and_an_animation_is_refused() -> None:
    for kind, content in all_files().items():
        if kind.startswith("animated"):
            with pytest.raises(UnreadableImageError, match="animated"):
                photo.prepare(content)
        else:
            assert photo.prepare(content).pixels.shape == (28, 28), kind


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
def test_a_damaged_file_is_refused_with_an_error_of_ours_or_prepared() -> None:
    rng = np.random.default_rng(11)
    stored, exif = photos.turned(photos.photograph("bag", side=120), 6)
    for whole in (encode(grey(height=40, width=30)), encode(stored, "JPEG", exif=exif), encode(grey(), "GIF")):
        for content in [whole[: int(rng.integers(len(whole)))] for _ in range(40)] + [flipped(whole, rng) for _ in range(80)]:
            try:
                assert photo.prepare(content).pixels.shape == (28, 28)
            except (NotAnImageError, TooLargeError, UnreadableImageError):
                continue
