"""Pictures made smaller or larger. Knows Pillow alone, so that the process that decodes WebP starts in a twentieth of a second."""

from PIL import Image

WORKING_SIDE = 448  # pixels; a garment that fills an eighth of the picture still has more than 28 x 28


def shrink(image: Image.Image) -> Image.Image:
    """The picture with its longest edge WORKING_SIDE pixels long and its aspect kept; a smaller one is left as it is."""
    if max(image.size) < WORKING_SIDE:
        return image
    return _resize(image, WORKING_SIDE, Image.Resampling.BOX)


def fit(image: Image.Image, side: int) -> Image.Image:
    """The picture with its longest edge `side` pixels long and its aspect kept, whatever its size."""
    return _resize(image, side, Image.Resampling.LANCZOS)


def _resize(image: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    width, height = (max(1, round(edge * side / max(image.size))) for edge in image.size)
    single, colour = ("LA", "RGBA") if image.has_transparency_data else ("L", "RGB")
    if image.mode not in (single, colour):
        image = image.convert(colour)
    return image.resize((width, height), resampling, reducing_gap=3.0)
