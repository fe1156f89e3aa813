"""A form's parts (RFC 7578), found in a body that is already here whole: nothing is copied, nothing goes through a temporary file."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from app.errors import UploadPartsError

MOST_HEADER_BYTES = 4096  # of one part
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|([^\s;,"]+))""", re.IGNORECASE)
_DISPOSITION = re.compile(rb"(?:^|\r\n)content-disposition:[ \t]*form-data((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)
_PARAMETER = re.compile(rb""";\s*([\w*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)""")


class Part(NamedTuple):
    """One part of a form."""

    name: bytes
    is_file: bool  # whether it has a file name
    content: memoryview


def parts(body: bytes, content_type: str, most: int) -> list[Part]:
    """The parts of a multipart/form-data body, in order. Raises UploadPartsError, also where there are more than `most`."""
    found: list[Part] = []
    for header, content in _split(body, b"--" + _boundary(content_type)):
        if len(found) == most:
            raise UploadPartsError(f"Too many parts in the form: it may have {most}")
        name, is_file = _describe(header)
        found.append(Part(name, is_file, content))
    return found


def _boundary(content_type: str) -> bytes:
    match = _BOUNDARY.search(content_type)
    text = match and (match[1] or match[2])
    if not text or len(text) > 70 or not text.isascii():
        raise UploadPartsError("the multipart Content-Type has no boundary of at most 70 characters")
    return text.encode()


def _split(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Header block and content of each part."""
    view, inner = memoryview(body), b"\r\n" + delimiter
    position = 0 if body.startswith(delimiter) else body.find(inner) + 2
    if position == 1:
        raise UploadPartsError("the multipart body cannot be read: its boundary is not in it")
    while not body.startswith(b"--", position + len(delimiter)):
        start = _line_end(body, position + len(delimiter))
        header_end = body.find(b"\r\n\r\n", start - 2, start + MOST_HEADER_BYTES)
        end = -1 if header_end < 0 else _next(body, inner, header_end + 4)
        if end < 0:
            raise UploadPartsError("the multipart body cannot be read: a part is cut short, or its header does not end")
        yield body[start:header_end], view[header_end + 4 : end]
        position = end + 2


def _next(body: bytes, inner: bytes, start: int) -> int:
    """Where the next delimiter stands; a longer line that begins like one is content."""
    while True:
        end = body.find(inner, start)
        after = body[end + len(inner) : end + len(inner) + 2]
        if end < 0 or after == b"--" or after[:1] in (b" ", b"\t") or after == b"\r\n":
            return end
        start = end + 1


def _line_end(body: bytes, position: int) -> int:
    """Behind the line that a delimiter stands on, which may end with blanks."""
    end = body.find(b"\r\n", position, position + 100)
    if end < 0 or body[position:end].strip(b" \t"):
        raise UploadPartsError("the multipart body cannot be read: a boundary is not alone on its line")
    return end + 2


@lru_cache(maxsize=256)
def _describe(header: bytes) -> tuple[bytes, bool]:
    """Name, and whether it is a file, from a part's header block. A client sends the same ones again and again."""
    match = _DISPOSITION.search(header)
    parameters = {key.lower(): value.strip(b'"') for key, value in _PARAMETER.findall(match[1])} if match else {}
    if b"name" not in parameters:
        raise UploadPartsError("the multipart body cannot be read: a part has no Content-Disposition with a name")
    return parameters[b"name"], b"filename" in parameters or b"filename*" in parameters
