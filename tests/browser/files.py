"""Files that the tests hand to the page."""

import struct

import numpy as np
from PIL.PngImagePlugin import PngInfo

from tests.support.garments import EXAMPLES
from tests.support.photos import photograph
from tests.support.pictures import encode, grey

BAG = {"name": "bag.jpg", "mimeType": "image/jpeg", "buffer": encode(photograph("bag", "wood"), "JPEG")}
NOISE = {"name": "noise.png", "mimeType": "image/png", "buffer": encode(grey() // 3)}
DRESS = {"name": "dress.png", "mimeType": "image/png", "buffer": (EXAMPLES / "dress.png").read_bytes()}
PIXELS = np.linspace(0, 90, 28 * 28).astype(np.uint8).reshape(28, 28)
_GAMMA = PngInfo()
_GAMMA.add(b"gAMA", struct.pack(">I", 100_000))  # of its own, which a browser adapts to the screen's
GAMMA = {"name": "gamma.png", "mimeType": "image/png", "buffer": encode(PIXELS, pnginfo=_GAMMA)}
TEXT = {"name": "=letter.png", "mimeType": "image/png", "buffer": b"Dear Sir"}
