"""From the text of a setting to its value. Each parser raises ValueError with what the value may be."""

import ipaddress
import re
from collections.abc import Callable

_HOST = r"(?:[^\s/*?#@:\\\[\]]+|\[[0-9a-f:.]+\])"
_USUAL_PORT = re.compile(r"http://.*:80|https://.*:443")


def utf_8(text: str) -> str:
    """What can be written down: the database, the log and every answer are UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("UTF-8") from None
    return text


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(" or ".join(words))
        return text

    return parse


def switch(text: str) -> bool:
    """1 or 0."""
    return one_of("0", "1")(text) == "1"


def names(text: str) -> tuple[str, ...]:
    """Words with commas between them, in small letters."""
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def hosts(text: str) -> tuple[str, ...]:
    """Names of hosts as requests say them, but for the port; a star alone stands for all."""
    found = names(text)
    if not all(re.fullmatch(rf"{_HOST}|\*", name) for name in found):
        raise ValueError("host names without scheme or port, comma-separated: rookie.example.org, [fd00::1]; * alone for any")
    return found


def origins(text: str) -> tuple[str, ...]:
    """Where pages come from, as browsers say it; no star, because such a page may change what this service does."""
    found = names(text)
    if not all(re.fullmatch(rf"https?://{_HOST}(:\d{{1,5}})?", origin) and not _USUAL_PORT.fullmatch(origin) for origin in found):
        raise ValueError("origins as browsers send them, without a scheme's usual port: https://example.org, http://127.0.0.1:3000")
    return found


def networks(text: str) -> tuple[str, ...]:
    """IP addresses and networks."""
    found = names(text)
    try:
        for name in found:
            ipaddress.ip_network(name)
    except ValueError:
        raise ValueError("addresses or networks, comma-separated: 10.0.0.7, 172.16.0.0/12") from None
    return found


def root_path(text: str) -> str:
    """A path without a slash at its end."""
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
        raise ValueError("a path such as /rookie, of letters, digits and -._~")
    return path


def token(text: str) -> str:
    """A secret that nobody guesses."""
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("at least 16 printable characters without spaces (try: openssl rand -hex 32)")
    return text


def database_url(text: str) -> str:
    """An address in SQLAlchemy's form."""
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", text):
        raise ValueError("sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
    return text
