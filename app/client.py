"""A client of a running service, for Python programs; it needs the standard library only.

>>> from app.client import Client
>>> Client("http://127.0.0.1:8000").predict(open("examples/trouser.png", "rb").read())["label"]
'Trouser'
"""

import http.client
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
RETRY_SECONDS = 1.0  # before a stream that broke off is asked for again
AWAY_SECONDS = 60.0  # that a service which was followed may be away, as where it is started again
MOST_ANSWER_BYTES = 64 * 2**20  # of a service's; ten times what it says of 16,384 pictures
MOST_LINE_BYTES = 2**20  # of an event stream
TIMEOUT_SECONDS = 60.0  # longer than the heartbeat of an event stream


class ClientError(Exception):
    """The service refused, or could not be reached; the text says why. `status` is None where there was no answer."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class Event(NamedTuple):
    """Something that happened to a job: `status`, `epoch`, or as the last one `done`."""

    kind: str
    id: str
    data: dict[str, Any]


class Client:
    """One service. Every call is a request of its own; all raise ClientError."""

    def __init__(self, address: str = DEFAULT_ADDRESS, token: str | None = None) -> None:
        self._address, self._parts = address, _parts(address)
        self._headers = {"Authorization": f"Bearer {_sendable(token)}"} if token else {}

    def predict(self, picture: bytes) -> dict[str, Any]:
        """Classify one picture, a file's bytes."""
        return self._json("label", "POST", "/predict", picture, {"Content-Type": "image/*"})

    def predict_batch(self, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        """Classify many pictures: for each an answer, or the problem document of one that could not be read."""
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="picture"\r\n\r\n'.encode()
        body = b"".join(head + picture + b"\r\n" for picture in pictures) + f"--{boundary}--\r\n".encode()
        answer = self._json("predictions", "POST", "/predict/batch", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        predictions: list[dict[str, Any]] = answer["predictions"]
        return predictions

    def train(self, /, **wanted: Any) -> dict[str, Any]:
        """Queue a training job: `recipe`, `promote` and any field of the recipe."""
        return self._send_json("recipe", "POST", "/train", wanted)

    def job(self, number: int) -> dict[str, Any]:
        """How a job stands."""
        return self._json("recipe", "GET", f"/train/{number}")

    def cancel(self, number: int) -> dict[str, Any]:
        """Cancel a job."""
        return self._json("recipe", "DELETE", f"/train/{number}")

    def follow(self, number: int) -> Iterator[Event]:
        """What happens to a job, up to its end; a connection that breaks is taken up again where it broke, also after a new start."""
        last, patience_ends = "", 0.0
        while True:
            try:
                connection, response = self._request("GET", f"/train/{number}/events", headers={"Last-Event-ID": last})
            except ClientError as error:
                if error.status not in (None, 503) or time.monotonic() > patience_ends:
                    raise
                time.sleep(RETRY_SECONDS)
                continue
            try:
                if response.headers.get_content_type() != "text/event-stream":
                    raise self._stranger()
                for event in _events(response):
                    yield event
                    last = event.id
                    if event.kind == "done":
                        return
            except (OSError, http.client.HTTPException):
                pass
            except (ValueError, RecursionError) as error:
                raise self._stranger() from error
            finally:
                connection.close()
            patience_ends = time.monotonic() + AWAY_SECONDS
            time.sleep(RETRY_SECONDS)

    def models(self) -> dict[str, Any]:
        """The model versions, and which one serves."""
        return self._json("models", "GET", "/models")

    def activate(self, version: int) -> dict[str, Any]:
        """Let a version serve."""
        return self._send_json("version", "PUT", "/models/current", {"version": version})

    def _send_json(self, due: str, method: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        return self._json(due, method, path, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _json(self, due: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The object that answers, which has the field `due` where a service of ours wrote it."""
        connection, response = self._request(method, path, body, headers)
        try:
            found = json.loads(_whole(response))
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(f"{self._address} broke off its answer ({error})") from error
        except (ValueError, RecursionError) as error:
            raise self._stranger() from error
        finally:
            connection.close()
        if not isinstance(found, dict) or due not in found:
            raise self._stranger()
        return found

    def _stranger(self) -> ClientError:
        return ClientError(f"what answers at {self._address} is no Rookie service; --server names another address")

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """An answer of the service that is no refusal."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        # Without a number http.client would look for one in the host, and an IPv6 address is full of colons.
        port = kind.default_port if self._parts.port is None else self._parts.port
        connection = kind(self._parts.hostname or "", port, timeout=TIMEOUT_SECONDS)
        try:
            response = _exchange(connection, method, self._parts.path.rstrip("/") + path, body, {**self._headers, **(headers or {})})
            if response.status < 400:
                return connection, response
            problem = _detail(_whole(response), response.reason)
        except ClientError:
            connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ClientError(f"{self._address} cannot be reached ({error}); is the service running? make serve") from error
        connection.close()
        raise ClientError(problem, response.status)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> http.client.HTTPResponse:
    """Send and hear. A service that refuses a body may hang up before it has it all, and its answer be lost. Raises ClientError then."""
    refused = None
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError) as error:
        refused = error
    try:
        return connection.getresponse()
    except (OSError, http.client.HTTPException):
        if refused is None:
            raise
        raise ClientError(f"{len(body or b'')} bytes were refused half-way ({refused}); send less at a time") from refused


def _parts(address: str) -> SplitResult:
    """The address, taken apart. Raises ClientError where no service can have it."""
    try:
        parts = urlsplit(address)
        host, _, _ = (parts.hostname or "").encode("idna"), parts.path.encode("ascii"), parts.port  # each refuses with a ValueError
    except ValueError:
        host = b""
    if not host or parts.scheme not in ("http", "https") or not address.isprintable() or " " in address:
        raise ClientError(f"{address!r} is no address of a service; it looks like {DEFAULT_ADDRESS}")
    return parts


def _sendable(token: str) -> str:
    """The token, if a header can carry it; what http.client says of one that it cannot would show it."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ClientError(
            "the token has signs that none can have: spaces, line breaks or letters beyond ASCII; see --token and ROOKIE_TOKEN"
        )
    return token


def _whole(response: http.client.HTTPResponse) -> bytes:
    """An answer's body. Raises ClientError where it is longer than any of ours."""
    with response:
        body = response.read(MOST_ANSWER_BYTES + 1)
    if len(body) > MOST_ANSWER_BYTES:
        raise ClientError(f"the answer has more than {MOST_ANSWER_BYTES} bytes, which no Rookie service says; name another --server")
    return body


def _detail(body: bytes, reason: str) -> str:
    """What a problem document says."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return reason


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """Server-sent events, as far as this service uses them: one line of data each."""
    fields: dict[str, str] = {}
    while line := response.readline(MOST_LINE_BYTES):
        if not line.endswith(b"\n") and len(line) == MOST_LINE_BYTES:
            raise ValueError("a line without end")
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(":")
        if name in ("event", "id", "data"):
            fields[name] = value.removeprefix(" ")
        elif not text and "data" in fields:
            yield Event(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
            fields = {}
