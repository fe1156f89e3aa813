"""How finely a client may cut up a request, and how much it may wrap around a body: each piece costs a call of Python."""

from app.errors import AddressTooLongError, BadRequestError, HeadTooLargeError, Problem

HEAD_BYTES = 64 * 2**10  # of a head; and of what wraps a body in chunks: their lengths and extensions, trailers
MOST_HEADERS = 100  # trailers included; browsers behind a few proxies send forty
MOST_SMALL_CHUNKS = 1024
CHUNK_BYTES = 256  # chunks that hold this much on average may be as many as the body needs
WRAPPED_BYTES = 16  # of a body, for which one byte more may wrap it: a chunk of CHUNK_BYTES takes seven
MOST_ADDRESS_BYTES = 2048
MOST_PARAMETERS = 100  # in an address
MOST_PIECES = 2048  # headers and chunks of the requests that are read at once; 100 of them may have 20 each


class Framing:
    """Counts the pieces of a connection's requests. Each method says what to answer where there are too many."""

    def __init__(self) -> None:
        self._pieces = self._headers = self._header_bytes = self._chunks = self._body_bytes = self._bare_bytes = 0
        self._in_body = False

    def begin_read(self, count: int) -> None:
        """So many bytes came, of one request or of many: the event loop does nothing else until they are read."""
        self._pieces = 0
        self._bare_bytes += count

    def end_read(self) -> Problem | None:
        """They are read; those which are no body belong to one that is not whole yet."""
        if self._in_body:  # the head came before it, maybe in the same read
            what, most = "what wraps the request's body", 2 * HEAD_BYTES + self._body_bytes // WRAPPED_BYTES
        else:
            what, most = "the request's head", HEAD_BYTES
        return HeadTooLargeError(f"{what} has more than {HEAD_BYTES} bytes") if self._bare_bytes > most else None

    def begin_request(self) -> None:
        """The next request begins."""
        self._headers = self._header_bytes = self._chunks = self._body_bytes = 0

    def address(self, url: bytes) -> Problem | None:
        """The head is whole: this is what it asks for."""
        self._in_body = True
        if len(url) > MOST_ADDRESS_BYTES:
            return AddressTooLongError(f"the address has more than {MOST_ADDRESS_BYTES} bytes")
        return BadRequestError(f"the address has more than {MOST_PARAMETERS} parameters") if url.count(b"&") >= MOST_PARAMETERS else None

    def header(self, count: int) -> Problem | None:
        """One more line of the head, or of what may follow a body in chunks, of so many bytes."""
        self._headers += 1
        self._header_bytes += count
        if self._header_bytes > HEAD_BYTES:
            return HeadTooLargeError(f"the request has headers of more than {HEAD_BYTES} bytes")
        if self._headers > MOST_HEADERS:
            return HeadTooLargeError(f"the request has more than {MOST_HEADERS} headers")
        return self._piece()

    def chunk(self) -> Problem | None:
        """One more chunk begins."""
        self._chunks += 1
        if self._chunks > MOST_SMALL_CHUNKS + self._body_bytes // CHUNK_BYTES:
            too_many = f"the body comes in more than {MOST_SMALL_CHUNKS} chunks of less than {CHUNK_BYTES} bytes; send larger ones"
            return BadRequestError(too_many)
        return self._piece()

    def body(self, count: int) -> None:
        """So many bytes of the body."""
        self._body_bytes += count
        self._bare_bytes -= count

    def end_request(self) -> None:
        """The request is whole."""
        self._bare_bytes, self._in_body = 0, False

    def _piece(self) -> Problem | None:
        self._pieces += 1
        if self._pieces <= MOST_PIECES:
            return None
        return BadRequestError(f"requests of more than {MOST_PIECES} headers and chunks came at once; wait for some of the answers first")
