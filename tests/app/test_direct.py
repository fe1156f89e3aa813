"""The busiest routes answer the same with and without the framework's layers around them."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import direct
from app.settings import Settings
from tests.app.test_open_inference import document
from tests.app.test_predict_batch import npy
from tests.support import tiny
from tests.support.pictures import encode, grey

PNG, IMAGE = encode(grey()), {"Content-Type": "image/png"}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a picture": ("/predict", {"content": PNG, "headers": IMAGE}),
    "a form": ("/predict", {"files": {"file": ("a.png", PNG)}}),
    "no picture": ("/predict", {"content": b"text", "headers": IMAGE}),
    "no type": ("/predict", {"content": PNG}),
    "too long": ("/predict", {"content": b"0" * 2**21, "headers": IMAGE}),
    "too long, unannounced": ("/predict", {"content": [b"0" * 2**20, b"0" * 2**20], "headers": IMAGE}),
    "another host": ("/predict", {"content": PNG, "headers": {**IMAGE, "Host": "other.example"}}),
    "an array": ("/predict/batch", {"content": npy(tiny.test_images().images), "headers": {"Content-Type": "application/x-npy"}}),
    "no files": ("/predict/batch", {"files": {"file": ("a.png", PNG)}}),
    "a tensor": ("/v2/models/fashion-mnist/infer", {"content": json.dumps(document()).encode()}),
    "no tensor": ("/v2/models/fashion-mnist/infer", {"content": b"{}"}),
    "a tensor too long": ("/v2/models/fashion-mnist/infer", {"content": b"", "headers": {"Content-Length": str(Settings.batch_bytes + 1)}}),
}


def post(client: TestClient, name: str) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers of an answer, but for the request's id."""
    path, request = REQUESTS[name]
    if "content" in request and isinstance(request["content"], list):  # blocks, whose number nobody announces
        request = {**request, "content": iter(request["content"])}
    answer = client.post(path, **request)
    return answer.status_code, answer.json(), {key: value for key, value in answer.headers.items() if key != "x-request-id"}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_shortcut_changes_no_answer(client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    short = post(client, name)
    monkeypatch.setattr(direct, "HANDLERS", {})
    assert post(client, name) == short


def test_every_shortcut_is_a_route_of_the_description(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {route for _, route in direct.HANDLERS.values()} <= set(paths)
