"""What routes ask for by type: the parts of the service that `main.create_app` put together.

They are coroutines because FastAPI runs functions in a thread, and there might be none left.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.drawing import Drawings
from app.events import EventHub
from app.inference import Predictor
from app.metrics import Meters
from app.reading import Readers
from app.settings import Settings
from app.store import Store
from app.turns import Workers
from app.watcher import Watcher


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _predictor(request: Request) -> Predictor:
    predictor: Predictor = request.app.state.predictor
    return predictor


async def _meters(request: Request) -> Meters:
    meters: Meters = request.app.state.meters
    return meters


async def _watcher(request: Request) -> Watcher:
    watcher: Watcher = request.app.state.watcher
    return watcher


async def _hub(request: Request) -> EventHub:
    hub: EventHub = request.app.state.hub
    return hub


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _drawings(request: Request) -> Drawings:
    drawings: Drawings = request.app.state.drawings
    return drawings


async def _readers(request: Request) -> Readers:
    readers: Readers = request.app.state.readers
    return readers


async def _uploads(request: Request) -> Workers:
    uploads: Workers = request.app.state.uploads
    return uploads


DrawingsDep = Annotated[Drawings, Depends(_drawings)]
EventHubDep = Annotated[EventHub, Depends(_hub)]
StoreDep = Annotated[Store, Depends(_store)]
MetersDep = Annotated[Meters, Depends(_meters)]
PredictorDep = Annotated[Predictor, Depends(_predictor)]
ReadersDep = Annotated[Readers, Depends(_readers)]
SettingsDep = Annotated[Settings, Depends(_settings)]
UploadsDep = Annotated[Workers, Depends(_uploads)]
WatcherDep = Annotated[Watcher, Depends(_watcher)]
