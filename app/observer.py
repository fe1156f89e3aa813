"""What is noted of every request: its id, one line of JSON in the log, its count and duration in the metrics, and how it crashed."""

import itertools
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.metrics import Meters
from app.store import now

MOST_OF_AN_ADDRESS = 100  # characters; a trusted proxy may pass on whatever its client calls itself
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ID = re.compile(rb"[\w.:/+=@-]{1,128}", re.ASCII)
_HEADER = b"x-request-id"
# What uvloop says where a client has left and more of its requests were waiting. Uvicorn does not notice, and would log each as a crash.
_CLOSED = "the handler is closed"
Log = Callable[[dict[str, Any]], None]


class Observer:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, meters: Meters, log: Log | None) -> None:
        self._app, self._meters, self._log = app, meters, log
        self._new_id = _request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _id_of(scope) or self._new_id()
        status, gone = 0, False  # not answered yet

        async def noting_send(message: Message) -> None:
            nonlocal status, gone
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id)]
            try:
                await send(message)
            except RuntimeError as error:
                gone = _CLOSED in str(error)
                raise

        self._meters.in_flight.inc()
        try:
            await self._app(scope, receive, noting_send)
        except Exception as error:
            if gone:
                return
            if status:
                raise  # half an answer is out: the server can only close the connection
            await errors.crash(error, scope, request_id.decode())(scope, receive, noting_send)
        finally:
            self._meters.in_flight.dec()
            self._note(scope, request_id, status or 500, time.perf_counter() - began)

    def _note(self, scope: Scope, request_id: bytes, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._meters.answered(method, route_of(scope), status, seconds)
        if reason := scope.get("rookie.problem"):
            self._meters.rejected(reason)
        if self._log:
            client = scope.get("client")
            self._log(
                {
                    "time": now(),
                    "level": "info",
                    "logger": "rookie.access",
                    "request_id": request_id.decode(),
                    "client": client[0][:MOST_OF_AN_ADDRESS] if client else None,
                    "method": scope["method"],
                    "path": errors.path_of(scope),
                    "status": status,
                    "milliseconds": round(1000 * seconds, 3),
                    **({"problem": reason} if reason else {}),
                }
            )


def route_of(scope: Scope) -> str:
    """The route's template: /train/{job} for /train/7. What no route has is one thing, so that no client can make up names."""
    known = scope.get("rookie.route")
    if known is not None:
        return str(known)
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))


def _id_of(scope: Scope) -> bytes | None:
    """The client's own id of a request, where it is one that can go into a log and back."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            return value if _ID.fullmatch(value) else None
    return None


def _request_ids() -> Callable[[], bytes]:
    """Ids that no other process gives: a random one of the process, and a count."""
    process, numbers = secrets.token_hex(6), itertools.count(1)
    return lambda: b"%b-%x" % (process.encode(), next(numbers))
