"""What a serving process counts, and how /metrics shows it: right with several processes, whose counts lie in files that a scrape adds up.

Facts that the processes share (models, jobs) are read from the database at each scrape.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app import metric_files
from model_core.data import CLASSES

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MOST_VERSIONS = 50  # of which figures are kept
OTHERS = "other"  # versions for which several processes' files have no room: those after the first 150 or so, until a restart
FEW = 8  # values that are counted one by one faster than by NumPy


class BulkHistogram(Histogram):
    """A histogram that can take many values at once."""

    def observe_many(self, values: NDArray[np.floating]) -> None:
        """Observe each of `values` (N,)."""
        if len(values) < FEW:
            for value in values.tolist():
                self.observe(value)
            return
        counts = np.bincount(np.searchsorted(self._upper_bounds, values), minlength=len(self._buckets))
        for place in counts.nonzero()[0]:
            self._buckets[place].inc(int(counts[place]))
        self._sum.inc(float(values.sum()))


class Meters:
    """Counters, histograms and gauges of one serving process."""

    def __init__(self) -> None:
        metric_files.reserve()
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "rookie"}
        self._requests = Counter("http_requests", "Requests answered.", ["method", "route", "status"], **made)
        self._seconds = Histogram("http_request_seconds", "From a request's head to its answer's end.", ["route"], buckets=SECONDS, **made)
        self.in_flight = Gauge("http_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum", **made)
        self._rejections = Counter("rejections", "Requests refused, by the problem's code.", ["reason"], **made)
        self._inferences = Counter("inference_requests", "Requests that the network answered.", ["version"], **made)
        self._rows = Counter("inference_rows", "Pictures that the network classified.", ["version"], **made)
        self._batches = Counter("inference_batches", "Passes through the network.", ["version"], **made)
        self._batch_rows = Histogram("inference_batch_rows", "Pictures in one pass.", buckets=BATCH_ROWS, **made)
        self._queue = Histogram("inference_queue_seconds", "From a request's arrival to its pass.", ["version"], buckets=SECONDS, **made)
        self._compute = Histogram("inference_compute_seconds", "Of one pass.", ["version"], buckets=SECONDS, **made)
        self._last = Gauge("inference_last_timestamp_seconds", "When the network last answered.", multiprocess_mode="max", **made)
        self._labels = Counter("predictions", "Pictures by the class they were given.", ["label"], **made)
        self._label_counters = [self._labels.labels(name) for name in CLASSES]
        self._confidence = BulkHistogram("prediction_confidence", "Probability of the class given.", buckets=CONFIDENCES, **made)
        self._reloads = Counter("model_reloads", "Times that another model version was taken up.", **made)
        self._of_versions = (self._batches, self._rows, self._inferences, self._compute, self._queue)
        self._versions: dict[int, list[Any]] = {}  # their children, the version that served first first
        self._others: list[Any] = []  # the children of those without a place of their own
        self._children: dict[tuple[Any, ...], Any] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._child(self._requests, method, route, str(status)).inc()
        self._child(self._seconds, route).observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a request that was refused."""
        self._child(self._rejections, reason).inc()

    def model_swapped(self) -> None:
        """Count that this process serves another version."""
        self._reloads.inc()

    def batch_done(self, probabilities: NDArray[np.float32], version: int, seconds: float, waits: Sequence[float]) -> None:
        """Count a pass through the network that took `seconds`, and the requests in it, which had waited for so long each."""
        batches, rows, inferences, compute, queue = self._versions.get(version) or self._take_up(version)
        batches.inc()
        rows.inc(len(probabilities))
        inferences.inc(len(waits))
        compute.observe(seconds)
        self._batch_rows.observe(len(probabilities))
        for wait in waits:
            queue.observe(wait)
        self._confidence.observe_many(probabilities.max(axis=1))
        self._count_labels(probabilities.argmax(axis=1))
        self._last.set_to_current_time()

    def figures(self) -> Iterable[Metric]:
        """All that was counted, by all serving processes."""
        return metric_files.shared_registry(self.registry).collect()

    def exposition(self, facts: Collector) -> bytes:
        """The text that a Prometheus server reads: what was counted, and the facts."""
        registry = metric_files.shared_registry(self.registry)
        own = CollectorRegistry()
        own.register(facts)
        return generate_latest(registry) + generate_latest(own)

    def _take_up(self, version: int) -> list[Any]:
        """The metrics of a version that serves now. Those of long ago go; from files they cannot: once these are full, others share."""
        in_files = metric_files.are_used()
        if self._others or (in_files and not metric_files.has_room()):
            self._others = self._others or self._of_version(OTHERS)
            return self._others
        while len(self._versions) >= MOST_VERSIONS and not in_files:
            gone = next(iter(self._versions))
            del self._versions[gone]
            for metric in self._of_versions:
                metric.remove(str(gone))
        self._versions[version] = self._of_version(str(version))
        return self._versions[version]

    def _of_version(self, label: str) -> list[Any]:
        return [metric.labels(label) for metric in self._of_versions]

    def _child(self, metric: Any, *labels: str) -> Any:
        """A metric with its labels; looked up here, for prometheus-client takes a lock for it."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def _count_labels(self, labels: NDArray[np.intp]) -> None:
        if len(labels) == 1:
            self._label_counters[labels[0]].inc()
            return
        for label, count in enumerate(np.bincount(labels, minlength=len(CLASSES)).tolist()):
            if count:
                self._label_counters[label].inc(count)


def gauge(name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> GaugeMetricFamily:
    """A gauge whose values are known only now, at the scrape."""
    family = GaugeMetricFamily(f"rookie_{name}", text, labels=labels)
    for values, number in samples:
        family.add_metric(list(values), number)
    return family
