"""POST /predict: one image in, ten probabilities out; POST /predict/batch: many."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from app import answers, images, uploads
from app.dependencies import PredictorDep
from app.errors import Problem
from app.incoming import IncomingDep
from app.inference import Answer
from app.schemas import BatchPrediction, Prediction
from app.schemas import Problem as ProblemDocument

router = APIRouter(tags=["predict"])


@router.post(
    "/predict",
    response_model=Prediction,
    openapi_extra=uploads.REQUEST_BODY,
    responses={status: {"model": ProblemDocument} for status in (413, 415, 422, 503)},
)
async def predict(incoming: IncomingDep, predictor: PredictorDep) -> Response:
    """Classify one picture: 28 x 28, light garment on dark ground, or any photograph with prepare=photo.

    It comes as multipart part `file` or as the body itself (image/*).
    """
    told = answers.predictions(await predictor.classify(incoming.pixels[None], judge=True))[0]
    if incoming.preparation:
        told["prepared"] = incoming.preparation.model_dump()
    return answers.json_response(told)


@router.post(
    "/predict/batch",
    response_model=BatchPrediction,
    openapi_extra=uploads.BATCH_BODY,
    responses={status: {"model": ProblemDocument} for status in (413, 415, 422, 503)},
)
async def predict_batch(request: Request, predictor: PredictorDep) -> Response:
    """Classify many pictures: parts named `files`, or an array (N, 28, 28) uint8 as numpy.save writes it. One bad file spoils no other."""
    if uploads.media_type(request) in uploads.NPY_TYPES:
        pixels = uploads.parse_npy(await request.body(), request.app.state.settings.batch_rows)
        return await predictor.in_thread(_batch_response, [None] * len(pixels), await predictor.classify(pixels, judge=True))
    body, form = await uploads.read_form(request)
    async with predictor.forms.turn():
        decoded = await uploads.use_files(body, form, _decode, predictor.in_thread)
        pictures = [picture for picture in decoded if not isinstance(picture, dict)]
        answer = await predictor.classify(np.stack(pictures), judge=True) if pictures else None
        return await predictor.in_thread(_batch_response, [each if isinstance(each, dict) else None for each in decoded], answer)


def _decode(file: bytes) -> NDArray[np.uint8] | dict[str, Any]:
    """The picture in a file, or the document of its problem: the error itself would keep all that was read."""
    try:
        return images.decode(file)
    except Problem as problem:
        return problem.document()


def _batch_response(problems: list[dict[str, Any] | None], answer: Answer | None) -> Response:
    """Predictions in order, with the problems in their places."""
    predicted = iter(answers.predictions(answer) if answer else [])
    return answers.json_response({"predictions": [next(predicted) if problem is None else problem for problem in problems]})
