"""How much the database may hold for those who change it: training jobs that wait, bytes of model versions."""

import sqlalchemy as sa

from app.errors import UnavailableError
from app.settings import Settings
from app.store import jobs, models

RETRY_SECONDS = 60


def check_queue(db: sa.Connection, settings: Settings) -> None:
    """Raise UnavailableError where as many jobs wait as may."""
    if jobs.count_queued(db) >= settings.queued_jobs:
        raise UnavailableError(f"{settings.queued_jobs} training jobs wait already; DELETE /train/{{job}} ends one", RETRY_SECONDS)


def check_storage(db: sa.Connection, settings: Settings) -> None:
    """Raise UnavailableError where the model versions take as much room as they may."""
    stored = models.stored_bytes(db)
    if stored >= settings.stored_bytes:
        detail = f"the model versions take {stored} bytes, and may take {settings.stored_bytes}; DELETE /models/{{version}} makes room"
        raise UnavailableError(detail, RETRY_SECONDS)
