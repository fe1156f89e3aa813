"""POST /predict: one image in, ten probabilities out."""

from fastapi import APIRouter

from app import uploads
from app.dependencies import PredictorDep
from app.incoming import IncomingDep, with_preparation
from app.schemas import Prediction, Problem

router = APIRouter(tags=["predict"])


@router.post(
    "/predict",
    openapi_extra=uploads.REQUEST_BODY,
    responses={status: {"model": Problem} for status in (413, 415, 422)},
    response_model_exclude_unset=True,
)
async def predict(incoming: IncomingDep, predictor: PredictorDep) -> Prediction:
    """Classify one picture: 28 x 28, light garment on dark ground, or any photograph with prepare=photo.

    It comes as multipart part `file` or as the body itself (image/*).
    """
    return with_preparation(predictor.classify(incoming.pixels[None])[0], incoming)
