"""POST /explain: one image in, and out comes why it got its answer."""

from fastapi import APIRouter

from app import answers, uploads
from app.dependencies import PredictorDep
from app.explanation import Explanation, explanation
from app.incoming import IncomingDep, with_preparation
from app.inference import Answer
from app.schemas import Prediction, Problem
from model_core.network import PIXELS

router = APIRouter(tags=["predict"])


@router.post(
    "/explain",
    openapi_extra=uploads.REQUEST_BODY,
    responses={status: {"model": Problem} for status in (413, 415, 422)},
    response_model_exclude_unset=True,
)
async def explain(incoming: IncomingDep, predictor: PredictorDep) -> Explanation:
    """Classify one picture and say why: what each pixel adds to the winner and the runner-up, and the units that were most active."""
    served = predictor.served
    rows = incoming.pixels.reshape(1, PIXELS)
    answer = Answer(served.probabilities(rows), served, served.unfamiliar(rows))
    prediction = with_preparation(Prediction(**answers.predictions(answer)[0]), incoming)
    return await predictor.in_thread(explanation, served, incoming.pixels, prediction)
