"""The one picture that a request brings: read, and where `?prepare=photo` asks for it, prepared as the dataset's pictures were."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from fastapi import Depends, Query, Request
from numpy.typing import NDArray

from app import image_parts, images, photo, uploads
from app.inference import Predictor
from app.schemas import Prediction, Preparation
from app.turns import Workers

T = TypeVar("T")
PrepareQuery = Annotated[
    Literal["photo"] | None, Query(description="photo: any size and ground, prepared as the dataset's pictures were; up to 16 MiB")
]
PictureQuery = Annotated[bool, Query(description="with prepare=photo: send the prepared picture back, as a data URL")]


@dataclass(frozen=True)
class Incoming:
    """A picture as the network sees it, (28, 28) uint8, and what was done to it."""

    pixels: NDArray[np.uint8]
    preparation: Preparation | None


async def read(request: Request, prepare: PrepareQuery = None, picture: PictureQuery = False) -> Incoming:
    """The picture in the request. Raises what `uploads`, `images` and `photo` raise."""
    if prepare is None:
        content = await uploads.read_file(request, _with_long_work)
        if image_parts.is_quick(content):
            return Incoming(images.decode(content), None)
        return Incoming(await _with_long_work(request, images.decode, content), None)
    content = await uploads.read_file(request, _with_photographs)
    prepared = await _with_photographs(request, photo.prepare, content, request.app.state.settings.photo_pixels)
    return Incoming(prepared.pixels, _as_told(prepared, picture))


async def _with_long_work(request: Request, function: Callable[..., T], *arguments: Any) -> T:
    predictor: Predictor = request.app.state.predictor
    return await predictor.in_thread(function, *arguments)


async def _with_photographs(request: Request, function: Callable[..., T], *arguments: Any) -> T:
    """In threads of their own: a photograph takes longer than anything else."""
    photographs: Workers = request.app.state.photographs
    return await photographs.do(function, *arguments)


IncomingDep = Annotated[Incoming, Depends(read)]


def with_preparation(prediction: Prediction, incoming: Incoming) -> Prediction:
    """The answer, with what was done to its picture where something was."""
    return prediction.model_copy(update={"prepared": incoming.preparation}) if incoming.preparation else prediction


def _as_told(prepared: photo.Prepared, picture: bool) -> Preparation:
    encoded = base64.b64encode(images.encode_png(prepared.pixels)).decode() if picture else None
    return Preparation(
        width=prepared.size[0],
        height=prepared.size[1],
        inverted=prepared.inverted,
        steps=prepared.steps,
        picture=encoded and f"data:image/png;base64,{encoded}",
    )
