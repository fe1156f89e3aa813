"""How many bytes a body may have, by route, judged while they arrive."""

from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.errors import TooLargeError

DEFAULT_BODY_BYTES = 64 * 2**10
BODY_BYTES = {"/predict": 2**20, "/explain": 2**20, "/models": 16 * 2**20}
PHOTO_BYTES = {"/predict": 16 * 2**20, "/explain": 16 * 2**20}  # with ?prepare=photo


class BodyLimit:
    """ASGI middleware that stops a body as soon as it is known to be too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = most_bytes(scope["path"], scope["query_string"].decode("latin-1"))
        # Without a close the server would read the rest of the body, and throw it away.
        problem = TooLargeError(f"the body has more than the {most} bytes that {scope['path']} takes", {"Connection": "close"})
        if _announced_bytes(scope) > most:
            await errors.response(problem.document(), scope["path"], problem.headers)(scope, receive, send)
            return
        arrived = 0

        async def counting_receive() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > most:
                raise problem
            return message

        await self._app(scope, counting_receive, send)


def most_bytes(path: str, query: str) -> int:
    """How long the body of a request may be."""
    most = BODY_BYTES.get(path, DEFAULT_BODY_BYTES)
    return PHOTO_BYTES.get(path, most) if parse_qs(query).get("prepare") == ["photo"] else most


def _announced_bytes(scope: Scope) -> int:
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0
