"""create_app(settings): the parts of the service, put together."""

import asyncio
import ctypes
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

import model_core
from app import errors, openapi, shutdown
from app.direct import DirectRoutes
from app.doors import Doors
from app.drawing import Drawings
from app.events import EventHub
from app.inference import Predictor
from app.jobs import scoring
from app.jobs.dispatch import Dispatcher
from app.limits import BodyLimit
from app.logs import LineWriter, take_warnings
from app.metrics import Meters
from app.observer import Observer
from app.policy import Policy
from app.proxy import RootPath, TrustedProxies
from app.reading import Readers
from app.routes import explain, open_inference, operations, predict, recipes, samples, train, weights
from app.routes import models as model_routes
from app.schemas import Problem
from app.serving import load_current, settle
from app.settings import Settings
from app.store import Store, models
from app.turns import Workers
from app.watcher import Watcher
from model_core import Model, artifact, card_format
from model_core.errors import ArtifactError

PHOTO_SECONDS = 10.0  # that one waits for its turn
PHOTO_PLACES = 2  # photographs that are decoded at the same time: each may take a few hundred megabytes
UPLOAD_SECONDS = 10.0  # the same for weights files, which are checked one at a time
# What pages of ROOKIE_CORS_ORIGINS may send, and read of an answer, besides what every page may.
CORS: Mapping[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "DELETE"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "Inference-Header-Content-Length",
        "Last-Event-ID",
        "X-Request-ID",
    ],
    "expose_headers": ["ETag", "Inference-Header-Content-Length", "Location", "Retry-After", "X-Request-ID"],
}
log = logging.getLogger("rookie")


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application; its database is opened when it starts."""
    app = FastAPI(
        title="Rookie",
        version=model_core.__version__,
        description="A three-layer neural network in NumPy: predict, look inside, retrain.",
        lifespan=_lifespan,
        responses={
            "4XX": {"model": Problem, "description": "a problem document that says what to change"},
            503: {"model": Problem, "description": "not now: too much is in hand, or the database is busy"},
        },
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        redirect_slashes=False,  # such a redirect names host and scheme, which a proxy may have changed
        openapi_url=None,  # openapi.py has a route of its own for it
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # each request would be asked about; the observer notes it all
    )
    app.state.settings = settings
    app.state.meters = Meters()
    app.state.photographs = Workers(PHOTO_PLACES, PHOTO_SECONDS, "photographs", "photo")
    app.state.uploads = Workers(1, UPLOAD_SECONDS, "the check of uploaded models", "upload")
    for routes in (predict, explain, open_inference, samples, weights, recipes, train, model_routes, operations):
        app.include_router(routes.router)
    operations.mount_files(app)
    errors.install(app)
    openapi.install(app, settings)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """From the innermost to the outermost: each one stands around those before it."""
    app.add_middleware(DirectRoutes)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Doors, settings=settings)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    app.add_middleware(Observer, meters=app.state.meters, log=LineWriter() if settings.access_log else None)
    app.add_middleware(Policy)
    if settings.root_path:
        app.add_middleware(RootPath, root=settings.root_path)
    if settings.trusted_proxies:
        app.add_middleware(TrustedProxies, trusted_hosts=list(settings.trusted_proxies))


def create_app_from_environ() -> FastAPI:
    """What each of uvicorn's processes calls."""
    take_warnings()
    app = create_app(Settings.from_environ(os.environ))
    gc.freeze()  # what is loaded now stays; a collection that walked over all of it would hold up a request for milliseconds
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the store, load the current model, and watch both until the service stops."""
    settings: Settings = app.state.settings
    store = await run_in_threadpool(open_store, settings)
    app.state.store = store
    app.state.predictor = Predictor(load_current(store), settings.queue_rows, app.state.meters)
    _give_back_memory()
    dispatcher = Dispatcher(store, settings, os.environ)
    app.state.drawings = Drawings()
    app.state.readers = Readers()
    app.state.hub = EventHub(store, app.state.readers, settings.event_streams)
    app.state.watcher = Watcher(store, app.state.predictor, dispatcher, app.state.hub)
    shutdown.on_stop_signal(app.state.hub.close)
    watching = asyncio.create_task(app.state.watcher.run())
    try:
        yield
    finally:
        shutdown.end_in_time()
        app.state.watcher.stop()
        scoring.stop()
        with suppress(asyncio.CancelledError):  # a second Ctrl-C; trainers are told all the same
            await watching
        await run_in_threadpool(dispatcher.stop)
        app.state.readers.close()
        app.state.predictor.close()
        app.state.photographs.close()
        app.state.uploads.close()
        app.state.drawings.close()
        store.close()


def open_store(settings: Settings) -> Store:
    """The database, with the shipped model in it. Raises StoreError, or ArtifactError where nothing could serve."""
    store = Store(settings.store_url)
    store.prepare()
    with store.explained():
        try:
            content = artifact.read_bytes(settings.model)
            shipped = artifact.from_bytes(content, str(settings.model))
            card_format.check(shipped.card, str(settings.model))
        except ArtifactError as error:
            with store.write() as db:
                if settle(db) is None:
                    raise
            log.warning("%s; the database's current model serves", error)
        else:
            with store.write() as db:
                _take_in(db, shipped, content)
    return store


def _take_in(db: sa.Connection, shipped: Model, content: bytes) -> None:
    """Add the shipped model where it is new or damaged; once removed, it comes back where nothing else can serve, and serves."""
    sha256 = artifact.sha256(content)
    version = models.version_with(db, sha256)
    is_damaged = version is not None and models.weights(db, version) != content
    is_missing = version is None and (not models.was_shipped(db, sha256) or settle(db) is None)
    if is_damaged or is_missing:
        version = models.add(db, shipped, content, "shipped")
    models.note_shipped(db, sha256)
    if models.current_version(db) is None and version is not None:
        models.activate(db, version, "the shipped model, in an empty database")
    settle(db)


def _give_back_memory() -> None:
    """What loading took and no longer needs, glibc would keep: ten megabytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
