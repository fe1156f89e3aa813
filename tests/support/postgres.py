"""A PostgreSQL server of the tests' own, from Debian's package or any on the PATH: in a temporary folder, on a free port."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.support.service import PATIENCE_SECONDS, eventually, free_port

DEBIANS = Path("/usr/lib/postgresql")
UNPRIVILEGED = "postgres"  # the server refuses to run as root; Debian's package brings this user along
# What is lost when the machine fails does not matter here; the sessions' own limits stay as they are.
QUICK = ("fsync=off", "full_page_writes=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", "max_connections=200")


def find_binaries() -> Path | None:
    """The folder with initdb and postgres, the newest of those that Debian installs."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    installed = sorted(DEBIANS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


@dataclass
class Server:
    """A running server, and databases in it."""

    port: int
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def create_database(self) -> str:
        """The address of an empty database; of a schema that looks like one, which takes a tenth of the time."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"postgresql+psycopg://rookie@127.0.0.1:{self.port}/postgres?options=-csearch_path%3D{name}"

    def execute(self, statement: str) -> None:
        """Run one statement of an administrator."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def answers(self) -> bool:
        """Whether it takes connections."""
        with suppress(psycopg.OperationalError), psycopg.connect(self._address):
            return True
        return False

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Inside, no process of the server does anything (SIGSTOP); its machine still takes what comes."""
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], check=True, capture_output=True, text=True)
        processes = [self.process.pid, *map(int, listed.stdout.split())]
        try:
            for pid in processes:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    @property
    def _address(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=rookie dbname=postgres"


@contextmanager
def server(binaries: Path) -> Iterator[Server]:
    """A started server, which is gone at the end."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="rookie-postgres-"))
    try:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        with _running(binaries, folder / "data", folder / "log", user) as started:
            yield started
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(binaries: Path, data: Path, log: Path, user: str | None) -> Iterator[Server]:
    make: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "rookie", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make, user=user, cwd="/", check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    port = free_port()
    options = [word for setting in QUICK for word in ("-c", setting)]
    with log.open("wb") as output:
        run: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port), *options]
        process = subprocess.Popen(run, user=user, cwd="/", stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    started = Server(port, process)
    try:
        assert eventually(lambda: process.poll() is not None or started.answers()), "it does not get ready"
        assert process.poll() is None, log.read_text()
        yield started
    finally:
        process.send_signal(signal.SIGINT)  # "fast": it ends its sessions
        process.wait(PATIENCE_SECONDS)
