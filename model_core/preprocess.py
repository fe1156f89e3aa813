"""The one way from pixels to the network's input. The trainer fits a Standardizer, the artifact carries it, the service applies it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["scalar", "pixel", "batch"]

# Some border pixels are almost always 0 in training (the lowest standard deviation is 0.08 of 255): without a floor one bright
# corner pixel would be worth thousands of sigma. A floor of 10 keeps |x| under 25.5 and touches 42 of the 784 pixels.
STD_FLOOR = 10.0
LARGEST_INPUT = 30.0  # an artifact whose standardiser can exceed this is refused
BATCH_EPSILON = 1e-5  # added to a batch's variance, in units of the whole training set's variance


@dataclass(frozen=True)
class Standardizer:
    """z-score: x = (pixels - mean) / std, with mean and std (784,) float32 in pixel units 0..255."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def fit(cls, images: NDArray[np.uint8], mode: Mode) -> "Standardizer":
        """Measure images (N, 28, 28) uint8: one mean and deviation for all pixels (`scalar`), or one for each (`pixel`, `batch`)."""
        flat = images.reshape(len(images), -1)
        pixels = flat.shape[1]
        # Sums of integers are exact, and need no second copy of the images as floats.
        total = flat.sum(axis=0, dtype=np.int64)
        squares = np.zeros(pixels, np.int64)
        for start in range(0, len(flat), 4096):
            squares += np.square(flat[start : start + 4096], dtype=np.uint16).sum(axis=0, dtype=np.int64)
        mean, square = total / len(flat), squares / len(flat)
        if mode == "scalar":
            mean, square = np.full(pixels, mean.mean()), np.full(pixels, square.mean())
        std = np.sqrt(np.maximum(square - mean**2, 0))
        return cls(mean.astype(np.float32), np.maximum(std, STD_FLOOR).astype(np.float32))

    def apply(self, images: NDArray[np.uint8] | NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Standardise images (N, 28, 28) or (N, 784), pixels 0..255, into x (N, 784) float32; `out` is filled where it is given."""
        flat = images.reshape(len(images), len(self.mean))
        x = np.empty(flat.shape, np.float32) if out is None else out
        np.subtract(flat, self.mean, out=x)
        return np.divide(x, self.std, out=x)

    def largest_input(self) -> float:
        """The largest |x| that any pixel value 0..255 can give."""
        mean = self.mean.astype(np.float64)
        return float(np.max(np.maximum(np.abs(mean), np.abs(255 - mean)) / self.std))


def standardize_by_batch(images: NDArray[np.uint8], scale: float, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Standardise each pixel by the batch's own mean and population variance (paper, section 3.1); nothing is learned.

    `images` is (N, 28, 28) uint8, `scale` the standard deviation of all training pixels (0..255), in whose units the epsilon counts.
    """
    flat = images.reshape(len(images), -1)
    x = np.empty(flat.shape, np.float32) if out is None else out
    x[...] = flat
    mean = x.mean(axis=0)
    np.subtract(x, mean, out=x)
    variance = np.einsum("np,np->p", x, x) / len(x)
    x /= np.sqrt(variance + np.float32(BATCH_EPSILON * scale**2))
    return x
