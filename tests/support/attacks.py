"""A server under attack: how it is sent what no client sends, what it may answer, and whether it is unharmed."""

import re
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.settings import Settings
from tests.support.pictures import encode, grey

TOKEN = "an-example-of-a-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Mutation = Callable[[bytes, np.random.Generator], bytes]


@dataclass
class Target:
    """A running server, a client of it, and how much of its log has been looked at."""

    settings: Settings
    client: httpx2.Client
    log: Path
    pid: int
    read: int = 0

    def assert_unharmed(self) -> None:
        """It is ready, predicts, and has met no error of its own since it was last asked."""
        assert self.client.get("/readyz").status_code == 200
        answer = self.client.post("/predict", content=encode(grey()), headers={"Content-Type": "image/png"})
        assert answer.status_code == 200, answer.text
        fresh = self.fresh_log()
        assert "Traceback" not in fresh, fresh[max(0, fresh.find("Traceback") - 300) :][:6000]
        assert '"status": 500' not in fresh, fresh[max(0, fresh.find("Traceback") - 300) :][:6000]
        assert "Warning: " not in fresh, fresh[:6000]  # of a library's, as plain text
        assert TOKEN not in fresh

    def fresh_log(self) -> str:
        """What it has written since it was last asked."""
        content = self.log.read_bytes()
        fresh, self.read = content[self.read :], len(content)
        return fresh.decode()

    def send(self, content: bytes, seconds: float = 10) -> bytes:
        """Its answer, up to the close, to these bytes alone; what it has said where it does not close in time."""
        answer = b""
        with self.connect(seconds) as connection:
            try:
                connection.sendall(content)
                while part := connection.recv(2**16):
                    answer += part
            except (ConnectionError, TimeoutError):
                pass  # a reset may come once it has answered
        return answer

    def peak_bytes(self) -> int:
        """The most memory that it has had; nothing where that cannot be known."""
        status = Path(f"/proc/{self.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return 1024 * int(found[1]) if found else 0

    def open_files(self) -> int:
        """How many files and sockets it has open; nothing where that cannot be known."""
        folder = Path(f"/proc/{self.pid}/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0

    def connect(self, seconds: float = 10) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.settings.port), timeout=seconds)


