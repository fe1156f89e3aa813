"""Facts for /metrics that all serving processes share: read from the database at each scrape."""

from collections.abc import Iterator

import sqlalchemy as sa
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.metrics import gauge
from app.store import Row, Store, jobs, models


class Facts(Collector):
    """The serving model, and how the training jobs stand. A database that does not answer costs these figures, not the others."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """The gauges of this moment."""
        try:
            with self._store.read() as db:
                current = models.current_version(db)
                row = None if current is None else models.find(db, current)
                counts, running = jobs.count_by_status(db), jobs.running(db)
        except sa.exc.SQLAlchemyError:
            yield gauge("database_up", "Whether the database answers.", (), [((), 0)])
            return
        yield gauge("database_up", "Whether the database answers.", (), [((), 1)])
        if row is not None:
            yield from _about_model(row)
        yield gauge("jobs", "Training jobs by status.", ["status"], [((status,), counts.get(status, 0)) for status in jobs.STATUSES])
        yield from _about_training(running)


def _about_model(row: Row) -> Iterator[Metric]:
    labels = {"version": str(row.version), "sha256": row.sha256, "source": row.source}
    yield gauge("model_info", "The model version that serves.", list(labels), [(list(labels.values()), 1)])
    yield gauge("model_test_accuracy", "Of the version that serves, 0 to 1.", (), [((), row.test_accuracy)])


def _about_training(running: list[Row]) -> Iterator[Metric]:
    yield gauge("job_epoch", "Epochs that a running job has done.", ["job"], [((str(job.id),), job.epoch) for job in running])
    yield gauge("job_epochs", "Epochs that a running job will do.", ["job"], [((str(job.id),), job.recipe["epochs"]) for job in running])
    figures = [((str(job.id),), job.metrics["validation_accuracy"]) for job in running if job.metrics]
    yield gauge("job_validation_accuracy", "Of a running job's last epoch, 0 to 1.", ["job"], figures)
