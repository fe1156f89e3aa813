"""What answers are made of: what the network says of a picture, and whether the client has it all already.

schemas.Prediction describes a prediction; a test holds the two together.
"""

from typing import Any

import pydantic_core
from fastapi import Request, Response
from numpy.typing import NDArray

from app.errors import Problem
from app.inference import Answer, Served
from model_core.data import CLASSES

MOST_TAG_CHARACTERS = 4096  # of If-None-Match that are looked at


def _prediction(row: NDArray[Any], unfamiliar: bool | None, served: Served) -> dict[str, Any]:
    """One picture's answer, from its ten probabilities."""
    index = int(row.argmax())
    values = row.tolist()
    confidence = values[index]
    if confidence != confidence:  # NaN: weights that pass every check can still overflow
        raise Problem(f"model version {served.version} computes no numbers for this picture; activate another version")
    return {
        "label": CLASSES[index],
        "index": index,
        "confidence": confidence,
        "probabilities": dict(zip(CLASSES, values, strict=True)),
        "unfamiliar": unfamiliar,
        "model": {"version": served.version, "sha256": served.sha256},
    }


def predictions(answer: Answer) -> list[dict[str, Any]]:
    """The answers for pictures in order."""
    unfamiliar = [None] * len(answer.probabilities) if answer.unfamiliar is None else answer.unfamiliar.tolist()
    return [_prediction(row, flag, answer.served) for row, flag in zip(answer.probabilities, unfamiliar, strict=True)]


def json_response(content: Any) -> Response:
    """`content` as JSON, by the encoder that pydantic brings along."""
    return Response(pydantic_core.to_json(content), media_type="application/json")


def is_known(request: Request, tag: str) -> bool:
    """Whether the client has what `tag`, an ETag with its quotes, stands for (RFC 9110, section 13.1.2)."""
    given = request.headers.get("if-none-match", "")[:MOST_TAG_CHARACTERS]
    named = {each.strip().removeprefix("W/") for each in given.split(",")}
    return not named.isdisjoint({tag, "*"})
