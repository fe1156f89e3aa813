"""A model as an ONNX file, for other runtimes: `python -m model_core export FILE.npz --onnx FILE.onnx`. Needs onnx (the extra `onnx`)."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_core.artifact import Model, write_atomically
from model_core.data import CLASSES
from model_core.network import PIXELS

PRODUCER = "rookie"
BEGIN = re.compile(rb"\x08.\x12.%b" % PRODUCER.encode(), re.DOTALL)  # of our files: the version of the format, and who wrote it
OPSET, IR_VERSION = 17, 8  # old enough for every runtime since 2022


def to_onnx(model: Model) -> onnx.ModelProto:
    """The graph from `image` (N, 28, 28) uint8 to `probabilities` (N, 10) float32: standardiser, three layers, softmax."""
    constants = {**model.parameters._asdict(), "mean": model.standardizer.mean, "std": model.standardizer.std}
    initializers = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()]
    initializers.append(numpy_helper.from_array(np.array([-1, PIXELS], np.int64), "row"))
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Cast", ["image"], "float", {"to": TensorProto.FLOAT}),
        ("Reshape", ["float", "row"], "pixels", {}),
        ("Sub", ["pixels", "mean"], "centred", {}),
        ("Div", ["centred", "std"], "x", {}),
        ("Gemm", ["x", "w1", "b1"], "z1", {}),
        ("Relu", ["z1"], "a1", {}),
        ("Gemm", ["a1", "w2", "b2"], "z2", {}),
        ("Relu", ["z2"], "a2", {}),
        ("Gemm", ["a2", "w3", "b3"], "z3", {}),
        ("Softmax", ["z3"], "probabilities", {"axis": 1}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [output], name=output, **attributes) for kind, inputs, output, attributes in steps],
        "rookie",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 28, 28])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(CLASSES)])],
        initializers,
    )
    found = helper.make_model(graph, producer_name=PRODUCER, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(found, {"classes": json.dumps(list(CLASSES))})
    onnx.checker.check_model(found, full_check=True)
    return found


def write_onnx(model: Model, path: Path) -> None:
    """Write the model's ONNX file; an earlier one is replaced by a whole one or stays."""
    write_atomically(path, to_onnx(model).SerializeToString())
