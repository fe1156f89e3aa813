"""Every answer tells browsers what they may do with it."""

import pytest
from starlette.testclient import TestClient

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
    assert client.get(path).headers["X-Content-Type-Options"] == "nosniff"


def test_the_documentation_may_style_itself_and_nothing_else_more(client: TestClient) -> None:
    page, docs = directives(client, "/"), directives(client, "/docs")
    assert {name for name in docs if docs[name] != page[name]} == {"style-src"}


def test_a_refused_request_carries_the_policy_too(client: TestClient) -> None:
    answer = client.get("/", headers={"Host": "example.org"})
    assert answer.status_code == 403
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
