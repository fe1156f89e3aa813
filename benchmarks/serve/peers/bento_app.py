"""The same network in BentoML: a picture as a form's file."""

from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from PIL.Image import Image

import model_core
from model_core.data import CLASSES


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Garments:
    """One model, one worker."""

    def __init__(self) -> None:
        self.model = model_core.load(Path(model_core.__file__).parents[1] / "weights/rookie.npz")

    @bentoml.api
    def predict(self, image: Image) -> dict[str, Any]:
        """Label and probabilities."""
        probabilities = self.model.predict_proba(np.array(image.convert("L"))[None])[0]
        return {"label": CLASSES[int(probabilities.argmax())], "probabilities": dict(zip(CLASSES, map(float, probabilities), strict=True))}
