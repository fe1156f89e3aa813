"""The service that one writes first: FastAPI, Pillow, the same network, one picture at a time."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, UploadFile
from PIL import Image

import model_core
from model_core.data import CLASSES

app = FastAPI()
model = model_core.load(Path(model_core.__file__).parents[1] / "weights/rookie.npz")


@app.post("/predict")
async def predict(file: UploadFile) -> dict[str, Any]:
    """Label and probabilities."""
    image = np.array(Image.open(io.BytesIO(await file.read())).convert("L"))
    probabilities = model.predict_proba(image[None])[0]
    index = int(probabilities.argmax())
    return {
        "label": CLASSES[index],
        "confidence": float(probabilities[index]),
        "probabilities": dict(zip(CLASSES, map(float, probabilities), strict=True)),
    }
