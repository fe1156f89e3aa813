"""Which version serves: one that can be loaded. What cannot is never made current, and where it is found to be, it is withdrawn."""

import dataclasses
import logging
import threading

import sqlalchemy as sa

from app.errors import NotFoundError
from app.inference import Served
from app.store import DamagedError, Store, models
from model_core import Model, artifact
from model_core.errors import ArtifactError

log = logging.getLogger("rookie")
_turn = threading.Lock()

# A version's file is refused; it is not there, though it is said to serve; its card is no JSON.
UNUSABLE = (ArtifactError, NotFoundError, DamagedError)


class NoModelError(Exception):
    """The database has no version that could serve."""


def load(db: sa.Connection, version: int) -> Model:
    """A stored version. Raises NotFoundError, or ArtifactError where its file is refused."""
    content = models.weights(db, version)
    if content is None:
        raise NotFoundError(f"there is no model version {version}; GET /models lists them")
    return artifact.from_bytes(content, f"version {version}")


def to_serve(db: sa.Connection, version: int) -> Served:
    """A stored version as it would serve, with the card that stands in the database. Raises one of UNUSABLE.

    An uploaded file's own card says what its sender wrote; the database's was measured here.
    """
    model, row = load(db, version), models.find(db, version)
    assert row is not None  # noqa: S101 (it was loaded in this transaction)
    return Served(version, row.sha256, dataclasses.replace(model, card=row.card))


def load_current(store: Store) -> Served:
    """The current version, from the database. Raises NoModelError, or one of UNUSABLE."""
    with store.read() as db:
        version = models.current_version(db)
        if version is None:
            raise NoModelError("the database has no current model version")
        return to_serve(db, version)


def check(store: Store, version: int) -> None:
    """Raise one of UNUSABLE where no service could load a stored version. One at a time: each is in memory for a moment."""
    with _turn, store.read() as db:
        to_serve(db, version)


def settle(db: sa.Connection) -> int | None:
    """Make sure that the current version can be loaded: else the newest before it that can, a shipped one, or any. None: nothing can."""
    refused = []
    for version in models.candidates(db):
        try:
            to_serve(db, version)
        except UNUSABLE as error:
            models.withdraw(db, version)
            refused.append(_reason(error))
            continue
        if version != models.current_version(db):
            models.activate(db, version, "no version that served before can be loaded")
        if refused:
            log.error("%s; version %d serves", "; ".join(refused), version)
        return version
    return None


def _reason(error: Exception) -> str:
    return error.detail if isinstance(error, NotFoundError) else str(error)
