"""Settings: one table of name, default and help, read once from the environment. An unknown name or a bad value stops the start-up."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app import parse

PREFIX = "ROOKIE_"
# What Kubernetes puts into the environment of every pod next to services that are called rookie, or rookie-db; none of it is ours.
_KUBERNETES_NAME = re.compile(r"ROOKIE_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://\S+")
ALL = "all"  # a scope of the token
_LOOPBACK_ADDRESSES = ("127.0.0.1", "::1", "localhost")


class SettingsError(Exception):
    """The environment asks for something that cannot be; the text says which setting, and what it may be."""


def _setting(default: Any, parser: Callable[[str], Any], text: str, *, secret: bool = False) -> Any:
    """A field with its parser (which raises ValueError with what the value may be) and its help text."""
    return dataclasses.field(default=default, metadata={"parse": parser, "help": text, "secret": secret}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides. Each field is ROOKIE_ and its name in capitals."""

    host: str = _setting("127.0.0.1", str, "address to listen on; any but a loopback one needs a token, or ROOKIE_PUBLISHED_ON_LOOPBACK=1")
    port: int = _setting(8000, parse.whole(1, 65535), "port to listen on")
    published_on_loopback: bool = _setting(
        False, parse.switch, "1 says that what forwards to this address (a container's port mapping) listens on the loopback only"
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), parse.hosts, "host names, besides the loopback's, that requests may be addressed to, comma-separated; * for any"
    )
    token: str | None = _setting(None, parse.token, "bearer token that every change (training, activating) must carry", secret=True)
    token_scope: str = _setting(
        "changes", parse.one_of("changes", ALL), "what needs the token: changes, or all (probes and predictions too) but the page's files"
    )
    cors_origins: tuple[str, ...] = _setting(
        (), parse.origins, "origins whose pages may read answers and ask for changes, comma-separated; other sites' pages may not"
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (), parse.networks, "addresses or networks of reverse proxies whose X-Forwarded-For, -Proto and -Host are believed"
    )
    root_path: str = _setting("", parse.root_path, "path under which a reverse proxy shows the service, such as /rookie")
    state_dir: Path = _setting(Path("state"), Path, "folder of the database")
    data_dir: Path = _setting(Path("data/fashion-mnist"), Path, "folder of the dataset's four files; fetched at the first training job")
    database_url: str | None = _setting(None, parse.database_url, "database instead of a SQLite file in ROOKIE_STATE_DIR", secret=True)
    model: Path = _setting(Path("weights/rookie.npz"), Path, "weights file that an empty database starts with")
    workers: int = _setting(1, parse.whole(1, 64), "serving processes")
    training_slots: int = _setting(1, parse.whole(0, 16), "training jobs that run at the same time, per database; 0 only queues")
    access_log: bool = _setting(True, parse.switch, "1 writes a line of JSON for each request, 0 none")
    keep_versions: int = _setting(
        10, parse.whole(1, 100_000), "newest model versions to keep, besides the current one and its last predecessors"
    )
    keep_jobs: int = _setting(
        1000,
        parse.whole(1, 10_000_000),
        "newest training jobs to keep, besides those that had not ended a minute ago or have a kept version",
    )
    training_threads: int = _setting(1, parse.whole(1, 64), "threads that one training job computes with")
    # Limits; docs/operations.md has the reason of each.
    picture_bytes: int = _setting(2**20, parse.whole(2**10, 2**30), "bytes of a picture that is sent to be classified or explained")
    photo_bytes: int = _setting(16 * 2**20, parse.whole(2**10, 2**30), "the same with prepare=photo")
    photo_pixels: int = _setting(32 * 2**20, parse.whole(784, 2**30), "pixels of a photograph; of a JPEG twice as many, of a WebP 3/8")
    batch_bytes: int = _setting(64 * 2**20, parse.whole(2**10, 2**30), "bytes of a batch or an inference request")
    batch_rows: int = _setting(16_384, parse.whole(1, 2**20), "pictures of a batch or an inference request, and parts of its form")
    form_parts: int = _setting(8, parse.whole(1, 2**10), "parts of a form with one picture")
    model_bytes: int = _setting(16 * 2**20, parse.whole(2**10, 2**30), "bytes of an uploaded weights file")
    body_bytes: int = _setting(64 * 2**10, parse.whole(2**10, 2**30), "bytes of any other request's body")
    bytes_in_hand: int = _setting(
        96 * 2**20, parse.whole(2**20, 2**40), "bytes of all bodies and unread answers in hand at once, per serving process; beyond, 503"
    )
    queue_rows: int = _setting(
        16_384,
        parse.whole(1, 10_000_000),
        "pictures that may be in hand at once, per serving process, in small requests and in large ones; beyond, 503",
    )
    connections: int = _setting(512, parse.whole(1, 100_000), "open connections, per serving process; beyond, 503")
    head_seconds: int = _setting(10, parse.whole(1, 3600), "seconds that a request's head may take, or an idle connection; then 408")
    body_seconds: int = _setting(20, parse.whole(1, 3600), "seconds that a body may fall behind ROOKIE_BODY_RATE; then 408")
    body_rate: int = _setting(1024, parse.whole(1, 2**30), "bytes a second that a body has to bring")
    unread_seconds: int = _setting(60, parse.whole(1, 3600), "seconds that a client may leave its answer unread")
    drain_bytes: int = _setting(16 * 2**20, parse.whole(0, 2**40), "bytes of a refused upload that are still read, so that its answer is")
    queued_jobs: int = _setting(100, parse.whole(1, 10_000), "training jobs that may wait; beyond, 503")
    event_streams: int = _setting(64, parse.whole(1, 10_000), "open streams of training events, per serving process")
    stored_bytes: int = _setting(2**30, parse.whole(2**20, 2**50), "bytes of all model versions in the database; beyond, 503")

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
                values[field.name] = field.metadata["parse"](parse.utf_8(text))
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
        if self.token_scope == ALL and not self.token:
            raise SettingsError("ROOKIE_TOKEN_SCOPE is 'all', but there is no token; set ROOKIE_TOKEN too")

    @property
    def store_url(self) -> str:
        """The database's address, in SQLAlchemy's form."""
        return self.database_url or f"sqlite:///{quote(str(self.state_dir / 'rookie.db'))}"


FIELDS = {PREFIX + field.name.upper(): field for field in dataclasses.fields(Settings)}


def _is_kubernetes(name: str, text: str) -> bool:
    return bool(_KUBERNETES_NAME.fullmatch(name)) or (name.endswith("_PORT") and bool(_KUBERNETES_PORT.fullmatch(text)))
