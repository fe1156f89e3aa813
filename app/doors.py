"""Who may come in: by host name (against DNS rebinding), by site (against other people's web pages), by token (for changes, or for all)."""

import hmac
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app import errors
from app.errors import BadRequestError, ForbiddenError, Problem, UnauthorizedError
from app.settings import ALL, Settings

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
# A browser that opens the page has no token yet: the page asks for it.
_PAGE_FILES = re.compile("/|/docs|/openapi.json|/static/.*|/docs/assets/.*")


def is_open_post(path: str) -> bool:
    """Whether posting to `path` changes nothing."""
    return _OPEN.fullmatch(path) is not None


class Doors:
    """ASGI middleware: every request passes here before anything reads it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = (settings.token or "").encode()
        self._all = settings.token_scope == ALL
        self._names = (*LOOPBACK_NAMES, *settings.allowed_hosts)
        self._origins = settings.cors_origins

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
        path, method, headers = scope["path"], scope["method"], Headers(scope=scope)
        if path not in PROBES:  # which are asked for by address
            hosts = headers.getlist("host") or [""]
            host = hosts[0]
            if len(hosts) > 1:
                raise BadRequestError(f"the request names {len(hosts)} hosts, {host[:100]!r} first; send one Host header")
            if not self._is_ours(host):
                raise ForbiddenError(f"host {host[:100]!r} is not served here; ROOKIE_ALLOWED_HOSTS can name it")
            if method not in SAFE_METHODS:
                self._refuse_other_sites(headers, host)
        if self._token and self._is_closed(method, path):
            self._check_token(headers.get("authorization", ""))

    def _is_closed(self, method: str, path: str) -> bool:
        """Whether the request needs the token."""
        if self._all:
            return method not in SAFE_METHODS or not _PAGE_FILES.fullmatch(path)
        return method not in SAFE_METHODS and not is_open_post(path)

    def _is_ours(self, host: str) -> bool:
        name = _PORT.sub("", host).lower()
        return "*" in self._names or name in self._names

    def _check_token(self, authorization: str) -> None:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            what = "every request needs" if self._all else "changes need"
            raise UnauthorizedError(f"{what} the header Authorization: Bearer with the token that ROOKIE_TOKEN holds")

    def _refuse_other_sites(self, headers: Headers, host: str) -> None:
        """Browsers say where a change comes from; other programs say nothing, and are no danger to a browser's user."""
        origin = headers.get("origin")
        if origin is not None and origin.lower() in self._origins:
            return
        site = headers.get("sec-fetch-site")
        if site not in (None, "same-origin", "none"):
            raise ForbiddenError(f"the change comes from another site (Sec-Fetch-Site: {site[:100]}); open this service's own page")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise ForbiddenError(f"the change comes from another site (Origin: {origin[:100]}); open this service's own page")
