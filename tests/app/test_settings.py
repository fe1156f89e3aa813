"""Settings: one table; an unknown name or a bad value stops the start-up and says which."""

import os
from pathlib import Path
from typing import Any

import pytest

from app.jobs.dispatch import trainer_environ
from app.settings import FIELDS, Settings, SettingsError

TOKEN = "an-example-of-a-token-0123456789"

# One value that each setting takes, and one that it does not; None where it takes any text.
GOOD = {
    "ROOKIE_HOST": ("127.0.0.1", "127.0.0.1"),
    "ROOKIE_PORT": ("8080", 8080),
    "ROOKIE_PUBLISHED_ON_LOOPBACK": ("1", True),
    "ROOKIE_ALLOWED_HOSTS": ("Example.org, [FD00::1],*", ("example.org", "[fd00::1]", "*")),
    "ROOKIE_TOKEN": (TOKEN, TOKEN),
    "ROOKIE_TOKEN_SCOPE": ("changes", "changes"),
    "ROOKIE_CORS_ORIGINS": ("https://Example.org, http://127.0.0.1:3000", ("https://example.org", "http://127.0.0.1:3000")),
    "ROOKIE_TRUSTED_PROXIES": ("10.0.0.7, 172.16.0.0/12,fe80::/10", ("10.0.0.7", "172.16.0.0/12", "fe80::/10")),
    "ROOKIE_ROOT_PATH": ("/rookie/", "/rookie"),
    "ROOKIE_STATE_DIR": ("/srv/state", Path("/srv/state")),
    "ROOKIE_DATA_DIR": ("/srv/data", Path("/srv/data")),
    "ROOKIE_DATABASE_URL": ("sqlite:////srv/rookie.db", "sqlite:////srv/rookie.db"),
    "ROOKIE_MODEL": ("mine.npz", Path("mine.npz")),
    "ROOKIE_WORKERS": ("2", 2),
    "ROOKIE_QUEUE_ROWS": ("100", 100),
    "ROOKIE_ACCESS_LOG": ("0", False),
    "ROOKIE_TRAINING_SLOTS": ("0", 0),
    "ROOKIE_EVENT_STREAMS": ("8", 8),
    "ROOKIE_PICTURE_BYTES": ("2048", 2048),
    "ROOKIE_PHOTO_BYTES": ("1048576", 1048576),
    "ROOKIE_PHOTO_PIXELS": ("1000000", 1000000),
    "ROOKIE_BATCH_BYTES": ("1048576", 1048576),
    "ROOKIE_BATCH_ROWS": ("100", 100),
    "ROOKIE_FORM_PARTS": ("2", 2),
    "ROOKIE_MODEL_BYTES": ("4194304", 4194304),
    "ROOKIE_BODY_BYTES": ("131072", 131072),
    "ROOKIE_BYTES_IN_HAND": ("134217728", 134217728),
    "ROOKIE_CONNECTIONS": ("100", 100),
    "ROOKIE_HEAD_SECONDS": ("5", 5),
    "ROOKIE_BODY_SECONDS": ("5", 5),
    "ROOKIE_BODY_RATE": ("1", 1),
    "ROOKIE_UNREAD_SECONDS": ("5", 5),
    "ROOKIE_DRAIN_BYTES": ("0", 0),
    "ROOKIE_QUEUED_JOBS": ("3", 3),
    "ROOKIE_STORED_BYTES": ("8589934592", 8589934592),
    "ROOKIE_KEEP_VERSIONS": ("3", 3),
    "ROOKIE_KEEP_JOBS": ("50", 50),
    "ROOKIE_TRAINING_THREADS": ("2", 2),
}
BAD = [
    ("ROOKIE_PORT", "0"),
    ("ROOKIE_PORT", "65536"),
    ("ROOKIE_PORT", "-1"),
    ("ROOKIE_PORT", "8000.0"),
    ("ROOKIE_PORT", " 8000"),
    ("ROOKIE_PORT", "\uff18\uff10"),
    *(("ROOKIE_ALLOWED_HOSTS", text) for text in ("https://example.org", "example.org:8080", "*.internal", "fd00::1", "example.org/path")),
    *(("ROOKIE_CORS_ORIGINS", text) for text in ("https://example.org:443", "http://example.org:80", "https://a:b", "https://a:1:2")),
    ("ROOKIE_PORT", "http"),
    ("ROOKIE_PORT", "http://10.0.0.1:80"),
    ("ROOKIE_PUBLISHED_ON_LOOPBACK", "yes"),
    ("ROOKIE_TOKEN", "short"),
    ("ROOKIE_TOKEN", "a token with spaces in it"),
    ("ROOKIE_TOKEN", "schlüssel-schlüssel-schlüssel"),
    ("ROOKIE_TOKEN_SCOPE", "none"),
    ("ROOKIE_CORS_ORIGINS", "*"),
    ("ROOKIE_CORS_ORIGINS", "null"),
    ("ROOKIE_CORS_ORIGINS", "example.org"),
    ("ROOKIE_CORS_ORIGINS", "https://example.org/path"),
    ("ROOKIE_TRUSTED_PROXIES", "*"),
    ("ROOKIE_TRUSTED_PROXIES", "proxy.example.org"),
    ("ROOKIE_TRUSTED_PROXIES", "10.0.0.7/8"),
    ("ROOKIE_ROOT_PATH", "rookie"),
    ("ROOKIE_ROOT_PATH", "//example.org"),
    ("ROOKIE_ROOT_PATH", "/a b"),
    ("ROOKIE_DATABASE_URL", "mysql://host/rookie"),
    ("ROOKIE_WORKERS", "0"),
    ("ROOKIE_WORKERS", "9" * 5000),
    ("ROOKIE_TRAINING_SLOTS", "17"),
    ("ROOKIE_EVENT_STREAMS", "0"),
    ("ROOKIE_KEEP_VERSIONS", "0"),
    ("ROOKIE_KEEP_JOBS", "0"),
    ("ROOKIE_TRAINING_THREADS", "all"),
    ("ROOKIE_CONNECTIONS", "0"),
    ("ROOKIE_HEAD_SECONDS", "0.5"),
    ("ROOKIE_BATCH_BYTES", "64MiB"),
    ("ROOKIE_STORED_BYTES", "9" * 20),
]
NOT_UTF_8 = os.fsdecode(b"/srv/\xff-0123456789")
KUBERNETES = {
    "ROOKIE_PORT": "tcp://10.0.0.1:80",
    "ROOKIE_SERVICE_HOST": "10.0.0.1",
    "ROOKIE_SERVICE_PORT": "80",
    "ROOKIE_SERVICE_PORT_HTTP": "80",
    "ROOKIE_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "ROOKIE_PORT_8000_TCP_ADDR": "10.0.0.1",
    "ROOKIE_PORT_8000_TCP_PORT": "8000",
    "ROOKIE_PORT_8000_TCP_PROTO": "tcp",
    "ROOKIE_PORT_53_UDP_ADDR": "10.0.0.1",
    "ROOKIE_DB_PORT": "tcp://10.0.0.1:5432",
    "ROOKIE_DB_SERVICE_HOST": "10.0.0.1",
    "ROOKIE_DB_SERVICE_PORT_POSTGRES": "5432",
    "ROOKIE_MY_DB_PORT_5432_TCP_ADDR": "10.0.0.1",
}


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environ({}) == Settings()
    assert Settings.from_environ({"PATH": "/bin", "rookie_port": "1", "NOT_ROOKIE_PORT": "1"}) == Settings()


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_documented_and_read(name: str) -> None:
    assert FIELDS[name].metadata["help"]
    text, value = GOOD[name]
    assert getattr(Settings.from_environ({name: text}), FIELDS[name].name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_an_empty_value_means_the_default(name: str) -> None:
    assert Settings.from_environ({name: ""}) == Settings()


@pytest.mark.parametrize("name", ["ROOKIE_PORTS", "ROOKIE_", "ROOKIE_SECRET", "ROOKIE_port"])
def test_an_unknown_name_is_refused_by_that_name_with_the_known_ones(name: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ({name: "1"})
    assert str(refusal.value).startswith(f"{name} is not a setting")
    assert all(known in str(refusal.value) for known in FIELDS)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_setting(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is .*; it must be "):
        Settings.from_environ({name: text})


@pytest.mark.parametrize("name", KUBERNETES)
def test_what_kubernetes_puts_beside_a_service_called_rookie_is_passed_over(name: str) -> None:
    assert Settings.from_environ({name: KUBERNETES[name]}) == Settings()


@pytest.mark.parametrize(
    "name",
    ["ROOKIE_SERVICE", "ROOKIE_SERVICE_NAME", "ROOKIE_PORT_TCP", "ROOKIE_PORT_8000", "ROOKIE_PORT_8000_HTTP", "ROOKIE_PORT_8000_TCP_X"],
)
def test_nothing_that_only_looks_like_kubernetes_is_passed_over(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is not a setting"):
        Settings.from_environ({name: "tcp://10.0.0.1:80"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "rookie.example.org"])  # noqa: S104 (as text)
def test_an_address_that_others_can_reach_needs_a_token_or_a_promise(host: str) -> None:
    with pytest.raises(SettingsError, match=r"ROOKIE_TOKEN.*ROOKIE_PUBLISHED_ON_LOOPBACK"):
        Settings.from_environ({"ROOKIE_HOST": host})
    with pytest.raises(SettingsError):
        Settings.from_environ({"ROOKIE_HOST": host, "ROOKIE_PUBLISHED_ON_LOOPBACK": "0", "ROOKIE_TOKEN": ""})
    assert Settings.from_environ({"ROOKIE_HOST": host, "ROOKIE_TOKEN": TOKEN}).host == host
    assert Settings.from_environ({"ROOKIE_HOST": host, "ROOKIE_PUBLISHED_ON_LOOPBACK": "1"}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_loopback_address_needs_neither(host: str) -> None:
    assert Settings.from_environ({"ROOKIE_HOST": host}).host == host


def test_a_scope_without_a_token_is_refused() -> None:
    with pytest.raises(SettingsError, match="set ROOKIE_TOKEN too"):
        Settings.from_environ({"ROOKIE_TOKEN_SCOPE": "all"})
    assert Settings.from_environ({"ROOKIE_TOKEN_SCOPE": "all", "ROOKIE_TOKEN": TOKEN}).token_scope == "all"


@pytest.mark.parametrize("name", FIELDS)
def test_text_that_is_not_utf_8_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is .*; it must be "):
        Settings.from_environ({name: NOT_UTF_8})


SECRETS: list[dict[str, Any]] = [
    {"ROOKIE_TOKEN": "hush " * 5},
    {"ROOKIE_TOKEN": "hush"},
    {"ROOKIE_DATABASE_URL": "mysql://rookie:hush@host/rookie"},
]


@pytest.mark.parametrize("environ", SECRETS)
def test_a_refused_secret_is_not_shown(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ(environ)
    assert "hush" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_secret_is_not_in_the_text_of_the_settings() -> None:
    text = repr(Settings.from_environ({"ROOKIE_TOKEN": "hush-" * 5, "ROOKIE_DATABASE_URL": "postgresql://rookie:hush@host/rookie"}))
    assert "hush" not in text
    assert "8000" in text


def test_a_trainer_learns_where_things_lie_and_not_the_token() -> None:
    asked = {
        "ROOKIE_TOKEN": TOKEN,
        "ROOKIE_DATABASE_URL": "sqlite:////srv/rookie.db",
        "ROOKIE_STATE_DIR": "/srv",
        "ROOKIE_TRAINING_THREADS": "2",
    }
    settings = Settings.from_environ(asked)
    environ = trainer_environ(settings, {**asked, **KUBERNETES, "PATH": "/bin", "OPENBLAS_NUM_THREADS": "64"})
    assert TOKEN not in environ.values()
    assert (environ["PATH"], environ["OPENBLAS_NUM_THREADS"]) == ("/bin", "2")
    theirs = Settings.from_environ(environ)
    assert (theirs.store_url, theirs.data_dir, theirs.state_dir) == (settings.store_url, settings.data_dir, settings.state_dir)
