"""What a reverse proxy says of a request, believed only from the addresses that the operator names; and the path that it puts us under."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


class TrustedProxies(ProxyHeadersMiddleware):
    """Uvicorn's middleware for X-Forwarded-For and -Proto, and X-Forwarded-Host besides: the doors judge the name that the browser used."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Put what the proxy says into the scope, if it is one of ours."""
        if scope["type"] == "http" and scope["client"] and scope["client"][0] in self.trusted_hosts:
            forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
            if forwarded:  # each proxy appends, so the last name is that of the nearest
                host = forwarded[-1].rpartition(b",")[2].strip()
                scope["headers"] = [(b"host", host), *(each for each in scope["headers"] if each[0] != b"host")]
        await super().__call__(scope, receive, send)


class RootPath:
    """ASGI middleware of a service that others see under a path, whether the proxy takes that path away or leaves it."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app, self._root = app, root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the root off the request's path, and put it before the answer's Location."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(f"{self._root}/"):
            scope["path"] = scope["path"][len(self._root) :]
            scope["raw_path"] = scope["raw_path"][len(self._root) :]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(name, self._rooted(name, value)) for name, value in message.get("headers", ())]
            await send(message)

        await self._app(scope, receive, sending)

    def _rooted(self, name: bytes, value: bytes) -> bytes:
        return self._root.encode() + value if name.lower() == b"location" and value.startswith(b"/") else value
