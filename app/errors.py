"""The errors that a client can meet, and the one place that turns them into problem documents (RFC 9457).

Problem (an HTTPException, because Starlette turns anything else that is raised while a body is read into a 400)
├── NotAnImageError 415         ├── WrongSizeError 422            ├── NotFoundError 404
├── UnsupportedBodyError 415    ├── InvalidRequestError 422       ├── ConflictError 409
├── UnreadableImageError 422    ├── TooLargeError 413             ├── UnauthorizedError 401
├── UploadPartsError 422        ├── ForbiddenError 403            ├── UnavailableError 503
├── InferenceError 400          ├── TooSlowError 408              ├── HeadTooLargeError 431
├── BadRequestError 400         ├── RangeError 416                ├── MethodNotAllowedError 405
└── AddressTooLongError 414
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from app.store import BusyError, DamagedError
from model_core.errors import ArtifactError, DataError, DivergenceError, RecipeError, RookieError

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MOST_PATH_CHARACTERS = 300  # of a request's path in logs and answers
MOST_VALUE_CHARACTERS = 60  # of one that is refused
METHODS_OF_FILES = ("GET", "HEAD")
# What a database says of statements that are wrong, rather than of itself.
OUR_FAULTS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.NotSupportedError)
log = logging.getLogger("rookie")


class Problem(HTTPException):
    """An answer of 400 or more: `detail` names the value and the way out, `code` is for programs."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.status, detail, dict(headers or {}))

    def document(self) -> dict[str, Any]:
        """The problem document, as an answer or inside one."""
        return document(self.status, self.code, self.detail)


class NotAnImageError(Problem):
    """The upload is not a picture in a format that we read."""

    status, code = 415, "not-an-image"


class UnsupportedBodyError(Problem):
    """The Content-Type is none that the route takes."""

    status, code = 415, "unsupported-content-type"


class UnreadableImageError(Problem):
    """A picture that is cut short, damaged or of a kind that has no single reading."""

    status, code = 422, "unreadable-image"


class WrongSizeError(Problem):
    """A picture of another size than 28 x 28."""

    status, code = 422, "wrong-size"


class UploadPartsError(Problem):
    """A multipart body without exactly one part named file."""

    status, code = 422, "upload-parts"


class InvalidRequestError(Problem):
    """A field of a request is missing, unknown or out of bounds."""

    status, code = 422, "invalid-request"


class InferenceError(Problem):
    """A request of the Open Inference Protocol that makes no sense."""

    status, code = 400, "invalid-inference"


class TooLargeError(Problem):
    """More bytes, pixels, rows or parts than the route takes."""

    status, code = 413, "too-large"


class TooSlowError(Problem):
    """A request that takes too long to arrive."""

    status, code = 408, "too-slow"


class HeadTooLargeError(Problem):
    """More bytes of headers than any request needs."""

    status, code = 431, "head-too-large"


class AddressTooLongError(Problem):
    """More bytes of an address than any route needs."""

    status, code = 414, "address-too-long"


class BadRequestError(Problem):
    """What came is not HTTP, or its Range is none."""

    status, code = 400, "bad-request"


class RangeError(Problem):
    """The Range begins behind the file's end."""

    status, code = 416, "range"


class NotFoundError(Problem):
    """There is no such thing."""

    status, code = 404, "not-found"


class MethodNotAllowedError(Problem):
    """The path has no such method; Allow says which it has."""

    status, code = 405, "method-not-allowed"


class ConflictError(Problem):
    """The thing is not in a state for that."""

    status, code = 409, "conflict"


class UnauthorizedError(Problem):
    """A change without the token, or with another one."""

    status, code = 401, "unauthorized"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": "Bearer"})


class ForbiddenError(Problem):
    """A request to a host name that is not ours, or a change that another site asked a browser for."""

    status, code = 403, "forbidden"


class UnavailableError(Problem):
    """Not now; Retry-After says when."""

    status, code = 503, "unavailable"

    def __init__(self, detail: str, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, {"Retry-After": str(retry_after_seconds)})


def document(status: int, code: str, detail: str) -> dict[str, Any]:
    """A problem document; `error` repeats the detail for clients of the Open Inference Protocol."""
    title = HTTPStatus(status).phrase
    return {"type": f"urn:rookie:{code}", "title": title, "status": status, "detail": detail, "code": code, "error": detail}