def status_of(answer: bytes) -> int:
    """The status of the first answer in these bytes; 0 where there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """The file without its end."""
    return content[: int(rng.integers(1, len(content)))]


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to eight bits turned over."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def splice(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with a piece of it moved somewhere else, over what was there."""
    changed = bytearray(content)
    size = int(rng.integers(1, max(2, len(content) // 8)))
    source, goal = (int(rng.integers(0, max(1, len(content) - size))) for _ in range(2))
    changed[goal : goal + size] = content[source : source + size]
    return bytes(changed)


MUTATIONS: dict[str, Mutation] = {"cut short": cut, "bits flipped": flip, "spliced": splice}


def mutants(content: bytes, count: int) -> Iterator[bytes]:
    """`count` damaged copies, each kind of damage in turn, always the same ones."""
    rng, kinds = np.random.default_rng(len(content)), list(MUTATIONS.values())
    for number in range(count):
        yield kinds[number % len(kinds)](content, rng)


def with_chunk(png: bytes, more: bytes) -> bytes:
    """A PNG with something more behind its header."""
    return png[:33] + more + png[33:]


def exif_of(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF data of such entries, whatever they say: tag, type, count, four bytes of value or of the offset where it stands."""
    packed = b"".join(struct.pack("<HHI4s", *entry) for entry in sorted(entries))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)


def scan_bomb(side: int, most_bytes: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again: each time the decoder goes over all of the picture."""
    whole = encode(np.zeros((side, side), np.uint8), "JPEG", progressive=True)
    scan, end = whole[whole.rindex(b"\xff\xda") : -2], whole[-2:]
    return whole[:-2] + scan * ((most_bytes - len(whole)) // len(scan)) + end


def packed_bmp(side: int, pairs: int) -> bytes:
    """A run-length encoded BMP that says `pairs` times next to nothing."""
    body, palette = b"\x01\x00" * pairs, bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + head + palette + body


def gif_of(frames: int, side: int = 28) -> bytes:
    """A GIF with very many tiny frames."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return encode(Image.new("P", (side, side)), "GIF")[:-1] + frame * frames + b";"


def webp_claiming(side: int) -> bytes:
    """A WebP of a few bytes that claims a size."""
    content = bytearray(encode(Image.new("RGB", (28, 28)), "WEBP", lossless=True))
    start = content.index(b"VP8L") + 9
    bits = int.from_bytes(content[start : start + 4], "little") & ~((1 << 28) - 1)
    content[start : start + 4] = (bits | (side - 1) | (side - 1) << 14).to_bytes(4, "little")
    return bytes(content)


def webp_of_codes(side: int, unused: int = 0) -> bytes:
    """A black lossless WebP, at most 1024 x 1024: a group of codes for each block of 4 x 4 pixels, and as many that no block has."""
    numbers = np.arange(((side + 3) // 4) ** 2)
    numbers[-1] += unused
    reversed_bytes = np.packbits(np.unpackbits(numbers.astype("<u2").view(np.uint8)[:, None], axis=1)[:, ::-1], axis=1)
    bits = [
        *(_bits(0x2F, 8), _bits(side - 1, 14), _bits(side - 1, 14), _bits(0, 4)),  # no alpha, version 0
        *(_bits(0, 1), _bits(0, 1), _bits(1, 1), _bits(0, 3)),  # no transform, no cache of colours, blocks of 4 x 4
        *(_bits(0, 1), _bits(0, 1), _bits(8, 4), _bits(1 << 33, 36), _bits(1 | 3 << 1 | 254 << 4, 12)),  # green: 256 codes of 8 bits
        *(_bits(0, 1), _bits(8, 4), _bits(1 << 33, 36), _bits(0, 1)),  # red: the same
        *[_bits(1, 4)] * 3,  # blue, alpha and distances: 0 alone
        np.unpackbits(reversed_bytes.ravel(), bitorder="little"),  # each block's number, in green and red
        *[_bits(1, 4)] * 5 * (numbers[-1] + 1),  # each group's five codes: 0 alone
    ]
    pixels = np.packbits(np.concatenate(bits), bitorder="little").tobytes()
    pixels += b"\0" * (8 + len(pixels) % 2)
    body = b"WEBPVP8L" + struct.pack("<I", len(pixels)) + pixels
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bits(value: int, count: int) -> NDArray[np.uint8]:
    """A number's bits, the lowest first."""
    return np.array([value >> place & 1 for place in range(count)], np.uint8)


def jpeg_claiming(side: int) -> bytes:
    """A small JPEG that claims a size."""
    content = bytearray(encode(grey(), "JPEG"))
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", side, side)
    return bytes(content)


def gif_claiming(side: int) -> bytes:
    """A small GIF that claims a size."""
    content = bytearray(encode(grey(), "GIF"))
    content[6:10] = struct.pack("<HH", side, side)
    return bytes(content)


def gif_clearing(side: int) -> bytes:
    """A GIF of 43 bytes that says to clear all of a huge picture before the next one."""
    screen, control = struct.pack("<HHBBB", 28, 28, 0x80, 0, 0) + bytes(6), b"!\xf9\x04\x09\0\0\0\0"
    return b"GIF89a" + screen + control + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\0;"


def bmp_claiming(side: int) -> bytes:
    """A small BMP that claims a size."""
    content = bytearray(encode(grey(), "BMP"))
    content[18:26] = struct.pack("<ii", side, side)
    return bytes(content)


def bmp_of_colours(count: int) -> bytes:
    """A BMP of 28 x 28 whose table is said to have so many colours."""
    content = bytearray(encode(grey(), "BMP"))
    content[46:50] = struct.pack("<I", count)
    return bytes(content)


def gif_in_blocks(count: int) -> bytes:
    """A GIF whose pixels come in so many blocks of one byte."""
    whole = encode(grey(), "GIF")
    start = whole.index(b",", 13 + 3 * 256) + 11
    return whole[:start] + b"\1x" * count + b"\0;"
