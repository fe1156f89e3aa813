"""The model as the protocol describes it: its names, its tensors, its configuration."""

from typing import Any

import model_core
from model_core.data import CLASSES

MODEL, INPUT, OUTPUT = "fashion-mnist", "image", "probabilities"
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "statistics", "model_repository"]


def server() -> dict[str, Any]:
    """Server metadata."""
    return {"name": "rookie", "version": model_core.__version__, "extensions": EXTENSIONS}


def model(version: int) -> dict[str, Any]:
    """Model metadata."""
    return {
        "name": MODEL,
        "versions": [str(version)],
        "platform": "rookie_numpy",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, 1, 28, 28]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(CLASSES)]}],
    }


def configuration(version: int, most_rows: int) -> dict[str, Any]:
    """Model configuration: that of Triton, as far as it says something of this model."""
    return {
        "name": MODEL,
        "platform": "rookie_numpy",
        "backend": "rookie",
        "version_policy": {"specific": {"versions": [version]}},
        "max_batch_size": most_rows,
        "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "format": "FORMAT_NCHW", "dims": [1, 28, 28]}],
        "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [len(CLASSES)], "label_filename": "labels.txt"}],
        "dynamic_batching": {"preferred_batch_size": [], "max_queue_delay_microseconds": 0},
        "parameters": {
            "labels": {"string_value": ",".join(CLASSES)},
            "pixels": {"string_value": "0 to 255, a light garment on a dark ground"},
        },
    }
