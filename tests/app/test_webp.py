"""WebP photographs are decoded by a process of their own, which takes only so much memory and whose end harms nobody."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import resize, webp
from app.errors import UnavailableError, UnreadableImageError
from tests.support import photos
from tests.support.attacks import webp_of_codes
from tests.support.pictures import encode, grey

SIZE = (600, 800)


def picture(transparent: bool) -> Image.Image:
    """A garment of SIZE, on wood or on nothing."""
    found = Image.fromarray(photos.photograph("bag", "wood", side=SIZE[1]))
    if transparent:
        found.putalpha(found.convert("L"))
    return found


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
def test_the_picture_is_what_the_same_decoder_makes_of_it_here(lossless: bool, transparent: bool) -> None:
    content = encode(picture(transparent), "WEBP", lossless=lossless)
    with Image.open(io.BytesIO(content)) as image:
        expected = resize.shrink(image)
    found = webp.load_shrunk(content, SIZE)
    assert (found.mode, found.size) == (("RGBA" if transparent else "RGB"), (336, 448))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("side", [28, 200])
def test_a_picture_of_many_codes_is_read_where_they_are_few_enough(side: int) -> None:
    assert webp.load_shrunk(webp_of_codes(side), (side, side)).getextrema() == ((0, 0),) * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process from taking more memory")
def test_a_picture_whose_tables_take_much_memory_is_refused() -> None:
    content = webp_of_codes(1024)
    with Image.open(io.BytesIO(content)) as image:
        assert image.getextrema() == ((0, 0),) * 3  # it is whole
    with pytest.raises(UnreadableImageError, match="or takes more than 117 MiB to decode"):
        webp.load_shrunk(content, (1024, 1024))


def test_a_picture_that_is_cut_short_is_refused_with_the_decoders_reason() -> None:
    content = encode(picture(transparent=False), "WEBP")
    with pytest.raises(UnreadableImageError, match=r"cut short or damaged.*\(could not create decoder object\)"):
        webp.load_shrunk(content[: len(content) // 2], SIZE)


def program(folder: Path, text: str) -> str:
    """A program to start in Python's place."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_decoder_that_is_killed_or_halted_or_cannot_be_started_is_a_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(grey(), "WEBP")
    monkeypatch.setattr(webp, "MOST_SECONDS", 0.5)
    for command, told in {"kill -9 $$": "ended by signal 9", "kill -STOP $$": "not decoded in 0.5 s"}.items():
        monkeypatch.setattr(sys, "executable", program(tmp_path, command))
        with pytest.raises(UnavailableError, match=told):
            webp.load_shrunk(content, (28, 28))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match="no process can be had"):
        webp.load_shrunk(content, (28, 28))


def test_the_decoder_loads_nothing_of_the_service_but_what_it_needs() -> None:
    command = "import sys, app.webp_decoder; print([name for name in sys.modules if name.partition('.')[0] in ('app', 'numpy', 'fastapi')])"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['app', 'app.resize', 'app.webp_decoder']"
