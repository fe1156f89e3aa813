"""Files that the tests hand to the page."""

from tests.support.garments import EXAMPLES
from tests.support.photos import photograph
from tests.support.pictures import encode, grey

BAG = {"name": "bag.jpg", "mimeType": "image/jpeg", "buffer": encode(photograph("bag", "wood"), "JPEG")}
NOISE = {"name": "noise.png", "mimeType": "image/png", "buffer": encode(grey() // 3)}
DRESS = {"name": "dress.png", "mimeType": "image/png", "buffer": (EXAMPLES / "dress.png").read_bytes()}
TEXT = {"name": "=letter.png", "mimeType": "image/png", "buffer": b"Dear Sir"}