def training_problem(error: RookieError) -> dict[str, Any]:
    """The problem document of a training job that model_core ended."""
    codes = {DivergenceError: "diverged", DataError: "data", RecipeError: "invalid-request"}
    code = next((code for kind, code in codes.items() if isinstance(error, kind)), "training-failed")
    return document(500, code, str(error))


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem document."""
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(RecipeError, _on_recipe_error)
    app.add_exception_handler(ArtifactError, _on_artifact_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    for trouble in (sa.exc.DatabaseError, sa.exc.TimeoutError, BusyError, DamagedError):
        app.add_exception_handler(trouble, _on_database_trouble)


def crash(error: Exception, scope: Scope, request_id: str) -> JSONResponse:
    """The answer to a request that met an error of ours, of which the log has it all and the client learns nothing, or want of memory."""
    if isinstance(error, MemoryError):
        log.warning("%s %s: not enough memory, request %s", scope["method"], path_of(scope), request_id)
        short = UnavailableError("there is not enough memory for that now; send it again later, or less of it", retry_after_seconds=5)
        return response(short.document(), scope, short.headers)
    log.error("%s %s failed, request %s", scope["method"], path_of(scope), request_id, exc_info=error)
    return response(Problem("the service met an error of its own; its log says more").document(), scope)


def response(problem: Mapping[str, Any], scope: Scope, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """`problem` as the answer to the request of `scope`, which remembers its code for the log and the metrics."""
    scope["rookie.problem"] = problem["code"]
    return JSONResponse(dict(problem), problem["status"], dict(headers or {}), media_type_of(scope["path"]))


def path_of(scope: Scope) -> str:
    """The request's path for people to read: clients may send 64 kB."""
    path: str = scope["path"]
    return path if len(path) <= MOST_PATH_CHARACTERS else f"{path[:MOST_PATH_CHARACTERS]}..."


def media_type_of(path: str) -> str:
    """What an error under `path` is: clients of the Open Inference Protocol read nothing but plain JSON."""
    return "application/json" if path.startswith("/v2") else "application/problem+json"


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (what it was registered for)
    if isinstance(error, Problem):
        return response(error.document(), request.scope, error.headers)
    asked = f"{request.method} {path_of(request.scope)}"
    if error.status_code == MethodNotAllowedError.status:
        methods = ", ".join(_methods(request))
        refusal = MethodNotAllowedError(f"{asked}: the path takes {methods}; /docs lists what there is", {"Allow": methods})
        return response(refusal.document(), request.scope, refusal.headers)
    phrase = HTTPStatus(error.status_code).phrase
    detail = f"{asked}: {phrase.lower()}; /docs lists what there is" if error.detail == phrase else error.detail
    return response(document(error.status_code, phrase.lower().replace(" ", "-"), detail), request.scope, error.headers)


def _methods(request: Request) -> list[str]:
    """Every method of the path: the framework names those of one route alone, though others may have the same path."""
    whole = {**request.scope, "root_path": request.scope.get("app_root_path", request.scope["root_path"])}  # as it was before a mount
    asked = ({**whole, "method": method} for method in METHODS)
    return [scope["method"] for scope in asked if any(_takes(route, scope) for route in request.app.routes)]


def _takes(route: BaseRoute, scope: Scope) -> bool:
    methods = METHODS_OF_FILES if isinstance(route, Mount) else METHODS
    return scope["method"] in methods and route.matches(scope)[0] is Match.FULL


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (as above)
    problem = _content_type_problem(request, error)
    if problem is not None:
        return response(problem.document(), request.scope)
    details = "; ".join(_told(each) for each in error.errors()[:5])
    # A path that no number or name of ours could have leads nowhere, like one that none has.
    kind = NotFoundError if any(each["loc"][0] == "path" for each in error.errors()) else InvalidRequestError
    return response(kind(details).document(), request.scope)


def _told(fault: Mapping[str, Any]) -> str:
    """Which value is refused and what it may be; objects and lists stay out of the answer."""
    where, value = ".".join(map(str, fault["loc"])) or "body", fault.get("input")
    shown = f" is {repr(value)[:MOST_VALUE_CHARACTERS]}" if isinstance(value, (str, int, float)) else ""
    return f"{where}{shown}: {fault['msg']}"


def _content_type_problem(request: Request, error: RequestValidationError) -> Problem | None:
    """What to say of a body that is not read because its type is not that of JSON."""
    content_type = request.headers.get("content-type", "")
    unread = any(each["loc"] == ("body",) and each["type"] != "missing" for each in error.errors())
    if not unread or "json" in content_type.lower():
        return None
    return UnsupportedBodyError(f"Content-Type is {content_type[:100] or 'missing'!r}; send the body as application/json")


async def _on_recipe_error(request: Request, error: Exception) -> Response:
    return response(InvalidRequestError(str(error)).document(), request.scope)


async def _on_artifact_error(request: Request, error: Exception) -> Response:
    """A request needs a stored version that cannot be loaded; an upload that is refused is told so by its route."""
    problem = ConflictError(f"{error}; choose another version")
    return response(problem.document(), request.scope)


async def _on_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return Response(status_code=400)  # nobody is there to read it


async def _on_database_trouble(request: Request, error: Exception) -> Response:
    if isinstance(error, OUR_FAULTS):
        raise error
    log.warning("%s %s: %s", request.method, path_of(request.scope), error)
    problem = UnavailableError("the database is busy, full, damaged or away; predictions go on meanwhile", retry_after_seconds=5)
    return response(problem.document(), request.scope, problem.headers)
