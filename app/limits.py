"""How much a request may bring, judged while it arrives: bytes by route, and of all requests together.

What a connection finds out about a request (app/connections.py) is noted in the request's scope, and answered here.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.doors import PROBES, is_open_post
from app.errors import Problem, TooLargeError, TooSlowError, UnavailableError
from app.settings import Settings

_CROWDED, _SLOW, _GONE, _TASK = "rookie.crowded", "rookie.slow", "rookie.gone", "rookie.task"


class BodyLimit:
    """ASGI middleware that stops a body as soon as it is known to be too long."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._in_hand = 0  # bytes of all bodies that have arrived and are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_TASK] = asyncio.current_task()
        most = most_bytes(self._settings, scope["path"], scope["query_string"])
        arrived = 0

        async def counting_receive() -> Message:
            nonlocal arrived
            message = await receive()
            count = len(message.get("body", b""))
            arrived += count
            self._in_hand += count
            if arrived > most:
                raise _too_large(scope, most)
            if self._in_hand > self._settings.bytes_in_hand and self._in_hand > arrived:
                raise UnavailableError("the bodies of other requests fill the memory that there is for them; send this one again later")
            if _SLOW in scope:
                raise TooSlowError(f"{arrived} bytes of the body have come, which is too slow", {"Connection": "close"})
            return message

        try:
            _check_head(scope, most)
            await self._app(scope, counting_receive, send)
        except Problem as problem:
            await errors.response(problem.document(), scope, problem.headers)(scope, receive, send)
        except asyncio.CancelledError:
            if _GONE not in scope:
                raise
            await Response(status_code=400)(scope, receive, send)  # nobody is there to read it
        finally:
            self._in_hand -= arrived


def note_crowded(scope: Any) -> None:
    """There are too many connections, and the request came by one of the last."""
    scope[_CROWDED] = True


def note_slow(scope: Any) -> bool:
    """The body takes too long; False where that was known."""
    known = _SLOW in scope
    scope[_SLOW] = True
    return not known


def drop(scope: Any) -> None:
    """The client is gone: end its request while it waits for its turn, unless it asked for a change."""
    task = scope.get(_TASK)
    if task is not None and scope["method"] == "POST" and is_open_post(scope["path"]):
        scope[_GONE] = True
        task.cancel()


def most_bytes(settings: Settings, path: str, query: bytes) -> int:
    """How many bytes a body for `path` may have."""
    if path in ("/predict", "/explain"):
        photo = query and parse_qs(query.decode("latin-1")).get("prepare") == ["photo"]
        return settings.photo_bytes if photo else settings.picture_bytes
    if path == "/predict/batch" or (path.startswith("/v2/models/") and path.endswith("/infer")):
        return settings.batch_bytes
    return settings.model_bytes if path == "/models" else settings.body_bytes


def _check_head(scope: Scope, most: int) -> None:
    """Raise what can be said before a body is read."""
    if _CROWDED in scope and scope["path"] not in PROBES:
        raise UnavailableError("there are as many connections as ROOKIE_CONNECTIONS allows; come back later")
    if _announced_bytes(scope) > most:
        raise _too_large(scope, most)


def _too_large(scope: Scope, most: int) -> TooLargeError:
    return TooLargeError(f"the body has more than the {most} bytes that {scope['path']} takes")


def _announced_bytes(scope: Scope) -> int:
    for name, text in scope["headers"]:
        if name == b"content-length":
            return int(text) if text.isdigit() else 0
    return 0
