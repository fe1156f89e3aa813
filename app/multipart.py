"""A form's parts (RFC 7578) in a body that is already here whole, found by python-multipart: nothing goes through a temporary file."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import TooLargeError, UploadPartsError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


MOST_SEMICOLONS = 64  # of a header, in file names too: the library takes microseconds for each


class Part(NamedTuple):
    """One part of a form."""

    name: bytes
    is_file: bool  # whether it has a file name
    content: bytes


class Form:
    """A multipart/form-data body that comes bit by bit. Raises UploadPartsError, or TooLargeError where it has more than `most` parts."""

    def __init__(self, content_type: str, most: int) -> None:
        boundary = _options(content_type).get(b"boundary")
        if not boundary:
            raise UploadPartsError("the multipart Content-Type has no boundary")
        self._collector = _Collector(most)
        with _told_as_ours():
            self._parser = MultipartParser(boundary, self._collector.callbacks())

    def feed(self, data: bytes) -> list[Part]:
        """The parts that end in the next bytes of the body, in order."""
        with _told_as_ours():
            self._parser.write(data)
        return self._collector.take()

    def check_end(self) -> None:
        """Insist that all of the body has come."""
        if not self._collector.ended:
            raise UploadPartsError("the multipart body cannot be read: it ends before its last boundary")


def parts(body: bytes, content_type: str, most: int) -> list[Part]:
    """The parts of a whole body, in order. Raises what Form raises."""
    form = Form(content_type, most)
    found = form.feed(body)
    form.check_end()
    return found


@contextmanager
def _told_as_ours() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise UploadPartsError(f"the multipart body cannot be read: {error}") from error


@lru_cache(maxsize=256)  # a client sends the same headers again and again
def _options(header: str | bytes) -> dict[bytes, bytes]:
    """A header's parameters. Raises UploadPartsError where it has more than any honest one."""
    semicolons = header.count(";") if isinstance(header, str) else header.count(b";")
    if semicolons > MOST_SEMICOLONS:
        raise UploadPartsError(f"a header of the form has {semicolons} parameters or semicolons; send at most {MOST_SEMICOLONS}")
    return parse_options_header(header)[1]


class _Collector:
    """Gathers what the parser calls out."""

    def __init__(self, most: int) -> None:
        self.ended = False
        self._parts: list[Part] = []
        self._most, self._begun = most, 0
        self._field, self._value = b"", b""
        self._disposition: dict[bytes, bytes] = {}
        self._content: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        """The parser's events, each with what is done about it."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.append(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def take(self) -> list[Part]:
        """The parts that have ended since the last time."""
        taken, self._parts = self._parts, []
        return taken

    def _begin(self) -> None:
        if self._begun == self._most:
            raise TooLargeError(f"the form has more parts than the {self._most} that it may have")
        self._begun += 1
        self._disposition, self._content = {}, []

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = _options(self._value)
        self._field, self._value = b"", b""

    def _end(self) -> None:
        if b"name" not in self._disposition:
            raise UploadPartsError("the multipart body cannot be read: a part has no Content-Disposition with a name")
        self._parts.append(Part(self._disposition[b"name"], b"filename" in self._disposition, b"".join(self._content)))

    def _finish(self) -> None:
        self.ended = True
