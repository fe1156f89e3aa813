"""WebP photographs, decoded by a process of their own that may take only so much memory.

A lossless one of 300 kB may name 65,536 groups of codes, whose tables take up to a gigabyte; nothing in its head says so, and to count
them is half of decoding it.
"""

import subprocess
import sys
from threading import Lock

from PIL import Image

from app import webp_decoder
from app.errors import UnavailableError, UnreadableImageError

# What the process may take: itself with the tables of any usual picture, the file four times, and five copies of the pixels.
OWN_BYTES, FILES, BYTES_A_PIXEL = 96 * 2**20, 4, 5 * 4
MOST_SECONDS = 20.0  # the slowest that is known takes 2; one that was halted is ended, before a stop gives up waiting
_turn = Lock()  # one at a time: each is a process


def load_shrunk(content: bytes, size: tuple[int, int]) -> Image.Image:
    """The picture of that width and height, as resize.shrink leaves it.

    Raises UnreadableImageError, or UnavailableError where the process cannot do its work.
    """
    most = OWN_BYTES + FILES * len(content) + BYTES_A_PIXEL * size[0] * size[1]
    with _turn:
        done = _run(content, most)
    if done.returncode < 0:
        raise UnavailableError(f"the process that decodes WebP pictures was ended by signal {-done.returncode}; ask again later", 5)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise UnreadableImageError(
            f"the WEBP picture is cut short or damaged, or takes more than {most >> 20} MiB to decode ({reason[0]}); save it anew"
        )
    head, _, pixels = done.stdout.partition(b"\n")
    mode, width, height = head.decode().split()
    return Image.frombytes(mode, (int(width), int(height)), pixels)


def _run(content: bytes, most_bytes: int) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", webp_decoder.__name__, str(most_bytes)]
    try:
        # A session of its own: a Ctrl-C at the server's terminal does not end what the server still answers.
        return subprocess.run(command, input=content, capture_output=True, timeout=MOST_SECONDS, start_new_session=True, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"the WebP picture was not decoded in {MOST_SECONDS:g} s; ask again later", 5) from error
    except OSError as error:
        raise UnavailableError(f"no process can be had to decode the WebP picture ({error.strerror}); ask again later", 5) from error
