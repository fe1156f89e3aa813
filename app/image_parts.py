"""What of an uploaded file its decoder is given: the parts of a PNG, JPEG, GIF or WebP that make the picture, in one order, each once.

Texts, colour profiles, comments and previews are where small files take longest, and parts in odd places are where decoders fail.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from app.errors import NotAnImageError, UnreadableImageError

MOST_PARTS = 2**15  # chunks of a PNG or WebP, segments of a JPEG, blocks of a GIF; encoders cut 16 MiB into some two thousand
MOST_EXIF_BYTES = 2**16  # a JPEG's segment has no more
QUICK_BYTES = 2**13

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FIRST_CHUNK = struct.pack(">I4s", 13, b"IHDR")
_BESIDE_PIXELS = (b"PLTE", b"tRNS", b"acTL")
_PALETTE = 3  # the colour type of pixels that are numbers of colours

MOST_TABLES = 64  # of a JPEG's head; encoders write about eight
MAX_SCANS = 32  # of a JPEG; encoders write about ten, each goes over the whole picture, and one that says nothing takes eleven bytes
# Of a JPEG's segments; the others have no length, or stand for a byte of a scan. Of a run of ff the last one counts: to match all of it
# would begin anew at each.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_PORTION = 2**16  # bytes that are searched for one at a time
_LEAST_MARKER = 0xC0  # those below are of no JPEG, and pass for garbage within a scan: what follows is no segment for the decoder
_SCAN, _END = 0xDA, 0xD9
_FRAMES_AND_TABLES = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD}
# Lossless, hierarchical and arithmetic coding, which no browser shows: the last is decoded slowly to the end, even where nothing is left.
_ODD_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
# The first of each application's segments counts: how colours are stored, how the picture was held.
_APPLICATIONS, _EXIF = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}, {0xE1: b"Exif\0\0"}

_WEBP_PIXELS = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_PACKED_BMP = (1, 2)  # BI_RLE8, BI_RLE4
MOST_COLOURS = 256  # in a BMP's table


def essential(content: bytes, with_exif: bool) -> bytes:
    """The same picture in a plainer file, with what EXIF data says of it or without. Raises NotAnImageError or UnreadableImageError."""
    if content.startswith(PNG_SIGNATURE):
        return _essential_png(content, with_exif)
    if content.startswith(b"\xff\xd8"):
        return _essential_jpeg(content, with_exif)
    if content.startswith(b"GIF8"):
        return _essential_gif(content)
    if content.startswith(b"RIFF"):
        return _essential_webp(content, with_exif)
    if content.startswith(b"BM"):
        _check_bmp(content)
    return content


def is_quick(content: bytes) -> bool:
    """Whether the file is decoded in a few milliseconds at most: small, and in one of the two formats that most come in."""
    return len(content) <= QUICK_BYTES and content.startswith((PNG_SIGNATURE, b"\xff\xd8"))


def png_depth(content: bytes) -> int:
    """Bits a sample of a PNG that is essential."""
    return content[24]


def _essential_png(content: bytes, with_exif: bool) -> bytes:
    """Header, palette, transparency, EXIF data, one chunk of pixels. What follows the pixels is no part of them."""
    if content[8:16] != _FIRST_CHUNK or len(content) < 33:
        raise NotAnImageError("the upload begins like a PNG picture and has no header; save it anew")
    beside: dict[bytes, memoryview] = {}
    pixels: list[memoryview] = []
    ended = False
    for kind, chunk in _chunks(content):
        if kind == b"IDAT" and not ended:
            pixels.append(chunk[8 : 8 + int.from_bytes(chunk[:4])])
            continue
        ended = bool(pixels)
        if (kind in _BESIDE_PIXELS and not ended) or (kind == b"eXIf" and with_exif and len(chunk) <= MOST_EXIF_BYTES):
            beside.setdefault(kind, chunk)
    if int.from_bytes(beside.pop(b"acTL", b"")[8:12]) > 1:
        raise UnreadableImageError("the PNG picture is animated; send one picture")
    if not pixels or (content[25] == _PALETTE and b"PLTE" not in beside):
        raise UnreadableImageError(f"the PNG picture has no {'colours' if pixels else 'pixels'}; it is cut short, or damaged")
    return b"".join((content[:33], *beside.values(), _chunk(b"IDAT", b"".join(pixels)), _chunk(b"IEND", b"")))


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The kind of each chunk up to the end, and all of it: length, kind, data, checksum. The last one may be cut short."""
    view, position = memoryview(content), len(PNG_SIGNATURE)
    for _ in range(MOST_PARTS):
        kind = content[position + 4 : position + 8]
        if len(kind) < 4 or kind == b"IEND":
            return
        chunk = view[position : position + 12 + int.from_bytes(content[position : position + 4])]
        yield kind, chunk
        position += len(chunk)
    raise UnreadableImageError(f"the PNG picture has more than {MOST_PARTS} chunks; save it anew")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I4s", len(data), kind), data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))


