"""/train: start, watch and cancel training jobs."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response

from app.dependencies import StoreDep
from app.errors import ConflictError, NotFoundError
from app.schemas import History, Job, JobList, Problem, TrainingRequest
from app.store import Row, Store, jobs

router = APIRouter(prefix="/train", tags=["train"])

POLL_SECONDS = 2  # how soon a client may ask again
JobId = Annotated[int, Path(ge=1, le=2**31 - 1)]
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


@router.post("", status_code=202, responses={422: {"model": Problem}})
def start(store: StoreDep, response: Response, request: Annotated[TrainingRequest | None, Body()] = None) -> Job:  # type: ignore[valid-type]
    """Queue a training job; an empty body trains the quick recipe. The service goes on predicting meanwhile."""
    wanted = request or TrainingRequest()
    recipe = wanted.resolved(secrets.randbits(32))
    with store.write() as db:
        number = jobs.submit(db, recipe.as_record(), wanted.promote)
        job = _job(jobs.find(db, number), number)
    response.headers["Location"] = f"/train/{number}"
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return job


@router.get("")
def list_jobs(store: StoreDep) -> JobList:
    """The newest 100 jobs, newest first."""
    with store.read() as db:
        return JobList(jobs=[as_job(row) for row in jobs.newest_first(db)])


@router.get("/{job}", responses=NOT_FOUND)
def show(job: JobId, store: StoreDep) -> Job:
    """One job: status, stage, progress, figures so far."""
    return _read(store, job)


@router.get("/{job}/history", responses=NOT_FOUND)
def history(job: JobId, store: StoreDep) -> History:
    """Losses and accuracies of each epoch so far."""
    with store.read() as db:
        _job(jobs.find(db, job), job)
        return History(epochs=jobs.history(db, job))


@router.delete("/{job}", status_code=202, responses={**NOT_FOUND, 409: {"model": Problem}})
def cancel(job: JobId, store: StoreDep) -> Job:
    """Cancel a job that has not ended. The served model is untouched."""
    with store.write() as db:
        found = _job(jobs.find(db, job), job)
        if not jobs.cancel(db, job):
            raise ConflictError(f"job {job} has {found.status} already; there is nothing to cancel")
        return _job(jobs.find(db, job), job)


def _read(store: Store, job: int) -> Job:
    with store.read() as db:
        return _job(jobs.find(db, job), job)


def _job(row: Row | None, job: int) -> Job:
    if row is None:
        raise NotFoundError(f"there is no job {job}; GET /train lists them")
    return as_job(row)


def as_job(row: Row) -> Job:
    """A job as the API shows it."""
    epochs = row.recipe["epochs"]
    done = row.status == "succeeded"
    left = (epochs - row.epoch) * row.epoch_seconds if row.status == "running" and row.epoch_seconds else None
    links = {"self": f"/train/{row.id}", "history": f"/train/{row.id}/history"}
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
