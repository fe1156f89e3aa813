"""What routes ask for by type: the parts of the service that `main.create_app` put together."""

from typing import Annotated

from fastapi import Depends, Request

from app.inference import Predictor
from app.store import Store
from app.watcher import Watcher


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _predictor(request: Request) -> Predictor:
    predictor: Predictor = request.app.state.predictor
    return predictor


def _watcher(request: Request) -> Watcher:
    watcher: Watcher = request.app.state.watcher
    return watcher


StoreDep = Annotated[Store, Depends(_store)]
PredictorDep = Annotated[Predictor, Depends(_predictor)]
WatcherDep = Annotated[Watcher, Depends(_watcher)]
