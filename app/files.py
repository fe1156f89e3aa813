"""Files of the page and of /docs, which are refused as everything else is: by problem documents."""

import os
import re

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.errors import BadRequestError, RangeError

# Digits and nothing else: Starlette reads whatever Python takes for a number, such as +1 or 1_000.
DEEPEST = 5  # folders below the one that is shown
_RANGE = re.compile(r"bytes=[0-9, \t-]+", re.IGNORECASE)


class File(FileResponse):
    """A file, or the part of it that the request's Range names. Browsers ask each time whether it is still the same."""

    def __init__(self, path: str | os.PathLike[str], status_code: int = 200, stat_result: os.stat_result | None = None) -> None:
        super().__init__(path, status_code, {"Cache-Control": "no-cache"}, stat_result=stat_result)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        """Where parts begin and end; none where the whole file is meant. Raises BadRequestError or RangeError."""
        if not http_range.lower().startswith("bytes="):
            return []  # RFC 9110, section 14.2: a unit that is not known counts for nothing
        if not _RANGE.fullmatch(http_range):
            raise _malformed(http_range)
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader as error:
            raise _malformed(http_range) from error
        except RangeNotSatisfiable as error:
            detail = f"Range is {http_range[:100]!r}, and the file has {file_size} bytes; ask for some of them, or for all"
            raise RangeError(detail, {"Content-Range": f"bytes */{file_size}"}) from error


def _malformed(http_range: str) -> BadRequestError:
    return BadRequestError(f"Range is {http_range[:100]!r}; ask for bytes=FIRST-LAST, or for the whole file")


class Files(StaticFiles):
    """A folder of such files."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Where the file lies; a path deeper than our folders leads nowhere, and is not walked along step by step."""
        return ("", None) if path.count("/") > DEEPEST else super().lookup_path(path)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file at `full_path`, or that the client has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        return File(full_path, status_code, stat_result) if isinstance(response, FileResponse) else response
