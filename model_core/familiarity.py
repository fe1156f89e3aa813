"""Is a picture like those of training at all? The network always answers; this says when its answer means nothing.

Eleven plain measures of a picture (how light, how contrasted, how much detail, how black its border, how far it reaches ...), nine of them
also as logarithms, are compared with those of the training images by the Mahalanobis distance. A picture is unfamiliar if it is farther
than 99 % of the validation images. docs/unfamiliar.md has what that finds and what it misses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SHARE = 0.01  # of the validation images that count as unfamiliar
MEASURES = 22
FLOOR = 0.01  # added before a logarithm: pictures are stored in steps of 1/255
RIDGE = 1e-6  # of the mean variance, so that a measure that never varies leaves the matrix invertible
DARK = 10  # of 255: what is lighter belongs to the garment
CHUNK = 4096


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
        covariance += RIDGE * np.trace(covariance) / MEASURES * np.eye(MEASURES)
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

    def distance(self, images: NDArray[np.uint8]) -> F64:
        """How far each of images (N, 28, 28) is from the training images: (N,), about 5 for one of them."""
        return np.asarray(np.linalg.norm((measure(images) - self.mean) @ self.whitening.T, axis=1))

    def is_unfamiliar(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which of images (N, 28, 28) are like nothing in training: (N,)."""
        return self.distance(images) > self.threshold


def measure(images: NDArray[np.uint8]) -> F64:
    """The 22 measures of each of images (N, 28, 28): (N, 22)."""
    parts = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
    return np.concatenate([_measure(part) for part in parts])


def _measure(images: NDArray[np.uint8]) -> F64:
    lights = np.stack(list(_lights(np.divide(images, 255, dtype=np.float32))), axis=1).astype(np.float64)
    return np.hstack([lights, np.log(lights + FLOOR), _extents(images > DARK)])


def _lights(f: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Nine measures of lightness in f (N, 28, 28), 0..1."""
    yield f.mean(axis=(1, 2))
    yield f.std(axis=(1, 2))
    yield np.abs(np.diff(f, axis=1)).mean(axis=(1, 2))  # edges from row to row
    yield np.abs(np.diff(f, axis=2)).mean(axis=(1, 2))  # edges from column to column
    neighbours = f[:, :-2, 1:-1] + f[:, 2:, 1:-1] + f[:, 1:-1, :-2] + f[:, 1:-1, 2:]
    yield np.abs(4 * f[:, 1:-1, 1:-1] - neighbours).mean(axis=(1, 2))  # finest detail
    yield np.concatenate([f[:, 0], f[:, -1], f[:, :, 0], f[:, :, -1]], axis=1).mean(axis=1)  # border
    yield f[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=1)  # corners
    yield (f < 0.02).mean(axis=(1, 2))  # share of black
    yield np.abs(f - f[:, :, ::-1]).mean(axis=(1, 2))  # asymmetry


def _extents(garment: NDArray[np.bool_]) -> F64:
    """Share of the rows and of the columns that the garment (N, 28, 28) reaches, and how far it is off their middle, in pixels."""
    reached = np.any(garment, axis=2, keepdims=False), np.any(garment, axis=1, keepdims=False)
    shares = [each.mean(axis=1) for each in reached]
    offsets = [np.abs(each.argmax(axis=1) - each[:, ::-1].argmax(axis=1)) for each in reached]
    return np.stack([*shares, *offsets], axis=1).astype(np.float64)
