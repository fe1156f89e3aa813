"""Reads a WebP picture from standard input and writes it, shrunk, to standard output: a line of mode, width and height, then the pixels.

A process of its own, which webp.py starts, because only a process can be kept from taking more than so much memory.
"""

import contextlib
import resource
import sys
from io import BytesIO

from PIL import Image

from app import resize


def main(most_bytes: int) -> None:
    """Takes at most so much address space. Ends with the reason on standard error and status 1 where the picture cannot be read."""
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    Image.MAX_IMAGE_PIXELS = None  # the service has looked at the size
    try:
        image = resize.shrink(Image.open(BytesIO(sys.stdin.buffer.read()), formats=("WEBP",)))
        pixels = image.tobytes()  # a small one is not decoded before
    except (OSError, ValueError, MemoryError, SyntaxError) as error:
        sys.exit(str(error) or "no memory")
    sys.stdout.buffer.write(f"{image.mode} {image.width} {image.height}\n".encode())
    sys.stdout.buffer.write(pixels)


if __name__ == "__main__":
    main(int(sys.argv[1]))
