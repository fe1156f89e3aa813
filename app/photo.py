"""From a photograph to what the network knows: the way Fashion-MNIST's makers prepared theirs, each step a pure function.

They trimmed the margin, shrank the longest edge to 28 pixels, sharpened, centred, inverted and made it grey (Xiao et al., 2017, section 2).
Their grounds were white. So that other grounds end up as black as theirs, the ground's own colour is measured and taken away.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL.JpegImagePlugin import JpegImageFile

from app import image_parts, images, resize, webp
from app.errors import TooLargeError
from app.images import SIDE

MOST_PIXELS = images.MAX_PIXELS
# Of those, by format. A JPEG is shrunk while it is decoded: room for a 50-megapixel telephone's, which has 1.5 samples a pixel. One of
# several scans keeps two bytes for each sample until the last.
JPEG_SAMPLES, JPEG_SHARE = 3.0, 2.0
MOST_ROWS = 2**16  # each costs something beside its pixels; no JPEG, GIF or WebP has more
WEBP_SHARE = 0.375  # its decoder keeps four copies
LEAST_CONTRAST = 0.06  # of the largest colour distance: a ground this even is one colour (the dataset's makers took 0.05)
LARGEST_DISTANCE = 255 * 3**0.5  # black to white
LEAST_WHITE = 128  # the lightest part of a garment is at least this light in the end
# How a picture of each EXIF orientation is turned upright; Pillow's own exif_transpose writes the data anew, which fails on odd ones.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Colours = NDArray[np.float64]  # (rows, columns, 3), 0..255
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Ground:
    """What the garment lies on: its colour (3,), and how far from it a pixel may be and still belong to it."""

    colour: NDArray[np.float64]
    spread: float

    @property
    def grey(self) -> float:
        """Its lightness, 0..255."""
        return float(_luma(self.colour))


@dataclass(frozen=True)
class Prepared:
    """The picture that the network sees, (28, 28) uint8, and what was done to get it."""

    pixels: NDArray[np.uint8]
    size: tuple[int, int]  # width and height of what came in
    inverted: bool
    steps: list[str]


def prepare(content: bytes, most_pixels: int = MOST_PIXELS) -> Prepared:
    """The garment in a photograph of any size, as in the dataset. Raises what images.decode raises, but for the size."""
    image = images.open_picture(content, with_exif=True)
    size = image.size
    _check_pixels(image, most_pixels)
    with images.reading(image):
        images.check_frames(image)
        small = _load_shrunk(image, content)  # before it is turned: a second copy of all its pixels may take 128 MiB
        turn = upright_turn(image)
        colours = flatten(small if turn is None else small.transpose(turn))
    smooth = soften(colours)
    ground = measure_ground(smooth)
    box = garment_box(smooth, ground)
    trimmed = box != (0, 0, colours.shape[1], colours.shape[0])
    garment, matte = trim(colours, box), opacity(trim(smooth, box), ground)
    inverted = is_ground_lighter(garment, matte, ground)
    lights = stretch(grey(garment, ground, inverted) * matte)
    pixels = centre(sharpen(resize.fit(Image.fromarray(lights), SIDE)))
    return Prepared(pixels, size, inverted, list(_told(turn is not None, trimmed, ground, inverted)))


def _load_shrunk(image: Image.Image, content: bytes) -> Image.Image:
    if image.format == "WEBP":
        return webp.load_shrunk(image_parts.essential(content, with_exif=False), image.size)
    shrink_while_decoding(image)
    image.load()
    return resize.shrink(images.narrow(image))


def _check_pixels(image: Image.Image, most: int) -> None:
    width, height = image.size
    if height > MOST_ROWS:
        raise TooLargeError(f"the picture claims {height} rows of pixels; send one of at most {MOST_ROWS}")
    most = int(most * _share(image))
    if width * height > most:
        raise TooLargeError(f"the picture claims {width} x {height} pixels; send one of at most {most}")


def _share(image: Image.Image) -> float:
    """How many times the usual number of pixels a picture may have."""
    if not isinstance(image, JpegImageFile):
        return WEBP_SHARE if image.format == "WEBP" else 1.0
    areas = [across * down for _, across, down, _ in image.layer]
    return min(JPEG_SHARE, JPEG_SAMPLES * max(areas) / sum(areas)) if sum(areas) else JPEG_SHARE


def _told(turned: bool, trimmed: bool, ground: Ground, inverted: bool) -> Iterator[str]:
    if turned:
        yield "turned upright, as its EXIF data says"
    if trimmed:
        yield "margin of the ground's colour trimmed"
    yield f"longest edge shrunk to {SIDE} pixels"
    yield "sharpened"
    yield "centred"
    yield "made grey"
    if inverted:
        yield "inverted, because the ground is lighter"
    yield f"ground (#{''.join(f'{round(value):02x}' for value in ground.colour)}) made black"


def shrink_while_decoding(image: Image.Image) -> None:
    """Let the JPEG decoder skip what would be thrown away; other formats are left as they are."""
    image.draft(None, (resize.WORKING_SIDE, resize.WORKING_SIDE))


def upright_turn(image: Image.Image) -> Image.Transpose | None:
    """What puts a picture upright, as its EXIF data says that it was held; nothing where that data cannot be read."""
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except images.DECODING_ERRORS:
        return None


def flatten(image: Image.Image) -> Colours:
    """The colours, transparency laid over white; over black where what is to be seen is light itself."""
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"), np.float64)
    layers = np.asarray(image.convert("RGBA"), np.float64)
    colours, opacity = layers[..., :3], layers[..., 3:] / 255
    seen = float((_luma(colours) * opacity[..., 0]).sum() / max(opacity.sum(), 1e-9))
    return np.asarray(colours * opacity + (0 if seen > 160 else 255) * (1 - opacity))


def soften(colours: Colours) -> Colours:
    """The colours without their finest detail: what tells a garment from a woven ground is larger than a thread."""
    image = Image.fromarray(np.rint(colours).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(max(image.size) / 150)), np.float64)


def measure_ground(colours: Colours) -> Ground:
    """The ground's colour and spread, from patches in the corners; a corner that differs from the others does not count."""
    side = max(1, min(colours.shape[:2]) // 16)
    edges = slice(side), slice(-side, None)
    patches = [colours[rows, columns].reshape(-1, 3) for rows in edges for columns in edges]
    medians = np.array([np.median(patch, axis=0) for patch in patches])
    distances = _distance(medians, np.median(medians, axis=0))
    agreed = np.concatenate([patch for patch, far in zip(patches, distances > distances.min() + 60, strict=True) if not far])
    colour = np.median(agreed, axis=0)
    return Ground(colour, max(float(np.quantile(_distance(agreed, colour), 0.98)), LEAST_CONTRAST * LARGEST_DISTANCE))


def garment_box(colours: Colours, ground: Ground) -> Box:
    """The smallest box around what is not ground; the whole picture where there is nothing else."""
    height, width = colours.shape[:2]
    different = _distance(colours, ground.colour) > ground.spread * 1.3
    least = 0.01 * max(height, width)  # specks are no garment
    rows, columns = (np.flatnonzero(different.sum(axis=axis) > least) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return 0, 0, width, height
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def trim(colours: Colours, box: Box) -> Colours:
    """What lies in the box."""
    left, top, right, bottom = box
    return colours[top:bottom, left:right]


def opacity(colours: Colours, ground: Ground) -> NDArray[np.float64]:
    """How surely each pixel (rows, columns) belongs to the garment, 0 to 1: the ground's own texture fades away."""
    return np.asarray(np.clip(_distance(colours, ground.colour) / ground.spread - 0.5, 0, 1))


def is_ground_lighter(colours: Colours, matte: NDArray[np.float64], ground: Ground) -> bool:
    """Whether the garment is mostly darker than the ground; where there is none, whether the ground is light."""
    garment = _luma(colours)[matte == 1]
    return bool(np.median(garment) < ground.grey) if len(garment) else ground.grey > 127


def grey(colours: Colours, ground: Ground, inverted: bool) -> NDArray[np.float64]:
    """Lightness (rows, columns) from the ground's (0) to white's (255), or to black's where it is inverted."""
    lights, dark = _luma(colours), ground.grey
    if inverted:
        lights, dark = 255 - lights, 255 - dark
    return np.asarray(np.clip((lights - dark) / max(255 - dark, 1) * 255, 0, 255))


def stretch(lights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lighter, where the lightest part would be dim: a white garment on white paper has little contrast."""
    lightest = float(np.quantile(lights, 0.98))
    factor = min(LEAST_WHITE / lightest, 8) if 0 < lightest < LEAST_WHITE else 1.0
    return np.asarray(np.clip(np.rint(lights * factor), 0, 255), np.uint8)


def sharpen(image: Image.Image) -> Image.Image:
    """Edges made crisp again after shrinking."""
    return image.filter(ImageFilter.UnsharpMask(radius=1.0, percent=50, threshold=0))


def centre(image: Image.Image) -> NDArray[np.uint8]:
    """The picture in the middle of a black 28 x 28 one."""
    canvas = Image.new("L", (SIDE, SIDE))
    canvas.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return np.array(canvas)


def _luma(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey of colours (..., 3) by ITU-R BT.601."""
    return np.asarray(colours @ np.array([0.299, 0.587, 0.114]))


def _distance(colours: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(colours - other, axis=-1))
