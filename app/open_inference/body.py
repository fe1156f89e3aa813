"""A request's body: unpacked, and taken apart into its JSON and the bytes of its tensors. Nothing grows beyond a bound on the way."""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import pydantic_core

from app.errors import InferenceError, TooLargeError

HEADER_LENGTH = "inference-header-content-length"
MOST_JSON_BYTES = 8 * 2**20  # numbers as Python objects take up to ten times their text; as a binary tensor they take nothing more
_SLICE_BYTES = 2**16
# All is parsed in one go, in which nothing else runs: a tenth of a second for so many numbers. An honest request has few words, and
# few numbers that need an exponent, which may take ten times as long as others.
MOST_NUMBERS, MOST_EXPONENTS, MOST_QUOTES = 2**20, 2**16, 10_000
# Lists cost most: sixty bytes for the two of `[]`. An honest row of 28 pixels has one bracket to 28 numbers.
_FREE_BRACKETS, _NUMBERS_A_BRACKET = 10_000, 8


class Body(NamedTuple):
    """The JSON of an inference request, and what follows it: the bytes of its binary tensors. No JSON at all is a raw binary request."""

    document: dict[str, Any] | None
    binary: memoryview


def read(content: bytes, headers: Mapping[str, str], most_bytes: int) -> Body:
    """Unpack a body and take it apart. Raises InferenceError or TooLargeError."""
    plain = unpack(content, headers.get("content-encoding", ""), most_bytes)
    length = _json_length(headers.get(HEADER_LENGTH), len(plain))
    binary = memoryview(plain)[length:]
    if length == 0 and binary:
        return Body(None, binary)
    _check_length(length)
    return Body(parse_object(plain[:length]), binary)


def unpack(content: bytes, encoding: str, most_bytes: int) -> bytes | bytearray:
    """Undo gzip or deflate, up to the size that a plain body may have."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return content
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise InferenceError(f"Content-Encoding is {encoding[:100]!r}; send the body plain, or as gzip or deflate")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS if encoding == "deflate" else zlib.MAX_WBITS | 16)
    unpacked = bytearray()
    try:
        for start in range(0, len(content), _SLICE_BYTES):
            piece = content[start : start + _SLICE_BYTES]
            if unpacker.eof:  # fed on, it would copy all that came after its end with each piece
                raise _not_whole(encoding)
            while piece:
                unpacked += unpacker.decompress(piece, _SLICE_BYTES)
                piece = unpacker.unconsumed_tail
                if len(unpacked) > most_bytes:
                    raise TooLargeError(f"the body unpacks to more than the {most_bytes} bytes that it may have; send less")
    except zlib.error as error:
        raise InferenceError(f"the body is not {encoding}, as its Content-Encoding says ({error})") from error
    unpacked += unpacker.flush()
    if not unpacker.eof or unpacker.unused_data:
        raise _not_whole(encoding)
    return unpacked


def _not_whole(encoding: str) -> InferenceError:
    return InferenceError(f"the {encoding} body is cut short, or goes on after its end")


def parse_object(content: bytes | bytearray) -> dict[str, Any]:
    """A JSON object, of bounded cost. Raises InferenceError or TooLargeError."""
    _check_length(len(content))
    brackets, commas, quotes = content.count(b"[") + content.count(b"{"), content.count(b","), content.count(b'"')
    exponents = content.count(b"e") + content.count(b"E")
    too_many_lists = brackets > _FREE_BRACKETS + commas // _NUMBERS_A_BRACKET
    if too_many_lists or commas > MOST_NUMBERS or exponents > MOST_EXPONENTS or quotes > MOST_QUOTES:
        raise _too_much_json(f"{brackets} lists, {commas} commas, {exponents} times the letter e and {quotes} quotes")
    try:
        parsed = pydantic_core.from_json(content, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise InferenceError(f"failed to parse the request JSON buffer: {error}") from error
    if not isinstance(parsed, dict):
        raise InferenceError("failed to parse the request JSON buffer: it is no object")
    return parsed


def _check_length(count: int) -> None:
    if count > MOST_JSON_BYTES:
        raise _too_much_json(f"{count} bytes")


def _too_much_json(found: str) -> TooLargeError:
    return TooLargeError(f"JSON with {found} is more than is parsed; send the pixels as a binary tensor, or in several requests")


def _json_length(text: str | None, size: int) -> int:
    """How many bytes of the body are JSON: all, unless a header says otherwise."""
    if text is None:
        return size
    if not (text.isascii() and text.isdigit() and len(text) < 12) or int(text) > size:
        raise InferenceError(
            f"Inference-Header-Content-Length is {text[:20]!r}, in a body of {size} bytes; it counts the bytes of the JSON"
        )
    return int(text)
