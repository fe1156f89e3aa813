"""Every request has an id, and a line in the log that a program can read."""

import json
import re

import pytest
from starlette.testclient import TestClient

LINE_FIELDS = {"time", "level", "logger", "request_id", "client", "method", "path", "status", "milliseconds"}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The access log so far, but for the start-up's lines."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if "rookie.access" in line]


def test_each_request_is_one_line_of_json(own_client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    answer = own_client.get("/train/7?x=1")
    own_client.get("/livez")
    refused, live = lines(capsys)
    assert refused.keys() == {*LINE_FIELDS, "problem"}
    assert live.keys() == LINE_FIELDS
    assert (refused["method"], refused["path"], refused["status"], refused["problem"]) == ("GET", "/train/7", 404, "not-found")
    assert refused["request_id"] == answer.headers["x-request-id"]


def test_a_clients_own_id_comes_back(client: TestClient) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "job-7/a.b:c"}).headers["x-request-id"] == "job-7/a.b:c"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, '{"a":1}', "a\tb", "\u00e9"])
def test_an_id_that_would_spoil_a_log_is_replaced(client: TestClient, given: str) -> None:
    answer = client.get("/livez", headers={b"X-Request-ID": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", answer.headers["x-request-id"])


def test_ids_that_the_service_gives_differ(client: TestClient) -> None:
    assert len({client.get("/livez").headers["x-request-id"] for _ in range(20)}) == 20


def test_refusals_at_the_door_are_noted_too(own_client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    answer = own_client.get("/train", headers={"Host": "other.example"})
    assert "x-request-id" in answer.headers
    assert [line["problem"] for line in lines(capsys)] == ["forbidden"]


def test_a_path_without_end_is_cut_in_the_log_and_in_the_answer(own_client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    answer = own_client.get("/" + "a" * 60_000)
    shown = "/" + "a" * 299 + "..."
    assert (answer.status_code, answer.json()["detail"]) == (404, f"GET {shown}: not found; /docs lists what there is")
    (line,) = lines(capsys)
    assert line["path"] == shown
