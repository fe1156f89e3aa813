"""GET /samples: the test images with their true labels, where the dataset lies on the server."""

import threading
from functools import lru_cache
from pathlib import Path as Folder
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from app import images
from app.dependencies import SettingsDep
from app.errors import NotFoundError
from app.reading import ReadingRoute
from app.schemas import Problem
from model_core import data
from model_core.data import CLASSES, LabelledImages
from model_core.errors import DataError

router = APIRouter(route_class=ReadingRoute, prefix="/samples", tags=["predict"])


_turn = threading.Lock()


class Sample(BaseModel):
    """A test image."""

    index: int
    label: str = Field(description="what it truly is")
    picture: str = Field(description="link to the image, 28 x 28")


class SamplePage(BaseModel):
    """Some of the test images."""

    count: int = Field(description="test images there are; 0 where the dataset is not on the server")
    offset: int
    samples: list[Sample]


@router.get("")
def list_samples(
    settings: SettingsDep,
    offset: Annotated[int, Query(ge=0, le=10**6, description="first image")] = 0,
    limit: Annotated[int, Query(ge=1, le=100, description="most images in the answer")] = 24,
) -> SamplePage:
    """A page of the test images, with their true labels; none where the dataset is not on the server."""
    test = _test_images(settings.data_dir)
    if test is None:
        return SamplePage(count=0, offset=offset, samples=[])
    indices = range(offset, min(offset + limit, len(test.images)))
    samples = [Sample(index=k, label=CLASSES[test.labels[k]], picture=f"/samples/{k}.png") for k in indices]
    return SamplePage(count=len(test.images), offset=offset, samples=samples)


PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "the image"}, 404: {"model": Problem}}


@router.get("/{index}.png", response_class=Response, responses=PNG)
def show_sample(index: Annotated[int, Path(ge=0, le=10**6)], settings: SettingsDep) -> Response:
    """One test image, 28 x 28, as the dataset has it."""
    test = _test_images(settings.data_dir)
    if test is None or index >= len(test.images):
        raise NotFoundError(f"there is no test image {index}; GET /samples lists them")
    return Response(images.encode_png(test.images[index]), media_type="image/png", headers={"Cache-Control": "max-age=86400"})


def _test_images(folder: Folder) -> LabelledImages | None:
    """The test set, read once; None where it is not there yet (a training job may fetch it) or damaged."""
    try:
        with _turn:  # many who ask at once would each read it
            return _read(folder)
    except DataError:
        return None


@lru_cache(maxsize=1)
def _read(folder: Folder) -> LabelledImages:
    return data.load_test(folder)
