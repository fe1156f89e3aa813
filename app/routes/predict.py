"""POST /predict: one image in, ten probabilities out."""

from fastapi import APIRouter, Request

from app import images, uploads
from app.dependencies import PredictorDep
from app.schemas import Prediction, Problem

router = APIRouter(tags=["predict"])


@router.post("/predict", openapi_extra=uploads.REQUEST_BODY, responses={status: {"model": Problem} for status in (413, 415, 422)})
async def predict(request: Request, predictor: PredictorDep) -> Prediction:
    """Classify one 28 x 28 picture: light garment on dark ground, as multipart part `file` or as the body itself (image/*)."""
    image = images.decode(await uploads.read_file(request))
    return predictor.classify(image[None])[0]
