"""How much a request may bring, judged while it arrives: bytes by route, and of all requests together.

What a connection finds out about a request (app/connections.py) is noted in the request's scope, and answered here.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.doors import PROBES, SAFE_METHODS, is_open_post
from app.errors import Problem, TooLargeError, TooSlowError, UnavailableError
from app.settings import Settings

SLICE_BYTES = 2**16  # of an answer that are handed over at a time
SHORT = 0.75  # share of the memory for bodies and answers from which on nobody may dawdle, and only small bodies come in
SMALL_BYTES = 2**16  # most single pictures have less
_CROWDED, _SLOW, _GONE, _TASK, _LIMIT = "rookie.crowded", "rookie.slow", "rookie.gone", "rookie.task", "rookie.limit"


class BodyLimit:
    """ASGI middleware that stops a body as soon as it is known to be too long, and counts what lies in memory."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self.settings = app, settings
        self.in_hand = 0  # bytes of all bodies that have arrived and are not answered yet, and of answers on their way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` and a `send` that count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_TASK], scope[_LIMIT] = asyncio.current_task(), self
        counted = _Counted(self, scope, receive, send)
        try:
            _check_head(scope, counted.most)
            self._check_memory(scope)
            await self._app(scope, counted.receive, counted.send)
        except Problem as problem:
            await errors.response(problem.document(), scope, problem.headers)(scope, receive, send)
        except asyncio.CancelledError:
            if counted.begun and _GONE in scope:
                return
            if counted.begun:
                raise
            await _cancelled(scope)(scope, receive, send)
        finally:
            self.in_hand -= counted.arrived + counted.leaving

    @property
    def is_short(self) -> bool:
        """Whether so much lies in memory that others may soon be refused for it."""
        return self.in_hand > SHORT * self.settings.bytes_in_hand

    def _check_memory(self, scope: Scope) -> None:
        if self.in_hand > self.settings.bytes_in_hand and scope["path"] not in PROBES:
            raise _full()


class _Counted:
    """One request's bytes: of its body so far, and of its answer while that is on its way."""

    def __init__(self, limit: BodyLimit, scope: Scope, receive: Receive, send: Send) -> None:
        self._limit, self._scope, self._receive, self._send = limit, scope, receive, send
        self.most = most_bytes(limit.settings, scope["path"], scope["query_string"])
        self.arrived = self.leaving = 0
        self.begun = False  # the answer
        self._announced = 0  # bytes of it
        self._gave_way = False  # another one was sent in its place

    async def receive(self) -> Message:
        """Some of the body. Raises TooLargeError, UnavailableError or TooSlowError."""
        limit, message = self._limit, await self._receive()
        count = len(message.get("body", b""))
        self.arrived += count
        limit.in_hand += count
        if self.arrived > self.most:
            raise _too_large(self._scope, self.most)
        most = limit.settings.bytes_in_hand if self.arrived <= SMALL_BYTES else SHORT * limit.settings.bytes_in_hand
        if limit.in_hand > most and limit.in_hand > self.arrived:
            raise UnavailableError("the bodies of other requests fill the memory that there is for them; send this one again later")
        if _SLOW in self._scope:
            raise TooSlowError(f"{self.arrived} bytes of the body have come, which is too slow", {"Connection": "close"})
        return message

    async def send(self, message: Message) -> None:
        """Some of the answer; a large one counts from its head on until all but its last slice has been taken. It needs room for that."""
        if self._gave_way:
            return
        self.begun = True
        if message["type"] == "http.response.start":
            self._announced = _announced_bytes(message.get("headers", ()))
            if not self._has_room(self._announced):
                self._gave_way = True
                full = _full()
                await errors.response(full.document(), self._scope, full.headers)(self._scope, self._receive, self._send)
                return
            self._count(self._announced)
        unannounced = max(0, len(message.get("body", b"")) - self._announced)
        self._count(unannounced)
        for part in _slices(message):
            await self._send(part)
        self._count(-unannounced)

    def _has_room(self, count: int) -> bool:
        """Whether an answer of so many bytes may lie in memory: where nothing else does, or something was changed, it may."""
        limit, scope = self._limit, self._scope
        changed = scope["method"] not in SAFE_METHODS and not is_open_post(scope["path"])
        fits = count <= SLICE_BYTES or limit.in_hand + count <= limit.settings.bytes_in_hand
        return fits or changed or limit.in_hand <= self.arrived

    def _count(self, count: int) -> None:
        self.leaving += count
        self._limit.in_hand += count


def _cancelled(scope: Scope) -> Response:
    """The answer to a request that was ended: its client is gone, or the service stops."""
    if _GONE in scope:
        return Response(status_code=400)  # nobody is there to read it
    stopping = UnavailableError("the service stops; send this again")
    return errors.response(stopping.document(), scope, stopping.headers)


def _slices(message: Message) -> Iterator[Message]:
    """A message, its body in slices: the server waits after each until the client has taken most of it."""
    body = message.get("body", b"")
    if len(body) <= SLICE_BYTES:
        yield message
        return
    for start in range(0, len(body), SLICE_BYTES):
        more = message.get("more_body", False) or start + SLICE_BYTES < len(body)
        yield {"type": message["type"], "body": body[start : start + SLICE_BYTES], "more_body": more}


def note_crowded(scope: Any) -> None:
    """There are too many connections, and the request came by one of the last."""
    scope[_CROWDED] = True


def note_slow(scope: Any) -> bool:
    """The body takes too long; False where that was known."""
    known = _SLOW in scope
    scope[_SLOW] = True
    return not known


def is_memory_short(scope: Any) -> bool:
    """Whether the request holds memory that others wait for."""
    return _LIMIT in scope and scope[_LIMIT].is_short


def drop(scope: Any) -> None:
    """The client is gone: end its request while it waits for its turn, if that is a prediction or a picture of weights."""
    task = scope.get(_TASK)
    waits = is_open_post(scope["path"]) if scope["method"] == "POST" else scope["path"].startswith("/weights/")
    if task is not None and waits:
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
    if _announced_bytes(scope["headers"]) > most:
        raise _too_large(scope, most)


def _full() -> UnavailableError:
    return UnavailableError("bodies of other requests, and answers that nobody reads, fill the memory that there is for them")


def _too_large(scope: Scope, most: int) -> TooLargeError:
    return TooLargeError(f"the body has more than the {most} bytes that {scope['path']} takes")


def _announced_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    for name, text in headers:
        if name == b"content-length":
            digits = text.lstrip(b"0")  # of which the parser takes any number, and Python not
            return int(digits) if digits.isdigit() else 0
    return 0
