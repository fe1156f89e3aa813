"""The bytes of one uploaded file: a multipart form's part `file`, or the body itself where its type is image/*."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from app import multipart
from app.errors import InvalidRequestError, TooLargeError, UnsupportedBodyError, UploadPartsError

T = TypeVar("T")

# The header that numpy.save writes for these arrays, and no other: NumPy's own reader evaluates Python.
_NPY = re.compile(rb"\x93NUMPY\x01\x00..{'descr': '\|u1', 'fortran_order': False, 'shape': \((\d{1,7}), 28, 28\), } *\n", re.DOTALL)
QUICK_BYTES = 2**15  # a larger form may take milliseconds
PORTION_BYTES = 2**18  # of a form with many files, taken apart in one turn of the thread for long work
TURN_SECONDS = 0.25  # for those files
Aside = Callable[..., Awaitable[Any]]  # of a request, a function and its arguments: calls it off the event loop
NPY_TYPES = ("application/x-npy", "application/npy", "application/octet-stream")

# What /docs says of the body, which the routes read by themselves.
REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "description": "a 28 x 28 picture"}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            NPY_TYPES[0]: {"schema": {"type": "string", "format": "binary", "description": "what numpy.save writes of (N, 28, 28) uint8"}},
        },
    }
}


def media_type(request: Request) -> str:
    """The Content-Type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_file(request: Request, aside: Aside) -> bytes:
    """The one file that a request carries; a large form is taken apart `aside`. Raises UnsupportedBodyError or UploadPartsError."""
    content_type = media_type(request)
    if content_type.startswith("image/"):
        return await request.body()
    if content_type == "multipart/form-data":
        return await _read_part(request, aside)
    raise UnsupportedBodyError(
        f"Content-Type is {content_type or 'missing'!r}; send multipart/form-data with a part named file, or the picture as image/*"
    )


async def _read_part(request: Request, aside: Aside) -> bytes:
    form = await request.body(), request.headers["content-type"], request.app.state.settings.form_parts
    return _only_file(*form) if len(form[0]) <= QUICK_BYTES else await aside(request, _only_file, *form)


def _only_file(body: bytes, content_type: str, most_parts: int) -> bytes:
    form = multipart.parts(body, content_type, most_parts)
    files = [part for part in form if part.name == b"file" and part.is_file]
    if len(files) != 1:
        raise UploadPartsError(f"the form has {len(files)} files in parts named 'file'; send exactly one")
    return files[0].content


async def read_form(request: Request) -> tuple[bytes, multipart.Form]:
    """The body of a form with many files, all of it, and what takes it apart. Raises UnsupportedBodyError or UploadPartsError."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedBodyError(
            f"Content-Type is {content_type[:100] or 'missing'!r}; send multipart/form-data with parts named files,"
            f" or an array (N, 28, 28) uint8 as {NPY_TYPES[0]}"
        )
    return await request.body(), multipart.Form(content_type, request.app.state.settings.batch_rows)


async def use_files(body: bytes, form: multipart.Form, use: Callable[[bytes], T], in_thread: Callable[..., Awaitable[Any]]) -> list[T]:
    """What `use` makes of each file in a form's parts named `files`, in order; a portion at a time, so that others have their turns.

    Raises UploadPartsError or TooLargeError.
    """
    found: list[T] = []
    for start in range(0, len(body), PORTION_BYTES):
        files = await in_thread(_files, form, body[start : start + PORTION_BYTES])
        while files:
            used = await in_thread(_use_for_a_while, files, use)
            found += used
            files = files[len(used) :]
    form.check_end()
    if not found:
        raise UploadPartsError("the form has no file in a part named 'files'; send one or more")
    return found


def _files(form: multipart.Form, portion: bytes) -> list[bytes]:
    return [part.content for part in form.feed(portion) if part.name == b"files" and part.is_file]


def _use_for_a_while(files: list[bytes], use: Callable[[bytes], T]) -> list[T]:
    """What `use` makes of the first of `files`: of one at least, and of as many as it comes to in TURN_SECONDS."""
    ends, used = time.monotonic() + TURN_SECONDS, []
    for file in files:
        used.append(use(file))
        if time.monotonic() > ends:
            break
    return used


def parse_npy(content: bytes, most_rows: int) -> NDArray[np.uint8]:
    """The pictures (N, 28, 28) in what numpy.save writes. Raises InvalidRequestError or TooLargeError; nothing is unpickled."""
    match = _NPY.match(content)
    count = int(match[1]) if match else 0
    if match is None or not count:
        found = content[:200].partition(b"\n")[0].decode("latin-1")
        raise InvalidRequestError(
            f"the body begins with {found!r}; send numpy.save of an array (N, 28, 28) uint8 with 1 to {most_rows} rows"
        )
    if count > most_rows:
        raise TooLargeError(f"the array has {count} rows; send at most {most_rows}")
    if len(content) - match.end() != count * 784:
        raise InvalidRequestError(f"{len(content) - match.end()} bytes follow the .npy header, and {count} pictures have {count * 784}")
    return np.frombuffer(content, np.uint8, offset=match.end()).reshape(count, 28, 28)
