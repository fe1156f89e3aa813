"""Settings: one table of name, default and help, read once from the environment. An unknown name or a bad value stops the start-up."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "ROOKIE_"
# What Kubernetes puts into the environment of every pod next to a service that is called rookie; none of it is ours.
_KUBERNETES_NAME = re.compile(r"ROOKIE_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://\S+")
_LOOPBACK_ADDRESSES = ("127.0.0.1", "::1", "localhost")


class SettingsError(Exception):
    """The environment asks for something that cannot be; the text says which setting, and what it may be."""


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def _token(text: str) -> str:
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("at least 16 printable characters without spaces (try: openssl rand -hex 32)")
    return text


def _database_url(text: str) -> str:
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", text):
        raise ValueError("sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    return text


def _setting(default: Any, parse: Callable[[str], Any], text: str, *, secret: bool = False) -> Any:
    """A field with its parser (which raises ValueError with what the value may be) and its help text."""
    return dataclasses.field(default=default, metadata={"parse": parse, "help": text, "secret": secret}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides. Each field is ROOKIE_ and its name in capitals."""

    host: str = _setting("127.0.0.1", str, "address to listen on; any but a loopback one needs a token, or ROOKIE_PUBLISHED_ON_LOOPBACK=1")
    port: int = _setting(8000, _whole(1, 65535), "port to listen on")
    published_on_loopback: bool = _setting(
        False, _switch, "1 says that whatever forwards to this address (a container's port mapping) itself listens on the loopback only"
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), _names, "host names, besides the loopback's, that requests may be addressed to, comma-separated; * for any"
    )
    token: str | None = _setting(None, _token, "bearer token that every change (training, activating) must carry", secret=True)
    state_dir: Path = _setting(Path("state"), Path, "folder of the database")
    data_dir: Path = _setting(Path("data/fashion-mnist"), Path, "folder of the dataset's four files; fetched at the first training job")
    database_url: str | None = _setting(None, _database_url, "database instead of a SQLite file in ROOKIE_STATE_DIR", secret=True)
    model: Path = _setting(Path("weights/rookie.npz"), Path, "weights file that an empty database starts with")
    workers: int = _setting(1, _whole(1, 64), "serving processes")
    training_slots: int = _setting(1, _whole(0, 16), "training jobs that run at the same time, per database; 0 only queues")
    queue_rows: int = _setting(
        16_384, _whole(1, 10_000_000), "pictures that may be in hand at once, per serving process; more are refused with 503"
    )
    access_log: bool = _setting(True, _switch, "1 writes a line of JSON for each request, 0 none")
    event_streams: int = _setting(64, _whole(1, 10_000), "open streams of training events, per serving process")
    keep_versions: int = _setting(
        10, _whole(1, 100_000), "newest model versions to keep, besides the current one and its last predecessors"
    )
    training_threads: int = _setting(1, _whole(1, 64), "threads that one training job computes with")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings that `environ` asks for. Raises SettingsError."""
        values = {}
        for name, text in environ.items():
            if not name.startswith(PREFIX) or _is_kubernetes(name, text):
                continue
            field = FIELDS.get(name)
            if field is None:
                raise SettingsError(f"{name} is not a setting; there are {', '.join(FIELDS)}")
            if text == "":
                continue  # `ROOKIE_X=` in an env file means: the default
            try:
                values[field.name] = field.metadata["parse"](text)
            except ValueError as error:
                shown = "(not shown)" if field.metadata["secret"] else repr(text)
                raise SettingsError(f"{name} is {shown}; it must be {error}") from None
        settings = cls(**values)
        settings._check_doors()
        return settings

    def _check_doors(self) -> None:
        """Open on the loopback, closed elsewhere: a service that anyone may retrain does not listen to a network."""
        if self.host not in _LOOPBACK_ADDRESSES and not self.token and not self.published_on_loopback:
            raise SettingsError(
                f"ROOKIE_HOST is {self.host!r}, which others can reach; set ROOKIE_TOKEN,"
                " or ROOKIE_PUBLISHED_ON_LOOPBACK=1 where a container's port mapping keeps it on 127.0.0.1"
            )

    @property
    def store_url(self) -> str:
        """The database's address, in SQLAlchemy's form."""
        return self.database_url or f"sqlite:///{self.state_dir / 'rookie.db'}"


FIELDS = {PREFIX + field.name.upper(): field for field in dataclasses.fields(Settings)}


def _is_kubernetes(name: str, text: str) -> bool:
    return bool(_KUBERNETES_NAME.fullmatch(name)) or (name == "ROOKIE_PORT" and bool(_KUBERNETES_PORT.fullmatch(text)))
