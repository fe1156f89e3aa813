"""Is a picture like those of training at all? The network always answers; this says when its answer means nothing.

Eleven plain measures of a picture (how light, how contrasted, how much detail, how black its border, how far it reaches ...), nine of them
also as logarithms, are compared with those of the training images by the Mahalanobis distance. A picture is unfamiliar if it is farther
than 99 % of the validation images. docs/unfamiliar.md has what that finds and what it misses.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Pixels = NDArray[np.uint8] | NDArray[np.float32]

SHARE = 0.01  # of the validation images that count as unfamiliar
MEASURES = 22
LEAST_RIDGE = 1e-12  # where no measure varies
FLOOR = 0.01  # added before a logarithm: pictures are stored in steps of 1/255
RIDGE = 1e-6  # of the mean variance, so that a measure that never varies leaves the matrix invertible
DARK = 10  # of 255: what is lighter belongs to the garment
BLACK = 0.02  # of 1
SIDE = 28
CHUNK = 512
# How many numbers stand behind each of the nine measures of lightness, and where they lie among all of an image's.
_COUNTS = np.array([784, 784, 27 * 28, 28 * 27, 26 * 26, 4 * 28, 4, 784, 28 * 14])
_WIDTHS = (784, 784, 27 * 28, 28 * 28, 26 * 28, 4 * 28, 4, 784, 28 * 14)  # with the places between rows, which hold 0
_STARTS = np.cumsum([0, *_WIDTHS])
_SPANS = [slice(*span) for span in itertools.pairwise(_STARTS.tolist())]


@dataclass(frozen=True)
class Familiarity:
    """What training images measure: mean (22,), whitening (22, 22), and the distance beyond which a picture is unfamiliar."""

    mean: F64
    whitening: F64
    threshold: float

    @classmethod
    def fit(cls, training: NDArray[np.uint8], validation: NDArray[np.uint8]) -> "Familiarity":
        """Measure training images (N, 28, 28), and set the threshold on validation images."""
        measured = measure(training)
        covariance = np.cov(measured.T)
        covariance += max(RIDGE * np.trace(covariance) / MEASURES, LEAST_RIDGE) * np.eye(MEASURES)
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        unbounded = cls(measured.mean(axis=0), whitening, np.inf)
        return cls(unbounded.mean, whitening, float(np.quantile(unbounded.distance(validation), 1 - SHARE)))

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "Familiarity | None":
        """What a card says; None where it is of a time before, or not usable."""
        try:
            record = card["metrics"]["familiarity"]
            rows = [np.array(row, float) for row in record["whitening"]]
            whitening = np.array([np.pad(row, (0, MEASURES - len(row))) for row in rows])
            found = cls(np.array(record["mean"], float), whitening, float(record["threshold"]))
        except (KeyError, TypeError, ValueError):
            return None
        usable = found.mean.shape == (MEASURES,) and whitening.shape == (MEASURES, MEASURES) and np.isfinite(whitening).all()
        return found if usable and np.isfinite(found.mean).all() and np.isfinite(found.threshold) else None

    def as_record(self) -> dict[str, Any]:
        """The figures as JSON-ready values; of the whitening matrix, the triangle that is not 0."""
        rows = [[float(f"{value:.6g}") for value in row[: k + 1]] for k, row in enumerate(self.whitening)]
        return {"threshold": self.threshold, "mean": [float(f"{value:.9g}") for value in self.mean], "whitening": rows}

    def distance(self, images: Pixels) -> F64:
        """How far each of images (N, 28, 28) is from the training images: (N,), about 5 for one of them."""
        return np.asarray(np.linalg.norm((measure(images) - self.mean) @ self.whitening.T, axis=1))

    def is_unfamiliar(self, images: Pixels) -> NDArray[np.bool_]:
        """Which of images (N, 28, 28) are like nothing in training: (N,)."""
        return self.distance(images) > self.threshold


def measure(images: Pixels) -> F64:
    """The 22 measures of each of images (N, 28, 28): (N, 22)."""
    parts = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
    return np.concatenate([_measure(part) for part in parts])


def _measure(images: Pixels) -> F64:
    lights = _lights(np.divide(images, 255, dtype=np.float32))
    return np.hstack([lights, np.log(lights + FLOOR), _extents(images > DARK)])


def _lights(f: NDArray[np.float32]) -> F64:
    """Nine measures of lightness in f (N, 28, 28), 0..1: (N, 9). All but the second are mean sizes of some numbers, summed at once."""
    flat = f.reshape(-1, SIDE * SIDE)
    numbers = np.empty((len(f), _STARTS[-1]), np.float32)
    light, square, down, across, detail, border, corners, black, mirrored = (numbers[:, span] for span in _SPANS)
    light[...] = flat
    np.multiply(flat, flat, out=square)  # contrast, once the mean is known
    np.subtract(flat[:, SIDE:], flat[:, :-SIDE], out=down)  # edges from row to row
    np.subtract(flat[:, 1:], flat[:, :-1], out=across[:, :-1])  # edges from column to column
    across[:, SIDE - 1 :: SIDE] = 0  # from one row's end to the next one's beginning
    _laplacian(flat, detail)  # finest detail
    sides = border.reshape(-1, 4, SIDE)
    sides[:, :2], sides[:, 2:] = f[:, :: SIDE - 1], f[:, :, :: SIDE - 1].swapaxes(1, 2)
    corners.reshape(-1, 2, 2)[...] = f[:, :: SIDE - 1, :: SIDE - 1]
    np.less(flat, BLACK, out=black)
    np.subtract(f[:, :, : SIDE // 2], f[:, :, : SIDE // 2 - 1 : -1], out=mirrored.reshape(-1, SIDE, SIDE // 2))  # asymmetry
    means = np.add.reduceat(np.abs(numbers, out=numbers), _STARTS[:-1], axis=1) / _COUNTS  # (N, 9)
    means[:, 1] = np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0))
    return np.asarray(means)


def _laplacian(flat: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Each inner pixel of images (N, 784) against its four neighbours, into (N, 26 * 28); 0 in the two places between rows."""
    first, count = SIDE + 1, out.shape[1] - 2
    inner = out[:, :count]
    np.multiply(flat[:, first : first + count], 4, out=inner)
    for neighbour in (first - SIDE, first + SIDE, first - 1, first + 1):
        np.subtract(inner, flat[:, neighbour : neighbour + count], out=inner)
    out.reshape(len(out), -1, SIDE)[:, :, SIDE - 2 :] = 0


def _extents(garment: NDArray[np.bool_]) -> F64:
    """Share of the rows and of the columns that the garment (N, 28, 28) reaches, and how far it is off their middle, in pixels: (N, 4)."""
    reached = np.empty((len(garment), 2, SIDE), bool)
    np.any(garment, axis=2, out=reached[:, 0])
    np.any(garment, axis=1, out=reached[:, 1])
    offsets = np.abs(reached.argmax(axis=2) - reached[:, :, ::-1].argmax(axis=2))
    return np.concatenate([reached.mean(axis=2), offsets], axis=1)
