"""Which version serves: one that can be loaded. What cannot is never made current, and where it is found to be, it is withdrawn."""

import dataclasses
import logging

import sqlalchemy as sa

from app.errors import NotFoundError
from app.inference import Served
from app.store import Store, models
from model_core import Model, artifact
from model_core.errors import ArtifactError

log = logging.getLogger("rookie")


class NoModelError(Exception):
    """The database has no version that could serve."""


def load(db: sa.Connection, version: int) -> Model:
    """A stored version. Raises NotFoundError, or ArtifactError where its file is refused."""
    content = models.weights(db, version)
    if content is None:
        raise NotFoundError(f"there is no model version {version}; GET /models lists them")
    return artifact.from_bytes(content, f"version {version}")


def load_current(store: Store) -> Served:
    """The current version, from the database, with the card that stands there. Raises NoModelError or ArtifactError.

    An uploaded file's own card says what its sender wrote; the database's was measured here.
    """
    with store.read() as db:
        version = models.current_version(db)
        row = None if version is None else models.find(db, version)
        if version is None or row is None:
            raise NoModelError("the database has no current model version")
        model = load(db, version)
    return Served(version, row.sha256, dataclasses.replace(model, card=row.card))


def activate(db: sa.Connection, version: int, reason: str) -> None:
    """Let a stored version serve. Raises NotFoundError, or ArtifactError where no service could load it."""
    load(db, version)
    models.activate(db, version, reason)


def settle(db: sa.Connection) -> int | None:
    """Make sure that the current version can be loaded: else the newest before it that can, a shipped one, or any. None: nothing can."""
    refused = []
    for version in models.candidates(db):
        try:
            load(db, version)
        except ArtifactError as error:
            models.withdraw(db, version)
            refused.append(str(error))
            continue
        if version != models.current_version(db):
            models.activate(db, version, "no version that served before can be loaded")
        if refused:
            log.error("%s; version %d serves", "; ".join(refused), version)
        return version
    return None
