"""How many pictures of each kind a model calls unfamiliar: `python -m benchmarks.unfamiliar FILE.npz`. The table of docs/unfamiliar.md."""

import os
import string
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from app import photo
from examples import draw
from model_core import artifact, data
from model_core.familiarity import Familiarity
from tests.support import photos
from tests.support.pictures import encode

Pictures = NDArray[np.uint8]
COUNT = 1000
ENLARGED = 224
RNG = np.random.default_rng(0)
Point = tuple[float, float]


def blurred(images: Pictures, radius: float) -> Pictures:
    """The images behind a Gaussian blur."""
    return np.stack([np.asarray(Image.fromarray(each).filter(ImageFilter.GaussianBlur(radius))) for each in images])


def smooth_noise() -> Pictures:
    """Soft clouds."""
    small = RNG.integers(0, 256, (COUNT, 5, 5), np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((28, 28), Image.Resampling.BICUBIC)) for each in small])


def star(middle: Point, radius: float) -> list[Point]:
    """Ten corners, five of them further out."""
    angles, radii = np.arange(10) * np.pi / 5 + RNG.uniform(0, 6), np.where(np.arange(10) % 2, radius * 0.4, radius)
    return [(middle[0] + far * np.cos(angle), middle[1] + far * np.sin(angle)) for angle, far in zip(angles, radii, strict=True)]


def shape(kind: int) -> Image.Image:
    """A disc, ring, polygon, star, zigzag, letter, cross or chequerboard of any size and lightness."""
    image, light = Image.new("L", (ENLARGED, ENLARGED)), int(RNG.integers(120, 256))
    pen, radius = ImageDraw.Draw(image), float(RNG.uniform(40, 100))
    middle = (float(RNG.uniform(90, 134)), float(RNG.uniform(90, 134)))
    box = (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius)
    square = int(RNG.integers(16, 56))
    drawings: list[Callable[[], None]] = [
        lambda: pen.ellipse(box, fill=light),
        lambda: pen.ellipse(box, outline=light, width=int(RNG.integers(8, 30))),
        lambda: pen.regular_polygon((*middle, radius), int(RNG.integers(3, 7)), rotation=int(RNG.integers(360)), fill=light),
        lambda: pen.polygon(star(middle, radius), fill=light),
        lambda: pen.line([(float(x), float(y)) for x, y in RNG.uniform(20, 204, (4, 2))], fill=light, width=int(RNG.integers(8, 24))),
        lambda: letter(pen, light),
        lambda: cross(pen, radius, light),
        lambda: chequer(pen, light, square),
    ]
    drawings[kind % len(drawings)]()
    return image


def letter(pen: ImageDraw.ImageDraw, light: int) -> None:
    """One letter or digit."""
    text = str(RNG.choice(list(string.ascii_uppercase + string.digits)))
    pen.text((112, 112), text, fill=light, font=ImageFont.load_default(size=200), anchor="mm")


def cross(pen: ImageDraw.ImageDraw, radius: float, light: int) -> None:
    """A plus sign."""
    pen.line(((112 - radius, 112), (112 + radius, 112)), fill=light, width=30)
    pen.line(((112, 112 - radius), (112, 112 + radius)), fill=light, width=30)


def chequer(pen: ImageDraw.ImageDraw, light: int, side: int) -> None:
    """Squares."""
    for top in range(0, ENLARGED, side):
        for left in range(side * (top // side % 2), ENLARGED, 2 * side):
            pen.rectangle((left, top, left + side, top + side), fill=light)


def kinds(test: Pictures) -> dict[str, Pictures]:
    """Pictures by what they are."""
    shapes, some = [shape(kind) for kind in range(COUNT)], test[:COUNT]
    drawn = [encode(photos.photograph(garment, on)) for garment in draw.GARMENTS for on in photos.GROUNDS]
    return {
        "test images": test,
        "examples/, drawn": np.stack([np.asarray(draw.picture(name)) for name in draw.GARMENTS]),
        "drawn garments, `prepare=photo`": np.stack([photo.prepare(each).pixels for each in drawn]),
        "noise": RNG.integers(0, 256, (COUNT, 28, 28), np.uint8),
        "faint noise (0 to 59)": RNG.integers(0, 60, (COUNT, 28, 28), np.uint8),
        "soft clouds": smooth_noise(),
        "one even grey": np.stack([np.full((28, 28), light, np.uint8) for light in range(256)]),
        "test images, inverted": np.asarray(255 - some),
        "test images, blurred by 2 pixels": blurred(some, 2),
        "test images, blurred by 1 pixel": blurred(some, 1),
        "test images, pixels shuffled": np.stack([RNG.permutation(each.reshape(-1)).reshape(28, 28) for each in some]),
        "discs, stars, letters and other shapes": np.stack([np.asarray(each.resize((28, 28), Image.Resampling.BOX)) for each in shapes]),
        "the same shapes, `prepare=photo`": np.stack([photo.prepare(encode(each)).pixels for each in shapes]),
        "test images, turned by 90 degrees": np.rot90(some, axes=(1, 2)),
        "test images, upside down": some[:, ::-1],
    }


def main(path: str) -> None:
    """Print the table."""
    model = artifact.load(path)
    familiarity = Familiarity.from_card(model.card)
    if familiarity is None:
        sys.exit(f"{path} has no figures on familiarity in its card; python -m model_core recard {path} adds them")
    print("| pictures | number | called unfamiliar | median distance | sure of a label (over 90 %) |\n|---|---|---|---|---|")
    for name, images in kinds(data.load_test(data.data_dir(os.environ)).images).items():
        distance, sure = familiarity.distance(images), model.predict_proba(np.ascontiguousarray(images)).max(axis=1) > 0.9
        flagged = (distance > familiarity.threshold).mean()
        print(f"| {name} | {len(images)} | {flagged:.1%} | {np.median(distance):.1f} | {sure.mean():.0%} |")
    print(f"\nThe threshold is {familiarity.threshold:.2f}.")


if __name__ == "__main__":
    main(sys.argv[1])
