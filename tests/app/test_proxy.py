"""Behind a reverse proxy: whom we believe what, and where things are for those who come through it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.observer import MOST_OF_AN_ADDRESS
from app.settings import Settings
from tests.support.service import BASE_URL

PROXY, STRANGER = ("10.0.0.7", 40000), ("192.168.1.9", 40000)
TOLD = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "rookie.example.org"}


@pytest.fixture
def behind(settings: Settings) -> Settings:
    """Settings of a service behind a proxy in 10.0.0.0/24, under a path."""
    return replace(
        settings, training_slots=0, trusted_proxies=("10.0.0.0/24",), allowed_hosts=("rookie.example.org",), root_path="/garments"
    )


@pytest.fixture
def through_proxy(behind: Settings) -> Iterator[TestClient]:
    """What comes from the proxy's address."""
    with TestClient(create_app(behind), base_url=BASE_URL, client=PROXY) as client:
        yield client


@pytest.fixture
def stranger(behind: Settings) -> Iterator[TestClient]:
    """What comes from another address."""
    with TestClient(create_app(behind), base_url=BASE_URL, client=STRANGER) as client:
        yield client


def logged_client(capsys: pytest.CaptureFixture[str]) -> str:
    """The address that the last request's line in the log names."""
    return str(json.loads([line for line in capsys.readouterr().err.splitlines() if "rookie.access" in line][-1])["client"])


def test_a_trusted_proxy_says_who_asks(through_proxy: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    through_proxy.get("/models", headers={**TOLD, "X-Forwarded-For": "1.2.3.4, 203.0.113.5, 10.0.0.8"})
    assert logged_client(capsys) == "203.0.113.5"


def test_a_name_without_end_does_not_fill_the_log(through_proxy: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    through_proxy.get("/models", headers={**TOLD, "X-Forwarded-For": "z" * 60_000})
    assert logged_client(capsys) == "z" * MOST_OF_AN_ADDRESS


def test_a_stranger_says_it_in_vain(stranger: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert stranger.get("/models", headers=TOLD).status_code == 200
    assert logged_client(capsys) == STRANGER[0]
    assert stranger.get("/models", headers={**TOLD, "Host": "example.org"}).status_code == 403


def change(client: TestClient, **headers: str) -> httpx2.Response:
    """Ask for a change that does nothing."""
    return client.put("/models/current", json={"version": 1}, headers={**TOLD, **headers})


def test_the_name_that_the_browser_used_is_judged(through_proxy: TestClient, stranger: TestClient) -> None:
    page = {"Origin": "https://rookie.example.org", "Sec-Fetch-Site": "same-origin"}
    upstream = "10.0.0.9:8000"  # what a proxy that keeps no names says
    assert change(through_proxy, **page, Host=upstream).status_code == 200
    assert change(through_proxy, **{**page, "X-Forwarded-Host": "evil.example, rookie.example.org"}).status_code == 200
    assert change(through_proxy, **{**page, "X-Forwarded-Host": "evil.example"}).status_code == 403
    assert change(through_proxy, Origin="https://evil.example").status_code == 403
    assert change(stranger, **page).status_code == 403


@pytest.mark.parametrize("prefix", ["", "/garments"], ids=["taken away", "left"])
def test_a_root_path_may_be_taken_away_or_left_by_the_proxy(through_proxy: TestClient, prefix: str) -> None:
    for path in ("/", "/static/js/main.js", "/docs", "/docs/assets/swagger-ui.css", "/models/current", "/livez", "/v2"):
        assert through_proxy.get(prefix + path).status_code == 200, path
    assert through_proxy.get("/garmentsx/models").status_code == 404
    assert through_proxy.get("/garments/garments/models").status_code == 404
    assert "unsafe-inline" in through_proxy.get(f"{prefix}/docs").headers["Content-Security-Policy"]


@pytest.mark.parametrize("prefix", ["", "/garments"])
def test_a_root_path_opens_no_door(behind: Settings, prefix: str) -> None:
    guarded = replace(behind, token="an-example-of-a-token-0123456789")
    with TestClient(create_app(guarded), base_url=BASE_URL) as client:
        assert client.post(f"{prefix}/train").status_code == 401
        assert client.post(f"{prefix}/predict", content=b"\0" * (2**20 + 1), headers={"Content-Type": "image/png"}).status_code == 413


def test_a_location_has_no_host_and_leads_back_through_the_proxy(through_proxy: TestClient) -> None:
    assert through_proxy.post("/train").headers["Location"] == "/garments/train/1"
    assert through_proxy.get("/garments/train/1").status_code == 200


def test_no_answer_redirects_to_a_host(through_proxy: TestClient) -> None:
    for path in ("/models/", "/train/", "/static", "/docs/"):
        assert through_proxy.get(path, follow_redirects=False).status_code == 404, path


def test_the_description_says_where_the_service_is(through_proxy: TestClient, client: TestClient) -> None:
    assert through_proxy.get("/openapi.json").json()["servers"] == [{"url": "/garments"}]
    assert "servers" not in client.get("/openapi.json").json()
