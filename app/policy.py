"""What a browser may do with our answers: load from here alone, run no script but our files, be framed or embedded by nobody."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes and draws its icons from data: addresses.
DOCS = PAGE.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def headers(policy: str = PAGE) -> list[tuple[bytes, bytes]]:
    """The headers of an answer as ASGI writes them."""
    return [(name.lower().encode(), value.encode()) for name, value in {"Content-Security-Policy": policy, **HEADERS}.items()]


_PAGE_HEADERS, _DOCS_HEADERS = headers(PAGE), headers(DOCS)


class Policy:
    """ASGI middleware that adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `send` that adds headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ours = _DOCS_HEADERS if scope["path"] == "/docs" else _PAGE_HEADERS

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        await self._app(scope, receive, sending)
