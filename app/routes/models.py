"""/models: the versions that there are, the one that serves, and the way to another."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor

from app import answers, quota, serving
from app.dependencies import SettingsDep, StoreDep, UploadsDep
from app.errors import ConflictError, InvalidRequestError, NotFoundError
from app.jobs import scoring
from app.reading import ReadingRoute
from app.schemas import Activation, Problem, Promote, Promotion, Upload, Version, VersionDetail, VersionList
from app.settings import Settings
from app.store import Row, Store, models
from model_core import Model, artifact, card, card_format
from model_core.errors import ArtifactError

router = APIRouter(route_class=ReadingRoute, prefix="/models", tags=["models"], responses={404: {"model": Problem}})

MOST_COMPARISONS = 3  # activations may come between scoring a model and adding it
ARTIFACT_BODY = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}},
    304: {"description": "the client's copy is still right"},
}
PromoteQuery = Annotated[Promote, Query(description="whether the model is to serve: if it is at least as good, always, or never")]


class _VersionConvertor(IntegerConvertor):
    """The digits of a version in a path: of thousands Python makes no number."""

    regex = "[0-9]{1,10}"


register_url_convertor("version", _VersionConvertor())
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("")
def list_versions(store: StoreDep) -> VersionList:
    """All versions, newest first."""
    with store.read() as db:
        current, before = models.current_version(db), models.predecessors(db, 1)
        return VersionList(
            current=current,
            previous=before[0] if before else None,
            models=[Version(**_summary(row, current)) for row in models.newest_first(db)],
        )


@router.get("/current")
def show_current(store: StoreDep) -> VersionDetail:
    """The version that serves, with its card."""
    with store.read() as db:
        return _detail(db, models.current_version(db))


@router.put("/current", responses={409: {"model": Problem}})
def activate(activation: Activation, store: StoreDep) -> VersionDetail:
    """Let another version serve: go forward, or roll back. Every serving process follows within half a second."""
    with store.change(lambda: serving.check(store, activation.version)) as db:
        _existing(db, activation.version)
        if models.current_version(db) != activation.version:
            models.activate(db, activation.version, "activated by request")
        return _detail(db, activation.version)


@router.post("", status_code=201, openapi_extra=ARTIFACT_BODY, responses={status: {"model": Problem} for status in (409, 413, 422, 503)})
async def upload(
    request: Request,
    response: Response,
    store: StoreDep,
    settings: SettingsDep,
    uploads: UploadsDep,
    promote: PromoteQuery = "if-better",
) -> Upload:
    """Add a weights file, as `/models/{version}/weights.npz` gives it. It is checked, scored here, and serves if it is good enough."""
    content = await request.body()
    model = await uploads.do(_checked, content)
    added = await run_in_threadpool(_add, store, settings, model, content, promote)
    response.headers["Location"] = f"/models/{added.model.version}"
    return added


@router.delete("/{version:version}", status_code=204, responses={409: {"model": Problem}})
def delete(version: VersionPath, store: StoreDep) -> None:
    """Remove a version that does not serve."""
    with store.change() as db:
        _existing(db, version)
        if models.current_version(db) == version:
            raise ConflictError(f"version {version} serves; activate another one first")
        models.remove(db, version)


@router.get("/{version:version}")
def show(version: VersionPath, store: StoreDep) -> VersionDetail:
    """One version with its card."""
    with store.read() as db:
        return _detail(db, version)


@router.get("/{version:version}/card.md", response_class=Response, responses={200: {"content": {"text/markdown": {}}}})
def show_card(version: VersionPath, store: StoreDep) -> Response:
    """The model card as Markdown."""
    with store.read() as db:
        row = _existing(db, version)
    return Response(card.to_markdown(row.card, row.sha256), media_type="text/markdown; charset=utf-8")


@router.get("/{version:version}/weights.npz", response_class=Response, responses=FILE)
def download(version: VersionPath, request: Request, store: StoreDep) -> Response:
    """The weights file, for `model_core.load`."""
    with store.read() as db:
        tag = f'"{_existing(db, version).sha256}"'
        if answers.is_known(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        content = models.weights(db, version)
    headers = {"Content-Disposition": f'attachment; filename="rookie-{version}.npz"', "ETag": tag}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _checked(content: bytes) -> Model:
    """The model in an uploaded weights file. Raises InvalidRequestError."""
    try:
        model = artifact.from_bytes(content, "the upload")
        card_format.check(model.card, "the upload")
    except ArtifactError as error:
        raise InvalidRequestError(str(error)) from error
    return model


def _add(store: Store, settings: Settings, model: Model, content: bytes, promote: str) -> Upload:
    """Score and keep an uploaded model; the gate's word counts only if the version it compared with still serves."""
    with store.read() as db:
        quota.check_storage(db, settings)
    for _ in range(MOST_COMPARISONS):
        score = scoring.score_in_process(settings, content, promote)
        model.card["metrics"] = score.metrics  # what the card said of itself counts for nothing
        with store.change() as db:
            if models.current_version(db) == score.compared_with:
                version = models.add(db, model, content, "uploaded")
                if score.promotion["promoted"]:
                    models.activate(db, version, score.promotion["reason"])
                models.prune(db, settings.keep_versions)
                return Upload(model=_detail(db, version), promotion=Promotion(**score.promotion))
    raise ConflictError("the serving model changed again and again while the upload was scored; send it again")


def _existing(db: sa.Connection, version: int | None) -> Row:
    row = None if version is None else models.find(db, version)
    if row is None:
        raise NotFoundError(f"there is no model version {version}; GET /models lists them")
    return row


def _detail(db: sa.Connection, version: int | None) -> VersionDetail:
    row = _existing(db, version)
    return VersionDetail(**_summary(row, models.current_version(db)), card=row.card)


def _summary(row: Row, current: int | None) -> dict[str, Any]:
    """A version as the API shows it, without its card."""
    path = f"/models/{row.version}"
    return {
        "version": row.version,
        "sha256": row.sha256,
        "source": row.source,
        "job": row.job,
        "created": row.created,
        "current": row.version == current,
        "validation_accuracy": row.validation_accuracy,
        "test_accuracy": row.test_accuracy,
        "links": {"self": path, "card": f"{path}/card.md", "weights": f"{path}/weights.npz"},
    }
