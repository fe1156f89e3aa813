"""How good a model is: accuracy, confusion matrix, per-class precision and recall, calibration error."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassFigures:
    """One class's precision (share of its predictions that are right) and recall (share of its images found), 0..1."""

    precision: float
    recall: float
    images: int

    def as_record(self) -> dict[str, Any]:
        """The figures as JSON-ready values."""
        return {"precision": self.precision, "recall": self.recall, "images": self.images}


def accuracy(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> float:
    """Share of images whose most probable class is their label."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def confusion_matrix(predicted: NDArray[np.integer], labels: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Counts (K, K): row is the true class, column the predicted one. Raises ValueError for a class that is none of the K."""
    if any(len(each) and not 0 <= each.min() <= each.max() < classes for each in (predicted, labels)):
        raise ValueError(f"classes are 0 to {classes - 1}; predicted or labels has others")
    cells = np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def per_class(confusion: NDArray[np.int64]) -> list[ClassFigures]:
    """Precision and recall of each class; 0 where a class was never predicted, or has no images."""
    right = np.diagonal(confusion)
    predicted, present = confusion.sum(axis=0), confusion.sum(axis=1)
    return [
        ClassFigures(float(right[k] / max(predicted[k], 1)), float(right[k] / max(present[k], 1)), int(present[k]))
        for k in range(len(confusion))
    ]


class CalibrationBin(NamedTuple):
    """The images whose confidence falls into one bin: means of confidence and accuracy, and their share of all images, each 0..1."""

    confidence: float
    accuracy: float
    share: float


def calibration_bins(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> list[CalibrationBin]:
    """The 15 even bins of confidence that are not empty."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    members = (bins == k for k in np.unique(bins))
    return [CalibrationBin(float(confidence[m].mean()), float(right[m].mean()), float(m.mean())) for m in members]


def calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> float:
    """Expected calibration error, 0..1: mean gap of confidence and accuracy over the bins, weighted by images (Guo et al., 2017)."""
    return sum(abs(each.confidence - each.accuracy) * each.share for each in calibration_bins(probabilities, labels))
