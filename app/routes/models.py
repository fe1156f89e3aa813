"""/models: the versions that there are, the one that serves, and the way to another."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Response

from app.dependencies import StoreDep
from app.errors import NotFoundError
from app.schemas import Activation, Problem, Version, VersionDetail, VersionList
from app.store import Row, models
from model_core import card

router = APIRouter(prefix="/models", tags=["models"], responses={404: {"model": Problem}})

VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("")
def list_versions(store: StoreDep) -> VersionList:
    """All versions, newest first."""
    with store.read() as db:
        current = models.current_version(db)
        return VersionList(models=[Version(**_summary(row, current)) for row in models.newest_first(db)])


@router.get("/current")
def show_current(store: StoreDep) -> VersionDetail:
    """The version that serves, with its card."""
    with store.read() as db:
        return _detail(db, models.current_version(db))


@router.put("/current")
def activate(activation: Activation, store: StoreDep) -> VersionDetail:
    """Let another version serve: go forward, or roll back. Every serving process follows within half a second."""
    with store.write() as db:
        _existing(db, activation.version)
        if models.current_version(db) != activation.version:
            models.activate(db, activation.version, "activated by request")
        return _detail(db, activation.version)


@router.get("/{version}")
def show(version: VersionPath, store: StoreDep) -> VersionDetail:
    """One version with its card."""
    with store.read() as db:
        return _detail(db, version)


@router.get("/{version}/card.md", response_class=Response, responses={200: {"content": {"text/markdown": {}}}})
def show_card(version: VersionPath, store: StoreDep) -> Response:
    """The model card as Markdown."""
    with store.read() as db:
        row = _existing(db, version)
    return Response(card.to_markdown(row.card, row.sha256), media_type="text/markdown; charset=utf-8")


@router.get("/{version}/weights.npz", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}})
def download(version: VersionPath, store: StoreDep) -> Response:
    """The weights file, for `model_core.load`."""
    with store.read() as db:
        row, content = _existing(db, version), models.weights(db, version)
    headers = {"Content-Disposition": f'attachment; filename="rookie-{version}.npz"', "ETag": f'"{row.sha256}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


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
