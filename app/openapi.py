"""/openapi.json: what FastAPI derives from the routes, and what it cannot know of them."""

from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any

import pydantic_core
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from app.doors import OPEN_POSTS, SAFE_METHODS
from app.errors import media_type_of
from app.settings import ALL, Settings

PATH = "/openapi.json"
SCHEME = "token"
RETRY_AFTER = {"description": "seconds to wait before the next try", "required": True, "schema": {"type": "integer", "minimum": 1}}


def install(app: FastAPI, settings: Settings) -> None:
    """Let `app` describe itself with the media types of its errors, and with the token where it asks for one; encoded once."""
    derive, turn = app.openapi, Lock()

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(derive(), settings)
        assert app.openapi_schema is not None  # noqa: S101 (derive has put it there)
        return app.openapi_schema

    @cache
    def encoded() -> bytes:
        with turn:
            return pydantic_core.to_json(describe())

    async def show(_: Request) -> Response:
        return Response(await run_in_threadpool(encoded), media_type="application/json")  # the first time takes a third of a second

    app.openapi = describe  # type: ignore[method-assign]
    app.add_route(PATH, show, include_in_schema=False)


def _complete(document: dict[str, Any], settings: Settings) -> None:
    if settings.token:
        document["components"]["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer", "description": "what ROOKIE_TOKEN holds"}}
    for path, method, operation in _operations(document):
        _describe_errors(operation["responses"], media_type_of(path))
        changes = method.upper() not in SAFE_METHODS and path not in OPEN_POSTS
        if settings.token and (changes or settings.token_scope == ALL):
            operation["security"] = [{SCHEME: []}]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _describe_errors(responses: dict[str, Any], media_type: str) -> None:
    for status, response in responses.items():
        if status >= "4":
            (schema,) = response["content"].values()
            response["content"] = {media_type: schema}
        if status == "503":
            response["headers"] = {"Retry-After": RETRY_AFTER}
