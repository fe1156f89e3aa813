"""/train: start, watch and cancel training jobs."""

import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Body, Depends, Header, Path, Response
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse

from app import quota
from app.dependencies import EventHubDep, SettingsDep, StoreDep
from app.errors import ConflictError
from app.events import no_such_job
from app.jobs.estimate import estimate_seconds
from app.reading import ReadingRoute
from app.schemas import History, Job, JobList, Problem, TrainingRequest
from app.settings import Settings
from app.store import Row, jobs

router = APIRouter(route_class=ReadingRoute, prefix="/train", tags=["train"])

POLL_SECONDS = 2  # how soon a client may ask again
JobId = Annotated[int, Path(ge=1, le=2**31 - 1)]
EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("event", "id", "data")}}
STREAM = {"content": {"text/event-stream": {"itemSchema": EVENT}}}
NEVER_STORED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # the second tells a proxy to pass each event on at once
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


@router.post("", status_code=202, responses={status: {"model": Problem} for status in (409, 422, 503)})
def start(
    store: StoreDep,
    settings: SettingsDep,
    response: Response,
    request: Annotated[TrainingRequest | None, Body()] = None,  # type: ignore[valid-type]
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, description="the same key again: the same job")] = None,
) -> Job:
    """Queue a training job; an empty body trains the quick recipe. The service goes on predicting meanwhile."""
    wanted = request or TrainingRequest()
    with store.change() as db:
        row = _submitted_before(db, wanted, idempotency_key) or _submit(db, settings, wanted, idempotency_key)
        job = as_job(row, estimate_seconds(db, row.recipe))
    response.headers["Location"] = f"/train/{job.id}"
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return job


def _submit(db: sa.Connection, settings: Settings, wanted: Any, key: str | None) -> Row:
    quota.check_queue(db, settings)
    quota.check_storage(db, settings)
    recipe = wanted.resolved(secrets.randbits(32))
    number = jobs.submit(db, recipe.as_record(), wanted.promote, key, wanted.digest() if key else None)
    jobs.prune(db, settings.keep_jobs)
    return _existing(db, number)


def _submitted_before(db: sa.Connection, wanted: Any, key: str | None) -> Row | None:
    """The job of an earlier request with the same key, which must have asked for the same."""
    row = None if key is None else jobs.with_key(db, key)
    if row is not None and row.request_digest != wanted.digest():
        raise ConflictError(f"Idempotency-Key {key!r} came with another request before, as job {row.id}; use a new key")
    return row


@router.get("")
def list_jobs(store: StoreDep) -> JobList:
    """The newest 100 jobs, newest first."""
    with store.read() as db:
        return JobList(jobs=[as_job(row) for row in jobs.newest_first(db)])


@router.get("/{job}", responses=NOT_FOUND)
def show(job: JobId, store: StoreDep) -> Job:
    """One job: status, stage, progress, figures so far."""
    with store.read() as db:
        row = _existing(db, job)
        return as_job(row, estimate_seconds(db, row.recipe))


@router.get("/{job}/history", responses=NOT_FOUND)
def history(job: JobId, store: StoreDep) -> History:
    """Losses and accuracies of each epoch so far."""
    with store.read() as db:
        _existing(db, job)
        return History(epochs=jobs.history(db, job))


@router.delete("/{job}", status_code=202, responses={**NOT_FOUND, 409: {"model": Problem}})
def cancel(job: JobId, store: StoreDep) -> Job:
    """Cancel a job that has not ended. The served model is untouched."""
    with store.change() as db:
        row = _existing(db, job)
        if not jobs.cancel(db, job):
            raise ConflictError(f"job {job} has {row.status} already; there is nothing to cancel")
        return as_job(_existing(db, job))


async def _followed(
    job: JobId,
    hub: EventHubDep,
    last_event_id: Annotated[str, Header(description="go on after this event")] = "",
) -> AsyncIterator[AsyncIterator[Row | None]]:
    """The events of a job that exists; the place among the followers is given back when the stream ends."""
    after = int(last_event_id) if re.fullmatch(r"\d{1,18}", last_event_id) else 0
    async with hub.follow(job, after) as events:
        yield events


@router.get("/{job}/events", response_class=Response, responses={200: STREAM, **NOT_FOUND, 503: {"model": Problem}})
async def follow(events: Annotated[AsyncIterator[Row | None], Depends(_followed)]) -> Response:
    """What happens to a job, as it happens: `status` and `epoch` events, and a last `done`."""
    return StreamingResponse(_encoded(events), media_type="text/event-stream", headers=NEVER_STORED)


async def _encoded(events: AsyncIterator[Row | None]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            yield KEEPALIVE_COMMENT
        else:
            yield format_sse_event(event=event.kind, id=str(event.id), data_str=json.dumps(event.data))


def _existing(db: sa.Connection, job: int) -> Row:
    row = jobs.find(db, job)
    if row is None:
        raise no_such_job(job)
    return row


def as_job(row: Row, estimate: float | None = None) -> Job:
    """A job as the API shows it; `estimate` is how many seconds it may take, for as long as it has not been measured."""
    epochs = row.recipe["epochs"]
    done = row.status == "succeeded"
    left = estimate if row.epoch_seconds is None else (epochs - row.epoch) * row.epoch_seconds
    if row.status not in jobs.UNFINISHED:
        left = None
    links = {name: f"/train/{row.id}{path}" for name, path in (("self", ""), ("history", "/history"), ("events", "/events"))}
    if row.version is not None:
        links["model"] = f"/models/{row.version}"
    return Job(
        id=row.id,
        status=row.status,
        stage=row.stage,
        # Scoring and publishing come after the last epoch, so only a job that ended well is at 1.
        progress=1.0 if done else round(0.99 * row.epoch / epochs, 4),
        epoch=row.epoch,
        epochs=epochs,
        eta_seconds=None if left is None else round(left, 1),
        recipe=row.recipe,
        promote=row.promote,
        attempt=row.attempt,
        created=row.created,
        started=row.started,
        finished=row.finished,
        metrics=row.metrics,
        version=row.version,
        promotion=row.promotion,
        error=row.error,
        links=links,
    )
