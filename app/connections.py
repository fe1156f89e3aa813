"""A connection of uvicorn's, held to limits: how many there are, and how long each may take to say what it wants and to hear the answer.

Each connection looks at its own clock now and then. What can be answered as a request is: the scope is told, and limits.py answers.
"""

import json
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app import limits, policy
from app.errors import BadRequestError, Problem, TooSlowError
from app.framing import Framing
from app.settings import Settings

LOOK_SECONDS = 0.5
CROWDED_SECONDS = 2.0  # one connection too many has this long to ask, so that it can be told
SPARE_CONNECTIONS = 64  # for those and for probes; beyond them nothing is said
# Where memory is short, whoever holds some of it without sending or taking this many bytes a second has this long.
HURRIED_RATE = 64 * 2**10
HURRIED_SECONDS = 5.0
MOST_PIPELINED = 64  # requests that wait behind one on its connection, at 3 kB each; browsers send none ahead
BODY_HEADERS = (b"content-length", b"transfer-encoding")
# Nobody reads it; the framework would take it apart for every request, in a time that may grow with the square of its length.
DROPPED_HEADER = b"cookie"


@dataclass(frozen=True)
class Patience:
    """What a connection may take; seconds, bytes, bytes a second."""

    connections: int
    head_seconds: float
    body_seconds: float
    body_rate: float
    unread_seconds: float
    drain_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Patience":
        """As the operator decided."""
        return cls(
            settings.connections,
            settings.head_seconds,
            settings.body_seconds,
            settings.body_rate,
            settings.unread_seconds,
            settings.drain_bytes,
        )


class FloodError(Exception):
    """Ends the parser's work on what has been read: a quarter of a mebibyte may hold thousands of requests, chunks or headers."""


