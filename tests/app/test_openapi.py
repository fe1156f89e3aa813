"""/openapi.json says which media type an error has, and what needs the token."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.doors import OPEN_POSTS
from app.errors import media_type_of
from app.main import create_app
from app.settings import Settings

PLAIN = create_app(Settings()).openapi()
GUARDED = create_app(Settings(token="an-example-of-a-token-0123456789")).openapi()
CLOSED = create_app(Settings(token="an-example-of-a-token-0123456789", token_scope="all")).openapi()
OPERATIONS = [(path, method) for path, methods in PLAIN["paths"].items() for method in methods]


def operation(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_operation_names_the_media_type_of_its_errors(path: str, method: str) -> None:
    for status, response in operation(PLAIN, path, method)["responses"].items():
        if status >= "4":
            assert list(response["content"]) == [media_type_of(path)]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_any_operation_may_answer_not_now_and_then_says_when(path: str, method: str) -> None:
    assert operation(PLAIN, path, method)["responses"]["503"]["headers"]["Retry-After"]["required"]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_needs_the_token_says_so_where_there_is_one(path: str, method: str) -> None:
    closed = method not in ("get", "head") and path not in OPEN_POSTS
    assert ("security" in operation(GUARDED, path, method)) == closed
    assert "security" not in operation(PLAIN, path, method)
    assert "security" in operation(CLOSED, path, method)


def test_the_document_is_made_once(client: TestClient) -> None:
    assert client.get("/openapi.json").content == client.get("/openapi.json").content


def test_the_scheme_is_a_bearer_token() -> None:
    assert GUARDED["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert "securitySchemes" not in PLAIN["components"]
