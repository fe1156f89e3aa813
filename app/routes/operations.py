"""For operators and browsers: probes, API documentation, the page and its files."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.dependencies import MetersDep, PredictorDep, StoreDep, WatcherDep
from app.errors import UnavailableError
from app.facts import Facts
from app.files import File, Files
from app.reading import ReadingRoute
from app.schemas import Problem
from app.watcher import Watcher

router = APIRouter(route_class=ReadingRoute, tags=["operations"])

STATIC = Path(__file__).parent.parent / "static"


def check_ready(watcher: Watcher) -> None:
    """Raise UnavailableError unless the database answers; a model is loaded before anything is answered."""
    if not watcher.is_fresh:
        raise UnavailableError("the database does not answer; predictions go on with the model in memory", retry_after_seconds=5)


@router.get("/livez")
async def live() -> dict[str, Any]:
    """The process answers."""
    return {"live": True}


@router.get("/readyz", responses={503: {"model": Problem}})
async def ready(predictor: PredictorDep, watcher: WatcherDep) -> dict[str, Any]:
    """A model is loaded and the database answers."""
    check_ready(watcher)
    return {"ready": True, "model": {"version": predictor.served.version, "sha256": predictor.served.sha256}}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(meters: MetersDep, store: StoreDep) -> Response:
    """Counters, histograms and facts of all serving processes, for a Prometheus server."""
    return Response(meters.exposition(Facts(store)), media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
async def page() -> File:
    """The page."""
    return File(STATIC / "index.html")


@router.get("/docs", include_in_schema=False)
async def docs() -> File:
    """Swagger UI over /openapi.json, all of it served from here."""
    return File(STATIC / "docs.html")


def mount_files(app: FastAPI) -> None:
    """Serve the page's files, and Swagger UI's, which a package brings along."""
    app.mount("/static", Files(directory=STATIC))
    app.mount("/docs/assets", Files(directory=str(files("fastapi_offline") / "static")))