class _Lingering:
    """A transport whose close waits for its connection."""

    def __init__(self, transport: Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, close


class _Flow(FlowControl):
    """Reads no more of a connection while requests wait in its pipeline: uvicorn would with each answer, and each may bring thousands."""

    def __init__(self, transport: Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Let the client send on, unless others of its requests wait."""
        if not self._pipeline:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """Uvicorn's protocol; a request is awaited, its head comes, its body comes, and again."""

    def __init__(self, *, patience: Patience, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._patience = patience
        self._stage = "idle"  # or "head" or "body": what has begun to arrive
        self._since = self.loop.time()  # of that stage; a body's bytes put it off, up to now
        self._hurried_since = self._since  # the same by the rate that is asked for where memory is short
        self._drained_bytes = 0
        self._framing = Framing()
        self._closes = False  # once the request has arrived
        self._unread_since: float | None = None  # the client takes no more of its answer
        self._look_again: TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None  # others may wait behind it
        self._refusal: Problem | None = None  # of what came behind those; it is said after their answers, and nothing more is read

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Look at the clock from now on; one connection too many is told so, or not even that."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._crowded = len(self.connections) > self._patience.connections
        if len(self.connections) > self._patience.connections + SPARE_CONNECTIONS:
            transport.abort()
        else:
            self._look_again = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is being answered know that nobody waits for it; uvicorn tells only the one that came last."""
        if self._answering and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
            limits.drop(self._answering.scope)
        super().connection_lost(exc)
        if self._look_again:
            self._look_again.cancel()

    def data_received(self, data: bytes) -> None:
        """Judge the length of a head, and of what wraps a body, too: the parser does not."""
        if self._refusal:
            return
        self._framing.begin_read(len(data))
        super().data_received(data)
        problem = self._framing.end_read()
        if problem and not self._has_refused():
            self._refuse(problem)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._enter("head")
        self._framing.begin_request()
        if self._crowded:
            limits.note_crowded(self.scope)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head. What comes after a body is not kept: nobody reads it."""
        self._end_flood(self._framing.header(len(name) + len(value)))
        if self._stage != "body" and name.lower() != DROPPED_HEADER:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A body begins, of however many bytes. Who asks for another protocol is answered in this one, and then the connection ends."""
        if len(self.pipeline) >= MOST_PIPELINED:
            waiting = f"{MOST_PIPELINED} requests wait on this connection for their answers; read some of those first"
            self._end_flood(BadRequestError(waiting))
        self._end_flood(self._framing.address(self.url))
        upgrades = self.parser.should_upgrade()
        if upgrades and any(name in BODY_HEADERS and value != b"0" for name, value in self.headers):
            # The parser passes over such a body, and would read it as the next request.
            self._refuse(BadRequestError("a request with a body cannot ask for another protocol; leave Connection: Upgrade out"))
            return
        super().on_headers_complete()
        if upgrades:
            self.cycle.keep_alive = False
        self._enter("body")
        self._drained_bytes = 0
        if not self.cycle.keep_alive:
            self.cycle.transport = _Lingering(self.transport, self._close_soon)  # type: ignore[assignment]

    def on_chunk_header(self) -> None:
        """Some of the body comes in a piece that the client has cut."""
        self._end_flood(self._framing.chunk())

    def on_body(self, body: bytes) -> None:
        """Some of the body; after the answer it goes nowhere, but a little is read, so that the client comes to read that."""
        super().on_body(body)
        self._framing.body(len(body))
        now = self.loop.time()
        self._since = min(now, self._since + len(body) / self._patience.body_rate)
        self._hurried_since = min(now, self._hurried_since + len(body) / HURRIED_RATE)
        if self.cycle.response_complete:
            self._drained_bytes += len(body)
            if self._drained_bytes > self._patience.drain_bytes:
                self.transport.close()

    def on_message_complete(self) -> None:
        """The request is here. What is still to be read of the connection is whether the client leaves."""
        super().on_message_complete()
        self.flow.resume_reading()
        self._enter("idle")
        self._framing.end_request()
        if self._closes:
            self.transport.close()

    def on_response_complete(self) -> None:
        """The next one may come."""
        super().on_response_complete()
        if self._stage == "idle":
            self._since = self.loop.time()
        if self._refusal and not self._is_answering() and not self.transport.is_closing():
            self._end_with(self._refusal)

    def pause_writing(self) -> None:
        """The client does not take what we send."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._unread_since = None

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read."""
        if not self._has_refused():
            self._refuse(BadRequestError(f"{msg} Nothing of it could be read."))

    def _unsupported_upgrade_warning(self) -> None:
        """Uvicorn would advise to install something."""

    def _enter(self, stage: str) -> None:
        self._stage = stage
        self._since = self._hurried_since = self.loop.time()

    def _look(self) -> None:
        """Has the client taken too long?"""
        self._look_again = self.loop.call_later(LOOK_SECONDS, self._look)
        now, closing = self.loop.time(), self.transport.is_closing()
        if closing and self._unread_since is None:
            self._unread_since = now  # what is still to be sent before the end
        if self._unread_since is not None and now - self._unread_since > self._unread_patience():
            self.transport.abort()
        elif self.flow.read_paused:
            self._since = self._hurried_since = now  # it is we who keep it waiting
        elif not closing and (now - self._since > self._patience_now() or self._holds_up_others(now)):
            self._lose_patience()

    def _patience_now(self) -> float:
        """Seconds for the present stage."""
        if self._stage == "body":
            return self._patience.body_seconds
        if self._is_answering():
            return float("inf")
        if not self._crowded:
            return self._patience.head_seconds
        return CROWDED_SECONDS if self.cycle is None else 0.0

    def _unread_patience(self) -> float:
        """Seconds that an answer may lie here unread."""
        answering = self._answering
        short = answering is not None and limits.is_memory_short(answering.scope)
        return min(HURRIED_SECONDS, self._patience.unread_seconds) if short else self._patience.unread_seconds

    def _holds_up_others(self, now: float) -> bool:
        """Whether a body comes so slowly, while memory is short, that others are refused for it."""
        return self._stage == "body" and now - self._hurried_since > HURRIED_SECONDS and limits.is_memory_short(self.cycle.scope)

    def _lose_patience(self) -> None:
        if self._stage == "head":
            self._refuse(TooSlowError("the request's head takes too long"))
        elif self._stage == "body" and not self.cycle.response_started and limits.note_slow(self.cycle.scope):
            self.cycle.message_event.set()  # whoever waits for more of the body hears of it
            self._since = self._hurried_since = self.loop.time()
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _close_soon(self) -> None:
        """After the answer: at once, or where some of an upload is still on its way once it is here, because that would meet a reset."""
        self._closes = self._stage == "body"
        if not self._closes:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _end_flood(self, problem: Problem | None) -> None:
        """Refuse what comes in too many pieces, if it does. Raises FloodError."""
        if problem is not None:
            self._refuse(problem)
            raise FloodError

    def _refuse(self, problem: Problem) -> None:
        """Answer what is no request yet, and close: after the answers to the requests before it. After its own answer, only the latter."""
        arriving = self.cycle if self._stage == "body" else None  # the request that is refused, if its head was good
        if self._is_answering() and arriving is not self._answering:
            if arriving:
                self.pipeline.popleft()  # the last one to come; it waits there for its turn, and will never be whole
            self._enter("idle")
            self._refusal = problem
        elif arriving and arriving.response_started:
            self.transport.close()
        else:
            self._end_with(problem)

    def _has_refused(self) -> bool:
        return self._refusal is not None or self.transport.is_closing()

    def _end_with(self, problem: Problem) -> None:
        """Say it, and close."""
        content = json.dumps(problem.document()).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),
            *policy.headers(),
        ]
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + content)
        self.transport.close()
