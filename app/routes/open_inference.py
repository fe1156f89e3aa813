"""/v2: the Open Inference Protocol over REST, as KServe and Triton speak it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import WithJsonSchema
from starlette.concurrency import run_in_threadpool

from app.dependencies import MetersDep, PredictorDep, ReadersDep, SettingsDep, StoreDep, WatcherDep
from app.errors import InferenceError, NotFoundError
from app.inference import Answer, Predictor
from app.open_inference import answer, body, description, repository, statistics
from app.open_inference import request as inference_request
from app.open_inference.description import MODEL
from app.open_inference.request import InferenceRequest
from app.reading import ReadingRoute
from app.routes.operations import check_ready
from app.schemas import Problem
from app.settings import Settings
from app.store import Store
from app.watcher import INTERVAL_SECONDS

LARGE_BYTES = 2**17  # a body that is taken apart, and an answer that is put together, in a thread
SWAP_SECONDS = 4 * INTERVAL_SECONDS  # for this process to take up a version that was just activated

router = APIRouter(
    route_class=ReadingRoute, prefix="/v2", tags=["open inference protocol"], responses={400: {"model": Problem}, 404: {"model": Problem}}
)


async def _known_model(model: str, predictor: PredictorDep) -> int:
    """The version of the model in the path that serves."""
    if model != MODEL:
        raise NotFoundError(f"Request for unknown model: '{model[:100]}' is not found")
    return predictor.served.version


VersionDep = Annotated[int, Depends(_known_model)]
VersionText = Annotated[str, WithJsonSchema({"type": "integer", "minimum": 1})]  # read as text, so that it is refused in Triton's words


async def _known_version(version: VersionText, served: VersionDep) -> None:
    """The version in the path serves."""
    _check_version(version, served)


def _check_version(text: str, served: int) -> None:
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise InferenceError(
            f"failed to get model version from specified version string '{text[:100]}' (version should be an integral value > 0)"
        )
    if text.lstrip("0") != str(served):
        raise NotFoundError(f"Request for unknown model: '{MODEL}' version {text[:100]} is not found; version {served} is loaded")


OF_VERSION = [Depends(_known_version)]


@router.get("")
@router.get("/", include_in_schema=False)
async def server_metadata() -> dict[str, Any]:
    """Name, version and extensions of the server."""
    return description.server()


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready", responses={503: {"model": Problem}})
async def ready(watcher: WatcherDep) -> dict[str, bool]:
    """A model is loaded and the database answers."""
    check_ready(watcher)
    return {"ready": True}


@router.get("/models/stats")
def all_statistics(meters: MetersDep, predictor: PredictorDep) -> dict[str, Any]:
    """What the one model has done."""
    return {"model_stats": [statistics.of_version(meters, predictor.served.version)]}


@router.get("/models/{model}")
@router.get("/models/{model}/versions/{version}", dependencies=OF_VERSION)
async def model_metadata(version: VersionDep) -> dict[str, Any]:
    """Names, datatypes and shapes of the model's input and output."""
    return description.model(version)


@router.get("/models/{model}/ready")
@router.get("/models/{model}/versions/{version}/ready", dependencies=OF_VERSION)
async def model_ready(version: VersionDep) -> dict[str, Any]:
    """That version serves."""
    return {"name": MODEL, "version": str(version), "ready": True}


@router.get("/models/{model}/config")
@router.get("/models/{model}/versions/{version}/config", dependencies=OF_VERSION)
async def model_configuration(version: VersionDep, settings: SettingsDep) -> dict[str, Any]:
    """The model's configuration, in Triton's form."""
    return description.configuration(version, settings.batch_rows)


@router.get("/models/{model}/stats")
@router.get("/models/{model}/versions/{version}/stats", dependencies=OF_VERSION)
def model_statistics(version: VersionDep, meters: MetersDep) -> dict[str, Any]:
    """What that version has done since the service started."""
    return {"model_stats": [statistics.of_version(meters, version)]}


INFERENCE: dict[str, Any] = {
    "response_class": Response,
    "responses": {413: {"model": Problem}, 503: {"model": Problem}},
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object", "required": ["inputs"], "properties": {"inputs": {"type": "array"}}}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
}


@router.post("/models/{model}/infer", dependencies=[Depends(_known_model)], **INFERENCE)
@router.post("/models/{model}/versions/{version}/infer", dependencies=OF_VERSION, **INFERENCE)
async def infer(request: Request, predictor: PredictorDep) -> Response:
    """Classify pictures: tensor `image`, rows of 784 pixels 0..255, in JSON or binary; the answer is `probabilities`, or classes."""
    return await run_inference(request, predictor, request.path_params.get("version"))


async def run_inference(request: Request, predictor: Predictor, version: str | None = None) -> Response:
    """One inference, from the body's bytes to the answer's; the large ones are read and written off the event loop."""
    content, settings = await request.body(), request.app.state.settings
    if len(content) <= LARGE_BYTES and "content-encoding" not in request.headers:  # a packed one may be large
        asked = _parse(content, request.headers, settings)
    else:
        asked = await predictor.in_thread(_parse, content, request.headers, settings)
    if version is not None:
        _check_version(version, predictor.served.version)  # it may have been replaced while the body came in
    answered = await predictor.classify(asked.pixels)
    if len(asked.pixels) * 10 <= LARGE_BYTES // 64:
        return _encode(asked, answered)
    return await predictor.in_thread(_encode, asked, answered)


def _parse(content: bytes, headers: Mapping[str, str], settings: Settings) -> InferenceRequest:
    return inference_request.parse(body.read(content, headers, settings.batch_bytes), settings.batch_rows)


def _encode(asked: InferenceRequest, answered: Answer) -> Response:
    content, headers = answer.encode(asked, answered)
    return Response(content, headers=headers)


@router.post("/repository/index")
async def repository_index(request: Request, store: StoreDep, readers: ReadersDep) -> list[dict[str, str]]:
    """The model's versions; the body may be empty, or `{"ready": true}` for the one that serves."""
    document = await _document(request)
    return await readers.do(_index, store, document.get("ready") is True)


def _index(store: Store, ready_only: bool) -> list[dict[str, str]]:
    with store.read() as db:
        return repository.index(db, ready_only)


@router.post("/repository/models/{model}/load", dependencies=[Depends(_known_model)])
async def load(request: Request, store: StoreDep, predictor: PredictorDep) -> dict[str, Any]:
    """Let a version serve: the one that parameter `version` or a version policy in `config` names. Without one, nothing changes."""
    wanted = await run_in_threadpool(_activate, store, repository.wanted_version(await _document(request)))
    for _ in range(20):  # the other serving processes follow within half a second
        if predictor.served.version == wanted:
            break
        await asyncio.sleep(SWAP_SECONDS / 20)
    return {"name": MODEL, "version": str(wanted)}


def _activate(store: Store, version: int | None) -> int:
    with store.change(lambda: repository.check(store, version)) as db:
        return repository.activate(db, version)


@router.post("/repository/models/{model}/unload")
async def unload(version: VersionDep) -> None:
    """Refused: the service always serves a model."""
    raise InferenceError(
        f"failed to unload '{MODEL}': version {version} serves, and the service is never without a model; load another one"
    )


async def _document(request: Request) -> dict[str, Any]:
    """The JSON object in a body, which may be left out; its Content-Type says nothing, for clients send none."""
    settings: Settings = request.app.state.settings
    content = body.unpack(await request.body(), request.headers.get("content-encoding", ""), settings.body_bytes)
    return body.parse_object(content) if content.strip() else {}
