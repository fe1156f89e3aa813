"""How finely a client may cut up a request: each header, parameter and chunk of a body costs a call of Python, however little is in it."""

from app.errors import AddressTooLongError, BadRequestError, HeadTooLargeError, Problem

MOST_HEADERS = 100  # trailers included; browsers behind a few proxies send forty
MOST_SMALL_CHUNKS = 1024
CHUNK_BYTES = 256  # chunks that hold this much on average may be as many as the body needs
MOST_ADDRESS_BYTES = 2048
MOST_PARAMETERS = 100  # in an address


class Framing:
    """Counts the pieces of one request. Each method says what to answer where there are too many."""

    def __init__(self) -> None:
        self._headers = self._chunks = self._body_bytes = 0

    def address(self, url: bytes) -> Problem | None:
        """The head is whole: this is what it asks for."""
        if len(url) > MOST_ADDRESS_BYTES:
            return AddressTooLongError(f"the address has more than {MOST_ADDRESS_BYTES} bytes")
        return BadRequestError(f"the address has more than {MOST_PARAMETERS} parameters") if url.count(b"&") >= MOST_PARAMETERS else None

    def header(self) -> Problem | None:
        """One more line of the head, or of what may follow a body in chunks."""
        self._headers += 1
        return HeadTooLargeError(f"the request has more than {MOST_HEADERS} headers") if self._headers > MOST_HEADERS else None

    def chunk(self) -> Problem | None:
        """One more chunk begins."""
        self._chunks += 1
        if self._chunks <= MOST_SMALL_CHUNKS + self._body_bytes // CHUNK_BYTES:
            return None
        return BadRequestError(f"the body comes in more than {MOST_SMALL_CHUNKS} chunks of less than {CHUNK_BYTES} bytes; send larger ones")

    def body(self, count: int) -> None:
        """So many bytes of the body."""
        self._body_bytes += count
