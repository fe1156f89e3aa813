"""A web server on the loopback that a download can be tried against."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class Source:
    """Serves `files` by name while it is entered; records what was asked for."""

    files: Mapping[str, bytes]
    honours_ranges: bool = True
    cut_after: int | None = None  # bytes of a body, after which the connection ends
    piece: int = 2**20  # bytes that are sent at a time, a hundredth of a second between them
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # file name, Range header

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def names(self) -> list[str]:
        """What was asked for, in order."""
        return [name for name, _ in self.requests]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name, asked = self.path.lstrip("/"), self.headers["Range"]
                source.requests.append((name, asked))
                content = source.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and source.honours_ranges else 0
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                wanted = content[start : source.cut_after]
                with suppress(ConnectionError):  # a client need not hear it all
                    for at in range(0, len(wanted), source.piece):
                        self.wfile.write(wanted[at : at + source.piece])
                        time.sleep(0.01)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
                pass

        return Handler
