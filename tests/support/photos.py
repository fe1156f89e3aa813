"""Photographs drawn by code: the garments of examples/draw.py on all kinds of ground, as files."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from examples import draw

Colours = NDArray[np.uint8]
GROUNDS = ("white", "paper", "blue", "orange", "wood", "carpet", "dark", "black")
_PLAIN = {"white": (255, 255, 255), "paper": (236, 233, 226), "blue": (90, 140, 200), "orange": (235, 150, 70), "dark": (40, 44, 52)}


def ground(name: str, height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """Colours (height, width, 3) of a ground: plain, or with a texture."""
    rng, rows, columns = np.random.default_rng(seed), np.arange(height)[:, None], np.arange(width)
    if name == "wood":  # grain along the planks
        grain = 8 * np.sin(rows / 9 + np.sin(columns / 70)) + rng.normal(0, 3, (height, width))
        return np.asarray(np.array([205.0, 170, 125]) + grain[..., None])
    if name == "carpet":
        return np.asarray(np.array([70.0, 75, 90]) + rng.normal(0, 9, (height, width, 1)))
    return np.broadcast_to(np.array(_PLAIN.get(name, (0, 0, 0)), float), (height, width, 3))


def photograph(garment: str, on: str = "white", side: int = 480, place: float = 0.5, share: float = 0.6) -> Colours:
    """A garment that takes up `share` of a picture of side x side * 3/4, dark on a light ground and light on a dark one."""
    height, width = side, side * 3 // 4
    canvas = draw.Canvas()
    draw.GARMENTS[garment](canvas)
    size = round(width * share)
    opacity = np.zeros((height, width, 1))
    top, left = round((height - size) * place), round((width - size) * place)
    opacity[top : top + size, left : left + size, 0] = np.asarray(canvas.image.resize((size, size))) / 255
    below = ground(on, height, width)
    cloth = np.zeros(3) if below.mean() > 110 else np.full(3, 255.0)
    return np.asarray(np.clip(below + (cloth - below) * opacity, 0, 255), np.uint8)


def turned(picture: Colours, orientation: int) -> tuple[Image.Image, Image.Exif]:
    """The picture as a camera that was held otherwise stores it, and the EXIF data that says how it was held."""
    stored = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    return Image.fromarray(picture).transpose(stored[orientation]), exif
