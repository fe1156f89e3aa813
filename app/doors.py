"""Who may come in: by host name (against DNS rebinding), by site (against other people's web pages), by token (for changes)."""

import hmac
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app import errors
from app.errors import ForbiddenError, Problem, UnauthorizedError
from app.settings import Settings

PROBES = ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_PORT = re.compile(r":\d*$")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# Posts that change nothing. Whatever is not named here needs the token: a new route is closed until someone opens it.
OPEN_POSTS = (
    "/predict",
    "/predict/batch",
    "/explain",
    "/v2/repository/index",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}/infer",
)
_OPEN = re.compile("|".join(re.sub(r"{\w+}", "[^/]+", route) for route in OPEN_POSTS))


class Doors:
    """ASGI middleware: every request passes here before anything reads it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.token
        self._names = (*LOOPBACK_NAMES, *settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer why not."""
        if scope["type"] == "http":
            try:
                self._judge(scope)
            except Problem as problem:
                await errors.response(problem.document(), scope, problem.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _judge(self, scope: Scope) -> None:
        path = scope["path"]
        if path in PROBES:
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise ForbiddenError(f"host {host[:100]!r} is not served here; ROOKIE_ALLOWED_HOSTS can name it")
        if scope["method"] in SAFE_METHODS:
            return
        _refuse_other_sites(headers, host)
        if self._token and not _OPEN.fullmatch(path):
            self._check_token(headers.get("authorization", ""))

    def _is_ours(self, host: str) -> bool:
        name = _PORT.sub("", host).lower()
        return "*" in self._names or name in self._names

    def _check_token(self, authorization: str) -> None:
        scheme, _, given = authorization.partition(" ")
        expected = (self._token or "").encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
            raise UnauthorizedError("changes need the header Authorization: Bearer with the token that ROOKIE_TOKEN holds")


def _refuse_other_sites(headers: Headers, host: str) -> None:
    """Browsers say where a change comes from; other programs say nothing, and are no danger to a browser's user."""
    site = headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise ForbiddenError(f"the change comes from another site (Sec-Fetch-Site: {site}); open this service's own page")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise ForbiddenError(f"the change comes from another site (Origin: {origin[:100]}); open this service's own page")
