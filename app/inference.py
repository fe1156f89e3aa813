"""What is served and how it answers. A batch takes one reference to Served, so no answer mixes two versions."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.schemas import Prediction, ServedModel
from model_core import Model
from model_core.data import CLASSES
from model_core.familiarity import Familiarity


@dataclass(frozen=True)
class Served:
    """One model version in memory; immutable."""

    version: int
    sha256: str
    model: Model

    @cached_property
    def familiarity(self) -> Familiarity | None:
        """What tells a picture that is like nothing in training; None where the model's card is of a time before."""
        return Familiarity.from_card(self.model.card)

    def classify(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """One answer for each of images (N, 28, 28) uint8, in order."""
        probabilities = self.model.predict_proba(images)
        unfamiliar = [None] * len(images) if self.familiarity is None else self.familiarity.is_unfamiliar(images).tolist()
        return [_prediction(row, flag, self) for row, flag in zip(probabilities, unfamiliar, strict=True)]


class Predictor:
    """Answers with the current model; `swap` replaces it between two batches."""

    def __init__(self, served: Served) -> None:
        self._served = served

    @property
    def served(self) -> Served:
        """The model that answers now."""
        return self._served

    def swap(self, served: Served) -> None:
        """Answer with `served` from the next batch on."""
        self._served = served

    def classify(self, images: NDArray[np.uint8]) -> list[Prediction]:
        """One answer for each of images (N, 28, 28) uint8, in order, all by the same model version."""
        return self._served.classify(images)


def _prediction(probabilities: NDArray[np.float32], unfamiliar: bool | None, served: Served) -> Prediction:
    index = int(probabilities.argmax())
    values = probabilities.tolist()
    return Prediction(
        label=CLASSES[index],
        index=index,
        confidence=values[index],
        probabilities=dict(zip(CLASSES, values, strict=True)),
        unfamiliar=unfamiliar,
        model=ServedModel(version=served.version, sha256=served.sha256),
    )
