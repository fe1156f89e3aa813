"""What operators and browsers find: probes, the page, the documentation; all of it served from here."""

import re
import time
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.testclient import TestClient

from app.errors import media_type_of
from app.watcher import STALE_SECONDS
from tests.support.service import BASE_URL

PAGES = ("/", "/docs")


class Links(HTMLParser):
    """Every address that a page loads or leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.found += [value for name, value in attrs if name in ("href", "src", "action", "poster", "srcset") and value]


def links(client: TestClient, page: str) -> list[str]:
    answer = client.get(page)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return [urljoin(f"{BASE_URL}{page}", link) for link in Links(answer.text).found]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_only_to_what_answers_here(client: TestClient, page: str) -> None:
    found = links(client, page)
    assert len(found) >= 4
    for link in found:
        assert urlsplit(link).netloc == urlsplit(BASE_URL).netloc
        assert client.get(link).status_code == 200, link


def test_the_documentation_loads_its_files_and_the_description_from_here(client: TestClient) -> None:
    scripts = [link for link in links(client, "/docs") if link.endswith(".js")]
    own = next(link for link in scripts if "/static/" in link)
    (url,) = re.findall(r'url: "([^"]+)"', client.get(own).text)
    description = client.get(urljoin(f"{BASE_URL}/docs", url))
    assert description.json()["info"]["title"] == "Rookie"
    assert not re.findall(r"https?://", client.get(own).text + client.get("/docs").text)
    assert "servers" not in description.json()


def test_a_file_of_the_page_names_no_other_host(client: TestClient) -> None:
    for link in {link for page in PAGES for link in links(client, page) if "/static/" in link}:
        hosts = re.findall(r"https?://([^/\"'\s)]+)", client.get(link).text)
        assert set(hosts) <= {"www.w3.org"}, link  # the name of SVG's vocabulary; nothing is loaded from it


def test_the_description_lists_every_route_with_its_summary_and_its_errors(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert "4XX" in operation["responses"]
            for status, response in operation["responses"].items():
                if status >= "4":
                    assert response["content"][media_type_of(path)]["schema"]["$ref"].endswith("/Problem"), (method, path, status)
    assert "HTTPValidationError" not in description["components"]["schemas"]


def test_the_probes_answer(client: TestClient) -> None:
    assert client.get("/livez").json() == {"live": True}
    ready = client.get("/readyz").json()
    current = client.get("/models/current").json()
    assert ready == {"ready": True, "model": {"version": current["version"], "sha256": current["sha256"]}}


def test_a_service_that_lost_its_database_is_alive_and_not_ready(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = client.app.state.watcher  # type: ignore[attr-defined]
    later = time.monotonic() + STALE_SECONDS
    monkeypatch.setattr(watcher, "_clock", lambda: later + time.monotonic())
    monkeypatch.setattr(watcher, "tick", lambda: None)
    monkeypatch.setattr(watcher, "_looked_at", 0.0)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/static/js/main.js", "/docs/assets/swagger-ui.css"])
def test_browsers_ask_whether_a_file_of_the_page_is_still_the_same(client: TestClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-cache"
