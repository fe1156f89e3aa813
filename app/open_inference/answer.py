"""The answer to an inference request: JSON, or JSON followed by the bytes of its tensor."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydantic_core
from numpy.typing import NDArray

from app.inference import Answer
from app.open_inference.body import HEADER_LENGTH
from app.open_inference.description import MODEL, OUTPUT
from app.open_inference.request import InferenceRequest
from model_core.data import CLASSES


def encode(request: InferenceRequest, answer: Answer) -> tuple[bytes, dict[str, str]]:
    """An answer's body and headers."""
    probabilities, output = answer.probabilities, dict[str, Any]()
    if request.classes:
        texts = list(_classifications(probabilities, request.classes))
        output = {"name": OUTPUT, "datatype": "BYTES", "shape": [len(probabilities), len(texts) // len(probabilities)]}
    else:
        output = {"name": OUTPUT, "datatype": "FP32", "shape": list(probabilities.shape)}
    if not request.binary:
        output["data"] = texts if request.classes else probabilities.ravel().tolist()
        return _document(request, answer, output), {"Content-Type": "application/json"}
    tensor = _byte_strings(texts) if request.classes else probabilities.astype("<f4", copy=False).tobytes()
    output["parameters"] = {"binary_data_size": len(tensor)}
    head = _document(request, answer, output)
    return head + tensor, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}


def _document(request: InferenceRequest, answer: Answer, output: dict[str, Any]) -> bytes:
    named = {} if request.id is None else {"id": request.id}
    return pydantic_core.to_json({"model_name": MODEL, "model_version": str(answer.served.version), **named, "outputs": [output]})


def _classifications(probabilities: NDArray[np.float32], count: int) -> Iterator[str]:
    """The likeliest classes of each row as value:index:label, row after row."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : min(count, len(CLASSES))]
    for row, likeliest in zip(probabilities.tolist(), order.tolist(), strict=True):
        yield from (f"{row[index]:f}:{index}:{CLASSES[index]}" for index in likeliest)


def _byte_strings(texts: list[str]) -> bytes:
    """A BYTES tensor: each string after its length in four bytes, little-endian."""
    return b"".join(struct.pack("<I", len(text)) + text.encode() for text in texts)
