"""The same network in LitServe: JSON with the picture in base64, as its documentation does it."""

import base64
import io
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from PIL import Image

import model_core
from model_core.data import CLASSES


class Garments(litserve.LitAPI):
    """One model, one process for it."""

    def setup(self, device: str) -> None:
        self.model = model_core.load(Path(model_core.__file__).parents[1] / "weights/rookie.npz")

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array(Image.open(io.BytesIO(base64.b64decode(request["image"]))).convert("L"))

    def predict(self, image: Any) -> Any:
        return self.model.predict_proba(image[None])[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"label": CLASSES[int(output.argmax())], "probabilities": dict(zip(CLASSES, map(float, output), strict=True))}


if __name__ == "__main__":
    litserve.LitServer(Garments(), accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="warning", generate_client_file=False, access_log=False
    )
