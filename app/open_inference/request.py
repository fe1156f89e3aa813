"""An inference request, judged field by field: the pixels of its pictures, and how its answer is to look."""

import itertools
import math
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from app.errors import InferenceError, TooLargeError
from app.inference import Pixels
from app.open_inference.body import Body
from app.open_inference.description import INPUT, MODEL, OUTPUT
from model_core.network import PIXELS

T = TypeVar("T")

MOST_ID = 1000  # characters: the answer repeats it
MOST_SIZES = 32  # of a shape
SLICE = 2**16  # numbers that are converted in one go, during which no other thread runs
DATATYPES: dict[str, np.dtype[Any]] = {
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}


class InferenceRequest(NamedTuple):
    """What is asked."""

    id: str | None
    pixels: Pixels  # (N, 784), 0..255
    binary: bool  # whether the answer's tensor follows its JSON as bytes
    classes: int  # how many classes to name; 0: the probabilities themselves


def parse(body: Body, most_rows: int) -> InferenceRequest:
    """The request in a body, with at most so many pictures. Raises InferenceError or TooLargeError."""
    if body.document is None:  # a raw binary request: nothing but pixels
        rows = len(body.binary) // PIXELS
        _check_rows(rows, most_rows)
        return InferenceRequest(None, _from_bytes(body.binary, len(body.binary), (rows, PIXELS), np.dtype(np.uint8)), False, 0)
    document = body.document
    binary, classes = _wanted_output(document)
    return InferenceRequest(_request_id(document), _pixels(_only_input(document), body.binary, most_rows), binary, classes)


def _request_id(document: dict[str, Any]) -> str | None:
    found = document.get("id")
    if found is not None and (not isinstance(found, (str, int)) or isinstance(found, bool)):
        raise InferenceError(f"'id' is of type {type(found).__name__}; it must be a string")
    text = None if found is None else str(found)
    if text and len(text) > MOST_ID:
        raise InferenceError(f"'id' has {len(text)} characters; it may have {MOST_ID}")
    return text


def _wanted_output(document: dict[str, Any]) -> tuple[bool, int]:
    """Whether the one output is to be binary, and how many classes it is to name."""
    binary = _field(_parameters(document, "the request"), "binary_data_output", bool, "the request", False)
    outputs = _field(document, "outputs", list, "the request", [])
    classes = 0
    if len(outputs) > 1:
        raise InferenceError(f"{len(outputs)} outputs are asked for; model '{MODEL}' has one, '{OUTPUT}'")
    for output in outputs:
        name = _field(_object(output, "an output"), "name", str, "an output")
        if name != OUTPUT:
            raise InferenceError(f"unexpected inference output '{name[:100]}' for model '{MODEL}'; it has '{OUTPUT}'")
        parameters = _parameters(output, f"output '{OUTPUT}'")
        binary = _field(parameters, "binary_data", bool, f"output '{OUTPUT}'", binary)
        classes = _field(parameters, "classification", int, f"output '{OUTPUT}'", 0)
        if classes < 0 or ("classification" in parameters and classes == 0):
            raise InferenceError(f"'classification' of output '{OUTPUT}' is {str(classes)[:20]}; it must be 1 or more")
    return binary, classes


def _only_input(document: dict[str, Any]) -> dict[str, Any]:
    inputs = _field(document, "inputs", list, "the request")
    if len(inputs) != 1:
        raise InferenceError(f"expected 1 inputs but got {len(inputs)} inputs for model '{MODEL}'")
    only = _object(inputs[0], "an input")
    name = _field(only, "name", str, "an input")
    if name != INPUT:
        raise InferenceError(f"unexpected inference input '{name[:100]}' for model '{MODEL}'; it has '{INPUT}'")
    return only


def _pixels(tensor: dict[str, Any], binary: memoryview, most_rows: int) -> Pixels:
    owner = f"input '{INPUT}'"
    name = _field(tensor, "datatype", str, owner)
    if name not in DATATYPES:
        raise InferenceError(f"{owner} has datatype {name[:100]!r}; this model reads {', '.join(DATATYPES)}")
    shape = _shape(_field(tensor, "shape", list, owner))
    _check_rows(shape[0], most_rows)
    parameters = _parameters(tensor, owner)
    if any(key.startswith("shared_memory") for key in parameters):
        raise InferenceError(f"{owner} lies in shared memory, which this service does not read; send the data itself")
    size = _field(parameters, "binary_data_size", int, owner, -1)
    if "binary_data_size" in parameters and "data" in tensor:
        raise InferenceError(f"{owner} has both 'data' and 'binary_data_size'; send one of them")
    if "binary_data_size" in parameters:
        return _from_bytes(binary, size, shape, DATATYPES[name])
    if binary:
        raise InferenceError(f"{len(binary)} bytes follow the JSON, but {owner} has no 'binary_data_size'")
    return _from_list(_field(tensor, "data", list, owner), shape, DATATYPES[name])


