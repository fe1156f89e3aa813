"""The example pictures, with the class that each shows."""

from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = sorted(EXAMPLES.glob("*.png"))


def label(picture: Path) -> str:
    """The class that a picture's file name says: "Ankle boot" for ankle-boot.png."""
    return "T-shirt/top" if picture.stem == "t-shirt" else picture.stem.replace("-", " ").capitalize()