def _essential_jpeg(content: bytes, with_exif: bool) -> bytes:
    """Frames and tables, the first segment of each application that matters, and all from the first scan to the end."""
    parts, applications = [b"\xff\xd8"], {**_APPLICATIONS, **(_EXIF if with_exif else {})}
    scans, first_scan, end = 0, len(content), len(content)
    for marker, start, stop in _segments(content):
        if marker == _END:
            end = stop
        elif marker == _SCAN:
            first_scan, scans = min(first_scan, start), scans + 1
        elif not scans and (marker in _FRAMES_AND_TABLES or _is_of(applications, marker, content[start + 4 : start + 10])):
            parts.append(content[start:stop])
            if len(parts) > MOST_TABLES:
                raise UnreadableImageError(f"the JPEG picture has more than {MOST_TABLES} tables before its first scan; save it anew")
        if scans > MAX_SCANS:
            raise UnreadableImageError(f"the JPEG picture has more than {MAX_SCANS} scans; send one with fewer")
    return b"".join((*parts, content[first_scan:end]))


def _is_of(applications: dict[int, bytes], marker: int, begin: bytes) -> bool:
    """Whether a segment is of one of the applications, which is then struck off."""
    if marker not in applications or not begin.startswith(applications[marker]):
        return False
    del applications[marker]
    return True


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and stop of each segment up to the end, those within the scans too. Raises UnreadableImageError."""
    position = 2
    for _ in range(MOST_PARTS):
        found = _next_marker(content, position)
        if not found:
            return
        marker, length = found[0][-1], int.from_bytes(content[found.end() : found.end() + 2])
        if marker < _LEAST_MARKER:
            raise UnreadableImageError(f"the JPEG picture has a marker ff{marker:02x}, which no JPEG has; save it anew")
        if marker in _ODD_FRAMES:
            raise UnreadableImageError("the JPEG picture is lossless, hierarchical or coded arithmetically; save it as a usual JPEG")
        position = found.end() + (0 if marker == _END else max(2, length))
        yield marker, found.start(), position
        if marker == _END:
            return
    raise UnreadableImageError(f"the JPEG picture has more than {MOST_PARTS} segments; save it anew")


def _next_marker(content: bytes, position: int) -> re.Match[bytes] | None:
    """A portion is searched at a time: no other thread has its turn meanwhile."""
    while position < len(content):
        found = _MARKER.search(content, position, position + _PORTION)
        if found:
            return found
        position += _PORTION - 1  # a marker has two bytes
    return None


def _essential_gif(content: bytes) -> bytes:
    """Screen, colours, transparency and the picture, but not how to go on from it. Raises UnreadableImageError for a second one."""
    position = 13 + _colour_bytes(content[10:11])
    screen, control, picture = content[:position], b"", b""
    for _ in range(MOST_PARTS):
        start, kind = position, content[position : position + 1]
        if kind == b"!":
            position = _behind_blocks(content, start + 2)
            block = content[start : start + 8]
            if len(block) == 8 and block.startswith(b"!\xf9\x04") and not picture:
                control = struct.pack("<3sBHBB", b"!\xf9\x04", block[3] & 1, 0, block[6], 0)
        elif kind == b"," and picture:
            raise UnreadableImageError("the GIF picture is animated; send one picture")
        elif kind == b",":
            position = _behind_blocks(content, start + 11 + _colour_bytes(content[start + 9 : start + 10]))
            picture = content[start:position]
        else:
            return b"".join((screen, control, picture, b";"))
    raise UnreadableImageError(f"the GIF picture has more than {MOST_PARTS} blocks; save it anew")


def _colour_bytes(flags: bytes) -> int:
    """Of the table of colours that a screen or a picture brings."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _behind_blocks(content: bytes, position: int) -> int:
    """Where the blocks that begin there have ended; encoders fill each with 255 bytes. Raises UnreadableImageError."""
    for _ in range(MOST_PARTS + len(content) // 64):
        if position >= len(content) or not content[position]:
            return position + 1
        position += 1 + content[position]
    raise UnreadableImageError("the GIF picture comes in tiny blocks, which are read slowly; save it anew")


def _essential_webp(content: bytes, with_exif: bool) -> bytes:
    """The chunks of pixels and how they lie, and EXIF data. Raises UnreadableImageError."""
    view, position, exif = memoryview(content), 12, b""
    kept: list[bytes | memoryview] = [b"WEBP"]
    for _ in range(MOST_PARTS):
        kind = content[position : position + 4]
        if len(kind) < 4:
            body = b"".join((*kept, exif))
            return b"RIFF" + struct.pack("<I", len(body)) + body
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        chunk = view[position : position + 8 + length + length % 2]
        if kind in _WEBP_PIXELS:
            kept.append(chunk)
        elif kind == b"EXIF" and with_exif and not exif and len(chunk) <= MOST_EXIF_BYTES:
            exif = bytes(chunk)
        position += 8 + length + length % 2
    raise UnreadableImageError(f"the WebP picture has more than {MOST_PARTS} chunks; save it anew")


def _check_bmp(content: bytes) -> None:
    """Raise UnreadableImageError for what is read slowly."""
    if int.from_bytes(content[14:18], "little") < 40:  # the oldest head says neither
        return
    packing, colours = (int.from_bytes(content[start : start + 4], "little") for start in (30, 46))
    if packing in _PACKED_BMP:
        raise UnreadableImageError("the BMP picture is packed (RLE), which is read slowly; send it unpacked, or as PNG")
    if colours > MOST_COLOURS:
        raise UnreadableImageError(f"the BMP picture says that it has a table of {colours} colours; {MOST_COLOURS} are the most")
