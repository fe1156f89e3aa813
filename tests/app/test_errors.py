"""Every error is a problem document (RFC 9457) and tells a client nothing of our insides."""

from http import HTTPStatus
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import errors
from app.errors import Problem
from app.metrics import Meters
from app.observer import Observer
from tests.support.service import BASE_URL

MEMBERS = {"type", "title", "status", "detail", "code", "error"}


def families(kind: type[Problem]) -> list[type[Problem]]:
    return [each for child in kind.__subclasses__() for each in (child, *families(child))]


KINDS: list[type[Problem]] = families(Problem)
CODES = [kind.code for kind in KINDS]


@pytest.fixture(scope="module")
def crashing() -> TestClient:
    """An application whose every route fails in its own way."""
    app = FastAPI()
    errors.install(app)
    app.add_middleware(Observer, meters=Meters(), log=None)

    @app.get("/crash")
    @app.get("/v2/crash")
    def crash() -> None:
        raise RuntimeError("a secret of ours")

    @app.get("/fill")
    def fill() -> None:
        raise MemoryError

    @app.get("/raise/{code}")
    @app.get("/v2/raise/{code}")
    def fail(code: str) -> None:
        raise next(kind for kind in KINDS if kind.code == code)("the reason")

    return TestClient(app, base_url=BASE_URL)


def assert_problem(answer: httpx2.Response, status: int, media_type: str = "application/problem+json") -> dict[str, Any]:
    """The answer is a whole problem document; the document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == media_type
    problem: dict[str, Any] = answer.json()
    assert problem.keys() == MEMBERS
    assert problem["status"] == status
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["error"] == problem["detail"] != ""
    assert problem["type"] == f"urn:rookie:{problem['code']}"
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.parametrize("kind", KINDS, ids=CODES)
def test_each_kind_of_error_is_a_problem_document(crashing: TestClient, kind: type[Problem]) -> None:
    problem = assert_problem(crashing.get(f"/raise/{kind.code}"), kind.status)
    assert (problem["detail"], problem["code"]) == ("the reason", kind.code)
    assert assert_problem(crashing.get(f"/v2/raise/{kind.code}"), kind.status, "application/json") == problem


def test_want_of_memory_is_said_in_one_line_and_may_pass(crashing: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = crashing.get("/fill", headers={"X-Request-ID": "mine"})
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"] == "5"
    assert caplog.messages == ["GET /fill: not enough memory, request mine"]


def test_each_kind_of_error_has_a_code_of_its_own() -> None:
    assert len({Problem.code, *CODES}) == 1 + len(KINDS)


def test_the_tree_in_the_module_names_each_kind_with_its_status() -> None:
    assert errors.__doc__
    tree = errors.__doc__.split()
    for kind in KINDS:
        assert tree[tree.index(kind.__name__) + 1] == str(kind.status)


def test_a_crash_tells_nothing(crashing: TestClient) -> None:
    for path, media_type in (("/crash", "application/problem+json"), ("/v2/crash", "application/json")):
        answer = crashing.get(path)
        assert assert_problem(answer, 500, media_type)["code"] == "internal-error"
        assert "secret" not in answer.text
        assert "RuntimeError" not in answer.text


@pytest.mark.parametrize("kind", [sa.exc.DatabaseError, sa.exc.OperationalError, sa.exc.InternalError, sa.exc.TimeoutError])
def test_a_database_in_trouble_is_503_with_when_to_come_again(kind: type[sa.exc.SQLAlchemyError]) -> None:
    answer = failing_with(kind).get("/fail")
    assert assert_problem(answer, 503)["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("kind", errors.OUR_FAULTS)
def test_a_statement_that_the_database_refuses_is_a_crash(kind: type[sa.exc.SQLAlchemyError]) -> None:
    assert assert_problem(failing_with(kind).get("/fail"), 500)["code"] == "internal-error"


def failing_with(kind: type[sa.exc.SQLAlchemyError]) -> TestClient:
    """An application whose database fails in that way."""
    app = FastAPI()
    errors.install(app)
    app.add_middleware(Observer, meters=Meters(), log=None)

    @app.get("/fail")
    def fail() -> None:
        raise kind("SELECT", {}, Exception("the driver's words")) if issubclass(kind, sa.exc.DBAPIError) else kind("no connection")

    return TestClient(app, base_url=BASE_URL)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/static/nowhere.css", 404),
        ("GET", "/static/../settings.py", 404),
        ("GET", "/static/%2e%2e/settings.py", 404),
        ("GET", "/static/%00", 404),
        ("GET", "/docs/assets/nowhere.js", 404),
        ("GET", "/static/" + "x" * 300, 404),
        ("GET", "/models/7", 404),
        ("GET", "/train/7000", 404),
        ("GET", "/weights/w9.png", 404),
        ("GET", "/predict", 405),
        ("DELETE", "/models/current", 405),
        ("POST", "/docs", 405),
        ("POST", "/static/css/base.css", 405),
        ("PATCH", "/train", 405),
        ("POST", "/predict", 415),
        ("PUT", "/models/current", 422),
    ],
)
def test_every_error_of_the_service_is_a_problem_document(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert_problem(answer, status)
    if status == 405:
        assert answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/docs", "/static/css/base.css", "/docs/assets/swagger-ui.css"])
@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ("bytes=5-2", 400, "bad-request"),
        ("bytes=", 400, "bad-request"),
        ("bytes=a-b", 400, "bad-request"),
        ("bytes=" + "9" * 5000 + "-", 400, "bad-request"),
        ("bytes=+1-+5", 400, "bad-request"),
        ("bytes=1_0-2_0", 400, "bad-request"),
        ("bytes=\u0661-\u0662", 400, "bad-request"),
        ("bytes=99999999-", 416, "range"),
    ],
)
def test_a_range_that_cannot_be_had_is_a_problem_document(client: TestClient, path: str, wanted: str, status: int, code: str) -> None:
    answer = client.get(path, headers={b"Range": wanted.encode()})
    assert assert_problem(answer, status)["code"] == code
    if status == 416:
        size = client.get(path).headers["Content-Length"]
        assert answer.headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize("path", ["/", "/static/css/base.css"])
def test_a_part_of_a_file_can_be_had_and_a_range_of_another_unit_counts_for_nothing(client: TestClient, path: str) -> None:
    whole = client.get(path).content
    part = client.get(path, headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, whole[2:10])
    for unit in ("lines=2-9", "bytes", "nonsense"):
        answer = client.get(path, headers={"Range": unit})
        assert (answer.status_code, answer.content) == (200, whole)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/train", {"GET", "POST"}),
        ("/train/1", {"GET", "DELETE"}),
        ("/models", {"GET", "POST"}),
        ("/models/current", {"GET", "PUT"}),
        ("/models/1", {"GET", "DELETE"}),
        ("/static/css/base.css", {"GET", "HEAD"}),
    ],
)
def test_a_refused_method_gets_every_method_that_the_path_has(client: TestClient, path: str, methods: set[str]) -> None:
    answer = client.patch(path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == methods


def test_a_method_that_a_path_does_not_have_is_said_with_the_way_to_the_others(client: TestClient) -> None:
    answer = client.get("/predict")
    assert answer.headers["Allow"] == "POST"
    assert "/docs" in answer.json()["detail"]