def _shape(sizes: list[Any]) -> tuple[int, ...]:
    """A shape whose rows hold 784 values."""
    if len(sizes) > MOST_SIZES:
        raise InferenceError(f"input '{INPUT}' has a shape of {len(sizes)} sizes; [N,1,28,28] has four, and {MOST_SIZES} are read")
    if not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        raise InferenceError(f"input '{INPUT}' has shape {str(sizes)[:100]}; sizes are whole numbers from 1")
    if math.prod(sizes[1:]) != PIXELS:
        raise InferenceError(f"input '{INPUT}' has shape {sizes}; each row must hold 784 values, as in [N,1,28,28] or [N,784]")
    return tuple(sizes)


def _check_rows(rows: int, most_rows: int) -> None:
    if rows > most_rows:
        raise TooLargeError(f"inference request batch-size must be <= {most_rows} for '{MODEL}', but is {rows}")


def _from_bytes(binary: memoryview, size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
    expected = shape[0] * PIXELS * dtype.itemsize
    if not size == expected == len(binary) or not shape[0]:
        fault = f"{len(binary)} bytes follow the JSON, 'binary_data_size' is {str(size)[:20]}"
        raise InferenceError(f"input '{INPUT}' got {fault}, and its shape and datatype need {expected}")
    return _judged(np.frombuffer(binary, dtype))


def _from_list(data: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
    """Numbers in row-major order, in one list or nested as the shape says."""
    level = data
    if data and isinstance(data[0], list):
        level = [data]
        for size in shape:
            if not all(type(each) is list and len(each) == size for each in level):
                raise InferenceError(f"the data of input '{INPUT}' is not nested as its shape {list(shape)} says")
            level = list(itertools.chain.from_iterable(level))
    if len(level) != shape[0] * PIXELS:
        raise InferenceError(f"input '{INPUT}' got {len(level)} values for shape {list(shape)}, which holds {shape[0] * PIXELS}")
    values = np.empty(len(level), np.float64)
    for start in range(0, len(level), SLICE):
        values[start : start + SLICE] = _as_floats(level[start : start + SLICE])
    if dtype.kind == "f":
        return _judged(values)
    if not (values == np.floor(values)).all():
        raise InferenceError(f"the data of input '{INPUT}' has fractions, which its datatype cannot hold; FP32 can")
    return _judged(values).astype(np.uint8)


def _as_floats(numbers: list[Any]) -> NDArray[np.float64]:
    if not set(map(type, numbers)) <= {int, float}:
        raise InferenceError(f"the data of input '{INPUT}' has values that are no numbers")
    try:
        return np.array(numbers, np.float64)
    except OverflowError as error:
        raise InferenceError(f"the data of input '{INPUT}' has numbers beyond all bounds") from error


def _judged(values: NDArray[Any]) -> Pixels:
    """Pixels (N, 784) as uint8, or where they may have fractions as float32; all of them 0..255, which NaN is not.

    A copy: the bytes that they came with, of which they may be a thousandth, can go.
    """
    if values.dtype != np.uint8 and not (values.min() >= 0 and values.max() <= 255):
        raise InferenceError(f"input '{INPUT}' has values outside 0..255; they are pixels, light on dark, neither scaled nor standardised")
    kind: type[np.float32] | type[np.uint8] = np.float32 if values.dtype.kind == "f" else np.uint8
    return cast(Pixels, values.astype(kind).reshape(-1, PIXELS))


def _parameters(owner: dict[str, Any], name: str) -> dict[str, Any]:
    return _field(owner, "parameters", dict, name, {})


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InferenceError(f"{name} is of type {type(value).__name__}; it must be an object")
    return value


def _field(owner: dict[str, Any], key: str, kind: type[T], name: str, default: T | None = None) -> T:
    """A field of the type that it must have; one without a default must be there."""
    value = owner.get(key, default)
    if value is None:
        raise InferenceError(f"{name} has no '{key}'")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InferenceError(f"'{key}' of {name} is of type {type(value).__name__}; it must be {kind.__name__}")
    return value
