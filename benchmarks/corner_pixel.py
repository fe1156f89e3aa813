"""How many labels of 1,000 test images a bright corner pixel leaves as they were: `python -m benchmarks.corner_pixel FILE.npz ...`."""

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core import Model, artifact, data

COUNT = 1000
CORNERS = ((0, 0), (0, -1), (-1, 0), (-1, -1))


def main(paths: list[str]) -> None:
    """Print each file's share for each corner."""
    images = data.load_test(data.data_dir(os.environ)).images[:COUNT]
    for path in paths:
        model = artifact.load(Path(path))
        print(path, *(f"{share_kept(model, images, corner):.1%}" for corner in CORNERS))


def share_kept(model: Model, images: NDArray[np.uint8], corner: tuple[int, int]) -> float:
    """The share of images (N, 28, 28) whose label a bright `corner` leaves."""
    speckled = images.copy()
    speckled[:, *corner] = 255
    labels, after = (model.predict_proba(each).argmax(axis=1) for each in (images, speckled))
    return float((labels == after).mean())


if __name__ == "__main__":
    main(sys.argv[1:])
