"""Serving processes as uvicorn's supervisor sees them: one that has died is replaced at once, one that hangs after a while."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from socket import socket
from types import FrameType
from typing import Any, ClassVar, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors import multiprocess

from app.log_stream import STREAM
from app.main import create_app_from_environ
from app.store import StoreError

END_SECONDS = 40.0  # for a process that was told to end; shutdown.END_SECONDS is within it
RETRY_SECONDS = 3.0  # before a process that cannot reach the database gives up, and the supervisor starts the next one
REFUSAL = f"{StoreError.__module__}.{StoreError.__qualname__}: "


class Worker(multiprocess.Process):
    """Uvicorn's, asked for a sign of life without waiting for it: meanwhile the supervisor sees to the others, and to signals."""

    service_started: ClassVar[bool] = False  # some process has served
    gave_up: ClassVar[bool] = False  # none has, and none will
    _asked: float | None = None  # when, while there is no answer yet
    _ends: float | None = None  # when it has to have ended

    def start(self) -> None:
        """Start the process. Its end of the pipe is its own from then on: where that is closed, it has died."""
        # Until it has a handler of its own it leaves Ctrl-C to the supervisor: it would end with a traceback.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            super().start()
        finally:
            signal.signal(signal.SIGINT, handler)
        self.child_conn.close()

    def target(self, sockets: list[socket] | None = None) -> None:
        """In the process: serve, and leave in good order, with all of the log written, where the signal that ended it is raised again."""
        STREAM.write_aside()
        signal.signal(signal.SIGTERM, leave)
        end_with_terminal()
        super().target(sockets)

    def is_alive(self, timeout: float = 5) -> bool:
        """Whether the process runs and has answered, or has time left to: `timeout` seconds."""
        try:
            if self._asked is None:
                self._asked = time.monotonic()
                self.parent_conn.send(b"ping")
            elif self.parent_conn.poll():
                Worker.service_started |= self.parent_conn.recv()
                self._asked = None
        except (OSError, EOFError):
            return False
        return self.process.is_alive() and (self._asked is None or time.monotonic() - self._asked < timeout)

    @property
    def exitcode(self) -> int | None:
        """How it ended. A failing start stops the supervisor: not so where others serve, for the next one may find the database."""
        code = self.process.exitcode
        if code == STARTUP_FAILURE and not Worker.service_started:
            Worker.gave_up = True
            return code
        return 1 if code == STARTUP_FAILURE else code

    def terminate(self) -> None:
        """Tell it to end."""
        self._ends = time.monotonic() + END_SECONDS
        super().terminate()

    def join(self) -> None:
        """Wait until it has ended, and kill it where that takes too long: a process that stands still hears nothing."""
        if self._ends is not None:
            self.process.join(max(0.0, self._ends - time.monotonic()))
            self.process.kill()
        self.process.join()


def leave(_number: int, _frame: FrameType | None) -> None:
    """Uvicorn, once it has stopped in good order, raises the signal that asked for it again; that is no failure."""
    sys.exit(0)


def end_with_terminal() -> None:
    """Let the end of the terminal be a SIGTERM to this process, unless nohup has made it deaf to that."""
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))


def taken(host: str, port: int, error: OSError) -> str:
    """What to say where nobody can listen there."""
    return f"cannot listen on {host} port {port} ({error.strerror}); set ROOKIE_PORT to a free one, or ROOKIE_HOST"


def install() -> None:
    """Let uvicorn start such processes, on a socket that is listened to from the start; it has no setting for it."""
    supervisor, config = cast(Any, multiprocess), cast(Any, Config)
    supervisor.Process = Worker
    supervisor.SIGNALS.pop(signal.SIGHUP, None)  # it would start the workers anew
    config.bind_socket = _listening


def _listening(config: Config, bind: Callable[[Config], socket] = Config.bind_socket) -> socket:
    """A socket that nobody else listens to; two may have bound theirs to one port, and workers would not notice that theirs is deaf."""
    bound = bind(config)
    try:
        bound.listen(config.backlog)
    except OSError as error:
        sys.exit(f"rookie: {taken(config.host, config.port, error)}")
    return bound


class _PlainRefusal:
    """The application; where its start fails for want of a database, one line of the log says so, and no traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request, or start and stop."""
        return self._app(scope, receive, _plain(send) if scope["type"] == "lifespan" else send)


def _plain(send: Send) -> Send:
    async def sending(message: Message) -> None:
        _, refused, reason = message.get("message", "").rpartition(REFUSAL)
        if refused:
            await asyncio.sleep(RETRY_SECONDS)
            message = {**message, "message": f"rookie: {reason.strip()}"}
        await send(message)

    return sending


def _end_with_supervisor() -> None:
    """Let this process end in good order once its supervisor is killed: nobody could stop it, and its port would stay taken."""
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def wait() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="supervisor", daemon=True).start()


def create_app() -> ASGIApp:
    """What each of uvicorn's processes calls."""
    _end_with_supervisor()
    return _PlainRefusal(create_app_from_environ())
