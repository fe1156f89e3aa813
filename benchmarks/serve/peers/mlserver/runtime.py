"""The same network in MLServer: the Open Inference Protocol, pixels as JSON."""

from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

import model_core


class Garments(MLModel):
    """A runtime of our own."""

    async def load(self) -> bool:
        self.network = model_core.load(Path(model_core.__file__).parents[1] / "weights/rookie.npz")
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        images = NumpyCodec.decode_input(payload.inputs[0]).reshape(-1, 28, 28).astype(np.uint8)
        outputs = [NumpyCodec.encode_output("probabilities", self.network.predict_proba(images))]
        return InferenceResponse(model_name=self.name, outputs=outputs)
