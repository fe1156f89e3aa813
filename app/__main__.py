"""python -m app: serve, as the ROOKIE_ environment says."""

import os
import resource
import signal
import socket
import sys
from contextlib import ExitStack
from functools import partial

if __name__ == "__main__":  # until there is something to end in good order, Ctrl-C ends at once, and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for _variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):  # another program's; several workers get a folder of ours
        os.environ.pop(_variable, None)
# Before NumPy loads: one image is too little work to share, and idle BLAS threads would spin on the cores that the event loop needs.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import uvicorn  # noqa: E402
from uvicorn.config import STARTUP_FAILURE  # noqa: E402

from app import logs, metric_files, workers  # noqa: E402
from app.connections import SPARE_CONNECTIONS, Connection, Patience  # noqa: E402
from app.main import open_store  # noqa: E402
from app.settings import Settings, SettingsError  # noqa: E402
from app.store import StoreError  # noqa: E402
from model_core.errors import RookieError  # noqa: E402

# An open event stream would hold a stopping server for ever.
GRACEFUL_SECONDS = 8
# A worker that decodes the largest photographs on a busy machine may be late with its sign of life; it is no dead one.
HEALTH_SECONDS = 60
BACKLOG = 2048  # connections that come at once, and lie open until they are counted
OTHER_FILES = 256  # that a serving process has open besides connections: a database connection for each thread, and what it reads


def main() -> None:
    """Check what would stop the start, say it in one line, and serve."""
    with ExitStack() as kept:
        try:
            settings = Settings.from_environ(os.environ)
            _check_port(settings)
            _allow_open_files(settings.connections)
            open_store(settings).close()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, workers.leave)
            workers.end_with_terminal()
            kept.enter_context(metric_files.folder(settings.state_dir, settings.workers))
        except (SettingsError, StoreError, RookieError) as error:
            sys.exit(f"rookie: {error}")
        _serve(settings)


def _serve(settings: Settings) -> None:
    workers.install()
    uvicorn.run(
        "app.workers:create_app",
        factory=True,
        interface="asgi3",
        host=settings.host,
        port=settings.port,
        http=partial(Connection, patience=Patience.of(settings)),  # type: ignore[arg-type] # whatever makes a protocol will do
        workers=settings.workers,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_worker_healthcheck=HEALTH_SECONDS,
        server_header=False,
        proxy_headers=False,
        ws="none",
        log_config=logs.CONFIGURATION,
        access_log=False,
    )
    if workers.Worker.gave_up:
        sys.exit(STARTUP_FAILURE)


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(workers.taken(settings.host, settings.port, error)) from error
        except TypeError as error:  # a name that IDNA cannot encode
            raise SettingsError(f"cannot listen on {settings.host} ({error}); set ROOKIE_HOST to an address of this machine") from error


def _allow_open_files(connections: int) -> None:
    """Let this process, and those that it starts, open as many files as connections and all else need: the usual limit can be lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    due = connections + SPARE_CONNECTIONS + OTHER_FILES
    if most < due:
        raise SettingsError(
            f"ROOKIE_CONNECTIONS is {connections}, for which the process needs {due} open files, and it may have {most}; "
            "raise that limit (ulimit -n), or lower ROOKIE_CONNECTIONS"
        )
    wanted = min(due + BACKLOG, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("rookie: python -m app takes no arguments; settings come from the environment (ROOKIE_PORT=8080), README.md lists them")
    logs.configure()
    main()
