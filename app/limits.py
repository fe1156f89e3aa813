"""How many bytes a body may have, by route, judged while they arrive."""

from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.errors import TooLargeError

DEFAULT_BODY_BYTES = 64 * 2**10
INFERENCE_BODY_BYTES = 64 * 2**20
BODY_BYTES = {"/predict": 2**20, "/explain": 2**20, "/predict/batch": INFERENCE_BODY_BYTES, "/models": 16 * 2**20}
PHOTO_BYTES = {"/predict": 16 * 2**20, "/explain": 16 * 2**20}  # with ?prepare=photo
MOST_ROWS = 16_384  # pictures of one request


def most_bytes(path: str, query: bytes) -> int:
    """How many bytes a body for `path` may have."""
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        return INFERENCE_BODY_BYTES
    most = BODY_BYTES.get(path, DEFAULT_BODY_BYTES)
    return PHOTO_BYTES.get(path, most) if query and parse_qs(query.decode("latin-1")).get("prepare") == ["photo"] else most


class BodyLimit:
    """ASGI middleware that stops a body as soon as it is known to be too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = most_bytes(scope["path"], scope["query_string"])
        if _announced_bytes(scope) > most:
            problem = _too_large(scope, most)
            await errors.response(problem.document(), scope, problem.headers)(scope, receive, send)
            return
        arrived = 0

        async def counting_receive() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > most:
                raise _too_large(scope, most)
            return message

        await self._app(scope, counting_receive, send)


def _too_large(scope: Scope, most: int) -> TooLargeError:
    # Without a close the server would read the rest of the body, and throw it away.
    return TooLargeError(f"the body has more than the {most} bytes that {scope['path']} takes", {"Connection": "close"})


def _announced_bytes(scope: Scope) -> int:
    for name, text in scope["headers"]:
        if name == b"content-length":
            return int(text) if text.isdigit() else 0
    return 0
