"""A training run's state as bytes, to go on with later: its SHA-256, then an .npz with the arrays and the recipe."""

import hashlib
import io
import json
import zipfile

import numpy as np

from model_core.errors import ArtifactFormatError
from model_core.recipe import Recipe
from model_core.training import State

_ARRAYS = ("parameters", "velocity", "average", "best")
_FIGURES = ("best_accuracy", "best_epoch", "epoch", "history")
_DIGEST_BYTES = 32


def to_bytes(recipe: Recipe, state: State) -> bytes:
    """The run's recipe and state as they stand."""
    record = {"recipe": recipe.as_record(), "data": state.data, **{name: getattr(state, name) for name in _FIGURES}}
    buffer = io.BytesIO()
    arrays = {name: getattr(state, name) for name in _ARRAYS}
    np.savez(buffer, record=np.frombuffer(json.dumps(record).encode(), np.uint8), **arrays)
    content = buffer.getvalue()
    return hashlib.sha256(content).digest() + content


def from_bytes(content: bytes, source: str) -> tuple[Recipe, State]:
    """What `to_bytes` wrote, or ArtifactFormatError where a single bit of it is another."""
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ArtifactFormatError(f"{source} is a damaged checkpoint; delete it and start the run afresh")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            record = json.loads(arrays["record"].tobytes())
            figures = {name: record[name] for name in _FIGURES}
            state = State(**{name: arrays[name] for name in _ARRAYS}, **figures, data=record.get("data", ""))  # earlier versions have none
            recipe = Recipe.from_record(record["recipe"])
    except (zipfile.BadZipFile, AttributeError, EOFError, LookupError, OSError, TypeError, ValueError) as error:
        raise ArtifactFormatError(f"{source} is no checkpoint of this version ({error}); delete it and start the run afresh") from error
    return recipe, state
