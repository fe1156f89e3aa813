"""Whatever Hypothesis thinks of, a decoder reads it or refuses it with an error of ours: no other exception, no number that is none."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from app import images, multipart, photo, uploads
from app.errors import Problem
from app.open_inference import body, request
from model_core import artifact
from model_core.errors import ArtifactFormatError
from tests.support.archives import members, npy_header, pack, small_model
from tests.support.attacks import exif_of
from tests.support.pictures import chunk, encode, grey

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
WHOLE = {name: encode(grey(), name) for name in FORMATS}
PARTS = members(artifact.to_bytes(small_model()))
FEW = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
CHUNKS = st.tuples(
    st.sampled_from([b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"eXIf"]), st.binary(max_size=40)
)
# Tag, type, count and value of what stands in EXIF data beside the orientation; some tags lead to directories of their own.
ENTRIES = st.tuples(
    st.sampled_from([0x10F, 0x111, 0x117, 0x11A, 0x132, 0x14A, 0x201, 0x202, 0x8769, 0x8825, 0x927C, 0xA005]) | st.integers(0, 2**16 - 1),
    st.integers(0, 16),
    st.sampled_from([0, 1, 2, 4, 100, 2**32 - 1]),
    st.sampled_from([bytes(4), b"\1\0\0\0", b"\x08\0\0\0", b"\0\0\xc0\x3f", b"\xff" * 4]) | st.binary(min_size=4, max_size=4),
)
SHAPES = st.lists(st.integers(-2, 10**20), max_size=4).map(lambda sizes: f"({', '.join(map(str, sizes))})")
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("image") | JSON,
        "shape": st.sampled_from([[1, 784], [1, 28, 28], [0, 784], [2**40, 784]]) | JSON,
        "datatype": st.sampled_from(sorted(request.DATATYPES)) | JSON,
        "data": st.lists(st.floats() | st.integers(), max_size=5) | st.just([0.5] * 784) | JSON,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "shared_memory_region", "x"]), JSON, max_size=2) | JSON,
    },
)


def assert_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(Problem):
        assert images.decode(content).shape == (28, 28)
    with contextlib.suppress(Problem):
        assert photo.prepare(content).pixels.shape == (28, 28)


@FEW
@given(st.sampled_from(FORMATS), st.data())
def test_pictures_with_any_bytes_in_any_place(format: str, data: Any) -> None:  # noqa: A002
    content = bytearray(WHOLE[format])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    assert_read_or_refused(bytes(content))


@pytest.mark.filterwarnings("ignore:Invalid APNG")
@FEW
@given(st.lists(CHUNKS, max_size=5), st.integers(0, 5))
def test_pngs_of_any_chunks_with_right_checksums(chunks: list[tuple[bytes, bytes]], place: int) -> None:
    own = [WHOLE["PNG"][8:33], *(chunk(*each) for each in chunks)]
    own.insert(place, WHOLE["PNG"][33:])
    assert_read_or_refused(b"\x89PNG\r\n\x1a\n" + b"".join(own))


@FEW
@given(st.sampled_from(["L", "LA", "P", "PA", "1", "I;16", "I", "RGB", "RGBA"]), st.integers(1, 60), st.integers(1, 60), st.integers(0, 8))
def test_pictures_of_any_mode_size_and_orientation(mode: str, width: int, height: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new(mode, (width, height))
    with contextlib.suppress(OSError):  # PNG does not know them all
        assert_read_or_refused(encode(image, "PNG", exif=exif))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@FEW
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.lists(ENTRIES, max_size=6))
def test_photographs_with_any_exif_data_are_read(format: str, entries: list[tuple[int, int, int, bytes]]) -> None:  # noqa: A002
    exif = exif_of((0x112, 3, 1, b"\6\0\0\0"), *entries)
    assert photo.prepare(encode(grey(height=60, width=40), format, exif=exif)).pixels.shape == (28, 28)


@FEW
@given(st.sampled_from(sorted(PARTS)), st.sampled_from(["<f4", "|u1", "<f8", ">f4", "|O", "|V9", "<U9"]), SHAPES, st.binary(max_size=64))
def test_weights_files_with_any_header(name: str, descr: str, shape: str, content: bytes) -> None:
    header = npy_header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}", content)
    with pytest.raises(ArtifactFormatError):
        artifact.from_bytes(pack({**PARTS, name: header}.items()), "any")


@FEW
@given(
    st.dictionaries(st.sampled_from(sorted(PARTS)) | st.text(max_size=9), st.binary(max_size=99), max_size=9), st.sampled_from([0, 8, 12])
)
def test_archives_of_any_members(parts: dict[str, bytes], compression: int) -> None:
    names = {name.partition("\0")[0].replace("/", "_") or "_": content for name, content in parts.items()}
    with contextlib.suppress(UnicodeEncodeError), pytest.raises(ArtifactFormatError):  # half a surrogate is no file name
        artifact.from_bytes(pack(names.items(), compression), "any")


@FEW
@given(JSON)
def test_cards_of_any_json(card: Any) -> None:
    raw = np.frombuffer(json.dumps({"format": artifact.FORMAT, "x": card}).encode(), np.uint8)
    header = npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(raw)},), }}", raw.tobytes())
    with pytest.raises(ArtifactFormatError):
        artifact.from_bytes(pack({**PARTS, "card.npy": header}.items()), "any")


@FEW
@given(st.integers(-1, 10**8) | st.just(2), st.sampled_from(["|u1", "|O", "<f4"]), st.binary(max_size=9) | st.just(bytes(2 * 784)))
def test_batches_with_any_header(count: int, descr: str, content: bytes) -> None:
    header = npy_header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count}, 28, 28), }}", content)
    with contextlib.suppress(Problem):
        assert uploads.parse_npy(header, 16_384).shape == (2, 28, 28)


@FEW
@given(st.binary(max_size=200), st.text(max_size=40))
def test_forms_of_any_bytes_and_any_boundary(content: bytes, boundary: str) -> None:
    for kind in (f"multipart/form-data; boundary={boundary}", "multipart/form-data; boundary=x"):
        with contextlib.suppress(Problem, UnicodeEncodeError):  # a header that cannot be sent
            kind.encode("latin-1")
            multipart.parts(b"--x\r\n" + content + b"\r\n--x--\r\n", kind, 8)


@FEW
@given(
    st.lists(TENSOR, max_size=2) | JSON,
    st.dictionaries(st.sampled_from(["id", "outputs", "parameters", "x"]), JSON, max_size=3),
    st.binary(max_size=9),
)
def test_inference_requests_of_any_json(inputs: Any, around: dict[str, Any], binary: bytes) -> None:
    text = json.dumps({"inputs": inputs, **around}).encode()
    for headers in ({}, {"inference-header-content-length": str(len(text))}):
        with contextlib.suppress(Problem):
            pixels = request.parse(body.read(text + binary, headers, 2**20), 16_384).pixels
            assert pixels.shape[1:] == (784,)
            assert np.isfinite(pixels).all()
            assert pixels.min() >= 0
            assert pixels.max() <= 255
