"""Draw the example pictures: garments as Fashion-MNIST shows them, light on black, centred, 28 x 28, grey. `python examples/draw.py`.

Each garment is a few flat shapes in the coordinates of the small picture, drawn eight times as large and shrunk, which softens the edges.
Nothing is drawn at random, and nothing comes from the dataset.
"""

import math
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageOps

SIDE, ENLARGED = 28, 8
Point = tuple[float, float]


class Canvas:
    """A large black picture to put shapes on; positions and widths are in pixels of the small one, lightness is 0 to 255."""

    def __init__(self) -> None:
        self.image = Image.new("L", (SIDE * ENLARGED, SIDE * ENLARGED))
        self.pen = ImageDraw.Draw(self.image)

    def fill(self, lightness: int, *outline: Point) -> None:
        """A filled polygon."""
        self.pen.polygon([(x * ENLARGED, y * ENLARGED) for x, y in outline], fill=lightness)

    def line(self, lightness: int, width: float, *points: Point) -> None:
        """A line through the points."""
        self.pen.line([(x * ENLARGED, y * ENLARGED) for x, y in points], fill=lightness, width=round(width * ENLARGED), joint="curve")

    def ellipse(self, lightness: int, left: float, top: float, right: float, bottom: float) -> None:
        """A filled ellipse in a box."""
        self.pen.ellipse([edge * ENLARGED for edge in (left, top, right, bottom)], fill=lightness)

    def mirror(self) -> None:
        """Make the right half the mirror image of the left one."""
        half = self.image.crop((0, 0, self.image.width // 2, self.image.height))
        self.image.paste(ImageOps.mirror(half), (half.width, 0))

    def shrunk(self) -> Image.Image:
        """The small picture, lit a little from the middle and with soft vertical folds, as cloth has them."""
        light = Image.new("L", self.image.size)
        for column in range(light.width):
            across = column / light.width
            shade = 0.88 + 0.09 * math.sin(math.pi * across) + 0.03 * math.sin(9 * math.pi * across)
            light.paste(round(255 * shade), (column, 0, column + 1, light.height))
        return ImageChops.multiply(self.image, light).resize((SIDE, SIDE), Image.Resampling.BOX)


def t_shirt(canvas: Canvas) -> None:
    """Short sleeves, round neck."""
    canvas.fill(205, (14, 1), (10.5, 1), (4.5, 3.5), (1, 10.5), (5.5, 12.5), (7.5, 10), (7.5, 27), (14, 27))
    canvas.ellipse(0, 10.8, -2.6, 17.2, 3.2)
    canvas.line(160, 0.5, (7.6, 10), (8, 6))
    canvas.mirror()


def trouser(canvas: Canvas) -> None:
    """Two long legs from one waist."""
    canvas.fill(215, (14, 0.5), (9.2, 0.5), (8.3, 10), (8.2, 27.5), (13, 27.5), (13.7, 9), (14, 9))
    canvas.line(150, 0.5, (9, 2.3), (14, 2.3))
    canvas.mirror()


def pullover(canvas: Canvas) -> None:
    """Long sleeves that hang close beside the body and below its hem."""
    canvas.fill(170, (14, 0.5), (9.8, 0.5), (6.3, 2), (7.6, 25.6), (14, 25.6))
    canvas.fill(205, (6.3, 2), (4.6, 7), (3.3, 27.6), (6.8, 27.6), (7.8, 9))
    canvas.ellipse(225, 9.8, -1.8, 18.2, 2.4)
    canvas.ellipse(60, 10.8, -2.2, 17.2, 1.2)
    canvas.line(100, 0.6, (7.3, 25), (7.9, 10))
    canvas.mirror()


def dress(canvas: Canvas) -> None:
    """Narrow shoulders, a waist, a skirt that widens a little."""
    canvas.fill(210, (14, 0.5), (11.3, 0.5), (10, 4), (11, 8), (10.8, 11), (9, 19), (8, 27.5), (14, 27.5))
    canvas.ellipse(0, 12.2, -1.5, 15.8, 2.8)
    canvas.line(150, 0.5, (10.8, 11), (14, 11))
    canvas.mirror()


def sandal(canvas: Canvas) -> None:
    """A thin sole that rises to the heel, and straps with gaps between them."""
    canvas.fill(215, (0.5, 19.5), (9, 18.6), (17, 16.2), (27, 12.5), (27.5, 19.5), (25, 20), (24, 16), (16, 19.5), (8, 21), (0.5, 21))
    canvas.line(200, 1.2, (3.5, 19.5), (6.5, 15.5), (10, 18.3))
    canvas.line(200, 1.2, (8, 18.5), (12.5, 13), (16, 16.5))
    canvas.line(190, 1.0, (17, 16), (21, 9), (26, 8.5), (26.5, 13))


def sneaker(canvas: Canvas) -> None:
    """A low shoe, its toe to the left, on a flat sole."""
    canvas.fill(
        185, (0.3, 15.5), (4, 14), (10, 12), (15, 8.6), (17, 8.2), (19, 10.8), (23, 10.8), (26, 9), (27.6, 13), (27.6, 18), (0.3, 18)
    )
    canvas.fill(110, (0.3, 17.2), (27.7, 17.2), (27.7, 19.6), (1, 19.6))
    canvas.line(225, 0.8, (10.5, 13), (15, 10))
    canvas.line(225, 0.8, (14, 16), (19, 12.5))
    canvas.line(225, 0.8, (17, 16), (21.5, 12.5))


def bag(canvas: Canvas) -> None:
    """A wide body with a handle above it."""
    canvas.line(190, 1.3, (8.5, 11), (9.5, 5.5), (12, 3.5), (14, 3.5))
    canvas.fill(205, (14, 10), (3, 10), (1.2, 25), (2.5, 26), (14, 26))
    canvas.line(140, 0.6, (2.6, 14), (14, 14))
    canvas.ellipse(240, 12.8, 13, 15.2, 15.4)
    canvas.mirror()


def ankle_boot(canvas: Canvas) -> None:
    """A shaft up to the ankle, its toe to the left, a heel."""
    canvas.fill(205, (11, 2.5), (25.5, 2), (25, 12), (26.8, 20), (26.5, 23), (2, 23.5), (1, 20.5), (4, 17.6), (10, 14.5), (12, 11))
    canvas.fill(150, (1.5, 23), (26.8, 22.5), (26.8, 26), (20.5, 26), (19.8, 24.3), (3, 24.5))
    canvas.line(150, 0.6, (13, 12), (18, 14), (19, 21))


GARMENTS: dict[str, Callable[[Canvas], None]] = {
    "t-shirt": t_shirt,
    "trouser": trouser,
    "pullover": pullover,
    "dress": dress,
    "sandal": sandal,
    "sneaker": sneaker,
    "bag": bag,
    "ankle-boot": ankle_boot,
}


def picture(name: str) -> Image.Image:
    """The picture of one garment, 28 x 28, grey."""
    canvas = Canvas()
    GARMENTS[name](canvas)
    return canvas.shrunk()


if __name__ == "__main__":
    here = Path(__file__).parent
    for garment in GARMENTS:
        for folder in (here, here.parent / "app/static/examples"):  # the page brings its own copies
            picture(garment).save(folder / f"{garment}.png")
