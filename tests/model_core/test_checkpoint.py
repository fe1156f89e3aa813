"""A run's state as bytes."""

import hashlib
import io
from typing import Any

import numpy as np
import pytest

from model_core import checkpoint
from model_core.errors import ArtifactFormatError
from tests.support.tiny import RECIPE, run

STATE = run(RECIPE)[1]
CONTENT = checkpoint.to_bytes(RECIPE, STATE)


def test_recipe_and_state_come_back_exactly() -> None:
    recipe, state = checkpoint.from_bytes(CONTENT, "run.checkpoint")
    assert recipe == RECIPE
    for name in ("parameters", "velocity", "average", "best"):
        np.testing.assert_array_equal(getattr(state, name), getattr(STATE, name))
        assert getattr(state, name).flags.writeable
    assert (state.epoch, state.best_epoch, state.best_accuracy) == (STATE.epoch, STATE.best_epoch, STATE.best_accuracy)
    assert state.history == STATE.history


def test_a_checkpoint_with_any_byte_flipped_is_refused() -> None:
    for at in range(0, len(CONTENT), len(CONTENT) // 150):
        damaged = bytearray(CONTENT)
        damaged[at] ^= 0x10
        with pytest.raises(ArtifactFormatError, match=r"run\.checkpoint is a damaged checkpoint; delete it"):
            checkpoint.from_bytes(bytes(damaged), "run.checkpoint")


@pytest.mark.parametrize("content", [b"", CONTENT[:31], CONTENT[:32], CONTENT[:-1], CONTENT + b"\x00", b"anything"], ids=range(6))
def test_a_checkpoint_cut_short_or_too_long_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactFormatError, match="damaged checkpoint"):
        checkpoint.from_bytes(content, "run.checkpoint")


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bytes_of(text: bytes) -> Any:
    return np.frombuffer(text, np.uint8)


@pytest.mark.parametrize("body", [b"", b"text", npz(), npz(record=1), npz(record=bytes_of(b"{")), npz(record=bytes_of(b"[]"))], ids=len)
def test_what_only_has_a_checkpoints_digest_is_refused(body: bytes) -> None:
    with pytest.raises(ArtifactFormatError, match=r"run\.checkpoint is no checkpoint of this version"):
        checkpoint.from_bytes(hashlib.sha256(body).digest() + body, "run.checkpoint")
