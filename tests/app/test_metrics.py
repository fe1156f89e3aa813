"""/metrics: what was counted, by one serving process or by several, and how the models and jobs stand."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from starlette.testclient import TestClient

from app.metrics import CONFIDENCES, BulkHistogram, Meters
from app.settings import Settings
from app.store import attempts, jobs
from model_core.data import CLASSES
from tests.support.pictures import encode, grey
from tests.support.service import client_of, free_port, server, wait_for

PNG = encode(grey())
DASHBOARD = Path(__file__).parents[2] / "docs/grafana-dashboard.json"
IMAGE = {"Content-Type": "image/png"}


@pytest.fixture
def idle_client(settings: Settings) -> Iterator[TestClient]:
    """A service of the test's own that starts no trainer."""
    with client_of(dataclasses.replace(settings, training_slots=0)) as client:
        yield client


def samples(client: TestClient | httpx2.Client) -> dict[str, list[Sample]]:
    """What /metrics shows now, by the sample's name."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(client: TestClient | httpx2.Client, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(sample.value for sample in samples(client).get(name, []) if labels.items() <= sample.labels.items())


def test_requests_are_counted_by_method_route_and_status(own_client: TestClient) -> None:
    for path in ("/train/1", "/train/2", "/nowhere", "/elsewhere"):
        own_client.get(path)
    own_client.request("BREW", "/nowhere")
    assert value(own_client, "rookie_http_requests_total", method="GET", route="/train/{job}", status="404") == 2
    assert value(own_client, "rookie_http_requests_total", route="unmatched", status="404") == 3
    assert value(own_client, "rookie_http_requests_total", method="other") == 1
    assert value(own_client, "rookie_http_request_seconds_count", route="/train/{job}") == 2
    assert value(own_client, "rookie_http_request_seconds_bucket", route="/train/{job}", le="+Inf") == 2
    assert value(own_client, "rookie_http_requests_in_flight") == 1  # the scrape


def test_predictions_are_counted_with_their_classes_and_confidences(own_client: TestClient) -> None:
    labels = [own_client.post("/predict", content=encode(grey(seed)), headers=IMAGE).json()["label"] for seed in range(5)]
    assert value(own_client, "rookie_inference_rows_total", version="1") == 5
    assert value(own_client, "rookie_inference_requests_total", version="1") == 5
    assert value(own_client, "rookie_inference_queue_seconds_count") == value(own_client, "rookie_inference_batches_total") == 5
    assert value(own_client, "rookie_prediction_confidence_count") == 5
    for name in CLASSES:
        assert value(own_client, "rookie_predictions_total", label=name) == labels.count(name)


def test_refused_requests_are_counted_by_reason(own_client: TestClient) -> None:
    own_client.post("/predict", content=b"text", headers=IMAGE)
    own_client.post("/predict", content=b"text")
    own_client.get("/livez", headers={"Host": "other.example"})
    own_client.get("/train", headers={"Host": "other.example"})
    own_client.post("/predict", content=b"0" * 2**21, headers=IMAGE)
    reasons = ("not-an-image", "unsupported-content-type", "forbidden", "too-large")
    assert [value(own_client, "rookie_rejections_total", reason=reason) for reason in reasons] == [1, 1, 1, 1]


def test_models_and_jobs_are_read_from_the_database(settings: Settings, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    with server(settings, tmp_path / "log") as (_, client):
        assert value(client, "rookie_database_up") == 1
        assert [sample.labels["source"] for sample in samples(client)["rookie_model_info"]] == ["shipped"]
        job = client.post("/train", json={"epochs": 2000, "hidden": [16, 9]}).json()["id"]
        wait_for(client, job, "running")
        assert value(client, "rookie_jobs", status="running") == 1
        assert value(client, "rookie_job_epochs", job=str(job)) == 2000
        client.delete(f"/train/{job}")
        assert value(client, "rookie_jobs", status="cancelled") == 1
        assert value(client, "rookie_jobs", status="running") == 0


def test_several_processes_are_shown_as_one_service(settings: Settings, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings, port=free_port(), workers=2, training_slots=0)
    with server(settings, tmp_path / "log") as (_, client):
        for _ in range(20):  # a connection each, so that both processes get some
            client.post("/predict", content=PNG, headers={**IMAGE, "Connection": "close"}).raise_for_status()
        found = samples(client)
        assert sum(sample.value for sample in found["rookie_inference_rows_total"]) == 20
        assert sum(sample.value for sample in found["rookie_prediction_confidence_count"]) == 20
        assert len(found["rookie_model_info"]) == len(found["rookie_http_requests_in_flight"]) == 1


@pytest.mark.parametrize("count", [1, 5, 500])
def test_values_observed_together_are_counted_as_if_one_by_one(count: int) -> None:
    values = np.append(np.random.default_rng(0).random(count - 1), 1.0).astype(np.float32)
    bulk, single = (BulkHistogram("h", "h", buckets=CONFIDENCES, registry=None) for _ in range(2))
    bulk.observe_many(values)
    for each in values.tolist():
        single.observe(each)
    (one,), (other,) = bulk.collect(), single.collect()
    for mine, theirs in zip(one.samples, other.samples, strict=True):
        if not mine.name.endswith("_created"):
            assert (mine.name, mine.labels) == (theirs.name, theirs.labels)
            assert mine.value == pytest.approx(theirs.value)


def test_figures_of_versions_that_served_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.metrics.MOST_VERSIONS", 3)
    meters = Meters()
    for version in (1, 2, 3, 4, 2, 5, 1):
        meters.batch_done(np.full((2, 10), 0.1, np.float32), version, 0.001, [0.0])
    rows = {sample.labels["version"]: sample.value for sample in samples_of(meters) if sample.name == "rookie_inference_rows_total"}
    assert rows == {"4": 2, "5": 2, "1": 2}
    assert {sample.labels["version"] for sample in samples_of(meters) if "version" in sample.labels} == {"4", "5", "1"}


def samples_of(meters: Meters) -> Iterator[Sample]:
    return (sample for family in meters.figures() for sample in family.samples)


def test_the_dashboard_asks_for_metrics_that_there_are(idle_client: TestClient) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    idle_client.post("/train")
    with idle_client.app.state.store.write() as db:  # type: ignore[attr-defined]
        jobs.claim(db, 1)
        attempts.record_epoch(db, 1, 1, {"epoch": 1, "seconds": 1.0, "validation_accuracy": 0.5})
    asked = {name for panel in panels for target in panel.get("targets", []) for name in re.findall(r"rookie_\w+", target["expr"])}
    known = {family.name for family in Meters().registry.collect()} | {*samples(idle_client)}
    assert len(asked) > 10
    for name in asked:
        assert name in known or re.sub(r"_(total|bucket|sum|count)$", "", name) in known, name
