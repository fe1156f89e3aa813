"""Every answer tells browsers what they may do with it."""

import pytest
from starlette.testclient import TestClient

from app.policy import HEADERS
from app.settings import Settings
from tests.support.pictures import encode, grey
from tests.support.service import client_of

PATHS = ("/", "/static/css/base.css", "/models", "/nowhere", "/weights/w3.png", "/docs/assets/swagger-ui.css")


def directives(client: TestClient, path: str) -> dict[str, str]:
    policy = client.get(path).headers["Content-Security-Policy"]
    return {name: rest for name, _, rest in (each.strip().partition(" ") for each in policy.split(";"))}


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_may_load_from_here_alone_and_run_no_script_but_files_of_ours(client: TestClient, path: str) -> None:
    found = directives(client, path)
    assert (found["default-src"], found["script-src"], found["style-src"]) == ("'none'", "'self'", "'self'")
    assert (found["connect-src"], found["frame-ancestors"], found["base-uri"]) == ("'self'", "'none'", "'none'")
    assert not any("unsafe" in rest or "http" in rest or "*" in rest for rest in found.values())


def test_the_documentation_may_style_itself_and_nothing_else_more(client: TestClient) -> None:
    page, docs = directives(client, "/"), directives(client, "/docs")
    assert {name for name in docs if docs[name] != page[name]} == {"style-src"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/static/icon.svg", 200),
        ("GET", "/livez", 200),
        ("POST", "/predict", 200),
        ("POST", "/predict/batch", 415),
        ("POST", "/v2/models/fashion-mnist/infer", 400),
        ("DELETE", "/train/7000", 404),
        ("PATCH", "/models", 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_every_answer_carries_each_header_once(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path, content=encode(grey()), headers={"Content-Type": "image/png"})
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert len(answer.headers.get_list("Content-Security-Policy")) == 1


def test_a_refused_request_carries_them_too(client: TestClient) -> None:
    answer = client.get("/", headers={"Host": "example.org"})
    assert answer.status_code == 403
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert all(answer.headers[name] == value for name, value in HEADERS.items())


def test_a_crash_carries_them_too_with_its_id_and_is_counted_and_logged(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with client_of(settings) as client:
        client.app.state.predictor.classify = None  # type: ignore[attr-defined] # so that calling it crashes
        answer = client.post("/predict", content=encode(grey()), headers={"Content-Type": "image/png"})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Request-ID"] in caplog.text
        assert "TypeError" in caplog.text
        assert 'rookie_http_requests_total{method="POST",route="/predict",status="500"} 1.0' in client.get("/metrics").text
