"""Who may come in: by host name, by site, by token."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from app.doors import OPEN_POSTS, PROBES, SAFE_METHODS
from app.main import create_app
from app.settings import ALL, Settings
from tests.support.pictures import encode, grey
from tests.support.service import client_of

TOKEN = "an-example-of-a-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PICTURE = {"Content-Type": "image/png"}
OURS = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:80", "[::1]", "[::1]:8000", "127.0.0.1:"]
FOREIGN = [
    "example.org",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "",
    "[::2]",
    "127.0.0.2",
    "evil@127.0.0.1",
    "127.0.0.1:80:80",
    "[",
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, shipped: Path, tiny_folder: Path) -> Iterator[TestClient]:
    """A service with a token and two more names."""
    settings = Settings(
        state_dir=tmp_path_factory.mktemp("guarded"),
        data_dir=tiny_folder,
        model=shipped,
        training_slots=0,
        token=TOKEN,
        allowed_hosts=("rookie.example.org", "[fe80::1]"),
    )
    with client_of(settings) as client:
        yield client


def unsafe_routes() -> list[tuple[str, str]]:
    """Method and path of every route that could change something."""
    routes = iter_route_contexts(create_app(Settings()).routes)
    return [(method, str(route.path)) for route in routes for method in sorted(set(route.methods or ()) - set(SAFE_METHODS))]


@pytest.mark.parametrize("host", OURS)
def test_the_loopbacks_own_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/models", "/docs", "/nowhere", "/static/style.css"):
        answer = client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
    assert client.post("/predict", content=encode(grey()), headers={"Host": host, **PICTURE}).status_code == 403


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_may_come_by_any_name(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.parametrize("host", ["rookie.example.org", "ROOKIE.example.org:443", "[fe80::1]:80", *OURS])
def test_names_can_be_added(guarded: TestClient, host: str) -> None:
    assert guarded.get("/models", headers={"Host": host}).status_code == 200
    assert guarded.get("/models", headers={"Host": f"x{host}"}).status_code == 403


def test_a_star_serves_every_name(settings: Settings) -> None:
    with client_of(Settings(state_dir=settings.state_dir, model=settings.model, allowed_hosts=("*",))) as client:
        for host in (*OURS, *FOREIGN):
            assert client.get("/models", headers={"Host": host}).status_code == 200
            assert client.get("/nowhere", headers={"Host": host}).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
        {"Origin": "http://127.0.0.1@example.org"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
)
@pytest.mark.parametrize(("method", "path"), unsafe_routes())
def test_a_change_that_another_site_asks_for_is_refused(client: TestClient, method: str, path: str, headers: dict[str, str]) -> None:
    answer = client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "localhost:8000", "Origin": "http://LOCALHOST:8000"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
    ],
)
def test_a_change_from_here_or_from_a_program_is_let_through(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/predict", content=encode(grey()), headers={**PICTURE, **headers}).status_code == 200
    assert client.put("/models/current", json={"version": 1}, headers=headers).status_code == 200


def test_another_site_may_read_what_a_browser_lets_it(client: TestClient) -> None:
    answer = client.get("/weights/w3.png", headers={"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_there_are_changes_to_guard() -> None:
    assert {("POST", "/train"), ("DELETE", "/train/{job}"), ("PUT", "/models/current"), ("POST", "/predict")} <= set(unsafe_routes())
    assert set(OPEN_POSTS) <= {path for method, path in unsafe_routes() if method == "POST"}


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer sch\xfcssel"]
)
@pytest.mark.parametrize(("method", "path"), [each for each in unsafe_routes() if each[1] not in OPEN_POSTS])
def test_a_change_needs_the_token(guarded: TestClient, method: str, path: str, authorization: str | None) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    answer = guarded.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
    assert TOKEN not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_the_token_opens(guarded: TestClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert guarded.put("/models/current", json={"version": 1}, headers=headers).status_code == 200
    assert guarded.delete("/train/1", headers=headers).status_code == 404


def test_the_token_does_not_open_to_another_site(guarded: TestClient) -> None:
    assert guarded.post("/train", headers={**BEARER, "Origin": "https://example.org"}).status_code == 403


def test_reading_and_predicting_need_no_token(guarded: TestClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/models", "/models/1/weights.npz", "/train", "/weights/w1.png", *PROBES):
        assert guarded.get(path).status_code == 200, path
    assert guarded.post("/predict", content=encode(grey()), headers=PICTURE).status_code == 200


def test_a_path_that_does_not_exist_is_closed_too(guarded: TestClient) -> None:
    assert guarded.post("/nowhere").status_code == 401
    assert guarded.post("/predict/").status_code == 401
    assert guarded.post("/nowhere", headers=BEARER).status_code == 404


# ROOKIE_TOKEN_SCOPE=all: an answer other than the page's own files needs the token.


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, shipped: Path) -> Iterator[TestClient]:
    """A service that answers nobody without the token."""
    state = tmp_path_factory.mktemp("closed")
    with client_of(Settings(state_dir=state, model=shipped, training_slots=0, token=TOKEN, token_scope=ALL)) as client:
        yield client


def readable_routes() -> list[str]:
    """The path of every route that is read."""
    routes = iter_route_contexts(create_app(Settings()).routes)
    return sorted({str(route.path) for route in routes if "GET" in (route.methods or ())} - set(PAGE_ROUTES))


PAGE_ROUTES = ("/", "/docs", "/openapi.json")


@pytest.mark.parametrize("path", [*PAGE_ROUTES, "/static/js/main.js", "/static/css/base.css", "/docs/assets/swagger-ui.css"])
def test_the_pages_own_files_are_open_in_any_scope(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", [*readable_routes(), "/nowhere", "/static", "/docs/", "/staticx", "/static/../models"]
)  # the client resolves the last
def test_reading_needs_the_token_where_its_scope_is_all(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 401
    assert closed.get(path, headers={"Authorization": f"Bearer {TOKEN[::-1]}"}).status_code == 401


@pytest.mark.parametrize(("method", "path"), unsafe_routes())
def test_posting_needs_the_token_where_its_scope_is_all(closed: TestClient, method: str, path: str) -> None:
    assert closed.request(method, path).status_code == 401


def test_the_token_opens_all_of_it(closed: TestClient) -> None:
    assert closed.get("/livez", headers=BEARER).status_code == 200
    assert closed.get("/models", headers=BEARER).status_code == 200
    assert closed.post("/predict", content=encode(grey()), headers={**BEARER, **PICTURE}).status_code == 200


# ROOKIE_CORS_ORIGINS: the pages of other sites that may come in.

FRIEND = "https://friend.example"


@pytest.fixture(scope="module")
def befriended(tmp_path_factory: pytest.TempPathFactory, shipped: Path) -> Iterator[TestClient]:
    """A service with a token that one other site may use."""
    state = tmp_path_factory.mktemp("befriended")
    with client_of(Settings(state_dir=state, model=shipped, training_slots=0, token=TOKEN, cors_origins=(FRIEND,))) as client:
        yield client


def test_a_page_of_a_named_origin_may_read_and_ask(befriended: TestClient) -> None:
    theirs = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}
    assert befriended.get("/models", headers=theirs).headers["Access-Control-Allow-Origin"] == FRIEND
    answer = befriended.put("/models/current", json={"version": 1}, headers={**theirs, **BEARER})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, FRIEND)
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_a_page_of_a_named_origin_can_read_why_it_was_refused(befriended: TestClient) -> None:
    answer = befriended.post("/train", headers={"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, FRIEND)


def test_a_browser_may_ask_first_for_a_named_origin_only(befriended: TestClient, client: TestClient) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    granted = befriended.options("/models/current", headers={**asked, "Origin": FRIEND})
    assert (granted.status_code, granted.headers["Access-Control-Allow-Origin"]) == (200, FRIEND)
    refused = befriended.options("/models/current", headers={**asked, "Origin": "https://enemy.example"})
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert "Access-Control-Allow-Origin" not in client.options("/models/current", headers={**asked, "Origin": FRIEND}).headers


@pytest.mark.parametrize("origin", ["https://enemy.example", "http://friend.example", "https://friend.example.org", "null"])
def test_any_other_origin_is_refused_as_before(befriended: TestClient, origin: str) -> None:
    answer = befriended.put("/models/current", json={"version": 1}, headers={"Origin": origin, **BEARER})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in befriended.get("/models", headers={"Origin": origin}).headers
