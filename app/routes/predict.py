"""POST /predict: one image in, ten probabilities out."""

from fastapi import APIRouter, Request, Response

from app import answers, images, uploads
from app.dependencies import PredictorDep
from app.schemas import Prediction, Problem

router = APIRouter(tags=["predict"])


@router.post(
    "/predict",
    response_model=Prediction,
    openapi_extra=uploads.REQUEST_BODY,
    responses={status: {"model": Problem} for status in (413, 415, 422, 503)},
)
async def predict(request: Request, predictor: PredictorDep) -> Response:
    """Classify one 28 x 28 picture: light garment on dark ground, as multipart part `file` or as the body itself (image/*)."""
    image = images.decode(await uploads.read_file(request))
    answer = await predictor.classify(image[None])
    return answers.json_response(answers.prediction(answer.probabilities[0], answer.served))
