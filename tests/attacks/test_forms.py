"""Multipart forms made to hurt: many parts, no end, huge headers, forms in forms, boundaries that nearly match."""

import time
from collections.abc import Callable

import pytest

from tests.support.attacks import Target, mutants
from tests.support.pictures import encode, grey

PICTURE = encode(grey())
DISPOSITION = b'Content-Disposition: form-data; name="%b"; filename="a.png"\r\n'
TYPE = "multipart/form-data; boundary=x"
MEBIBYTE = 2**20
LONGEST_SECONDS = 10.0


def part(content: bytes = PICTURE, name: bytes = b"file", more: bytes = b"") -> bytes:
    return b"--x\r\n" + DISPOSITION % name + more + b"\r\n" + content + b"\r\n"


FORMS: dict[str, tuple[Callable[[], bytes], str, tuple[int, ...]]] = {
    "nothing": (lambda: b"", TYPE, (422,)),
    "no end": (part, TYPE, (422,)),
    "a part that never ends": (lambda: part(b"x" * (MEBIBYTE - 200)), TYPE, (422,)),
    "an end and no part": (lambda: b"--x--\r\n", TYPE, (422,)),
    "ten thousand parts": (lambda: part(b"") * 10_000 + b"--x--\r\n", TYPE, (413,)),
    "eight pictures": (lambda: part() * 8 + b"--x--\r\n", TYPE, (422,)),
    "a header of a mebibyte": (lambda: part(more=b"X: " + b"y" * (MEBIBYTE - 2000) + b"\r\n") + b"--x--\r\n", TYPE, (200, 422)),
    "80,000 headers": (lambda: part(more=b"A: b\r\n" * 80_000) + b"--x--\r\n", TYPE, (200, 422)),
    "a header that never ends": (lambda: b"--x\r\nA: " + b"y" * (MEBIBYTE - 100), TYPE, (422,)),
    "a header without a colon": (lambda: b"--x\r\nnonsense\r\n\r\n\r\n--x--\r\n", TYPE, (422,)),
    "a header beyond ASCII": (lambda: part(more=b"\xff\xfe: \xff\r\n") + b"--x--\r\n", TYPE, (422,)),
    "no header": (lambda: b"--x\r\n\r\n" + PICTURE + b"\r\n--x--\r\n", TYPE, (422,)),
    "a name of a mebibyte": (lambda: part(name=b"f" * (MEBIBYTE - 2000)) + b"--x--\r\n", TYPE, (422,)),
    "parameters without end": (
        lambda: b"--x\r\nContent-Disposition: form-data" + b"; a=b" * 200_000 + b"\r\n\r\n\r\n--x--\r\n",
        TYPE,
        (422,),
    ),
    "quotes without end": (
        lambda: b'--x\r\nContent-Disposition: form-data; name="' + b'\\"' * 500_000 + b"\r\n\r\n\r\n--x--\r\n",
        TYPE,
        (422,),
    ),
    "encoded words": (lambda: part(more=b"Content-Disposition: form-data; name*=UTF-7''%2B%2F\r\n") + b"--x--\r\n", TYPE, (200, 422)),
    "a form in a form": (
        lambda: part(b"--y\r\n" + part(), more=b"Content-Type: multipart/mixed; boundary=y\r\n") + b"--x--\r\n",
        TYPE,
        (415, 422),
    ),
    "base64": (lambda: part(b"iVBORw0KGgo=", more=b"Content-Transfer-Encoding: base64\r\n") + b"--x--\r\n", TYPE, (415,)),
    "boundaries that nearly match": (lambda: part(b"\r\n--" * 200_000) + b"--x--\r\n", TYPE, (415, 422)),
    "carriage returns": (lambda: part(b"\r" * (MEBIBYTE - 1000)) + b"--x--\r\n", TYPE, (415, 422)),
    "a mebibyte before the first part": (lambda: b"\r\n" * (MEBIBYTE // 2 - 1000) + part() + b"--x--\r\n", TYPE, (200, 422)),
    "a mebibyte behind the last part": (lambda: part() + b"--x--\r\n" + b"--x\r\n" * 200_000, TYPE, (200, 422)),
    "another boundary": (lambda: part() + b"--x--\r\n", "multipart/form-data; boundary=y", (422,)),
    "no boundary": (lambda: part() + b"--x--\r\n", "multipart/form-data", (422,)),
    "an empty boundary": (lambda: part() + b"--x--\r\n", "multipart/form-data; boundary=", (422,)),
    "a boundary of 60 kB": (lambda: part() + b"--x--\r\n", "multipart/form-data; boundary=" + "x" * 60_000, (400, 422, 431)),
    "a boundary of line breaks": (lambda: part() + b"--x--\r\n", 'multipart/form-data; boundary="\\r\\n"', (422,)),
    "a boundary twice": (lambda: part() + b"--x--\r\n", "multipart/form-data; boundary=y; boundary=x", (200, 422)),
    "another kind of multipart": (lambda: part() + b"--x--\r\n", "multipart/byteranges; boundary=x", (415,)),
    "a form of another kind": (lambda: b"file=" + b"x" * 1000, "application/x-www-form-urlencoded", (415,)),
}


@pytest.mark.parametrize("path", ["/predict", "/explain", "/predict/batch"])
@pytest.mark.parametrize("name", FORMS)
def test_a_hostile_form_is_refused_or_read(unharmed: Target, name: str, path: str) -> None:
    make, content_type, allowed = FORMS[name]
    content = make().replace(b'"file"', b'"files"') if path == "/predict/batch" else make()
    began = time.monotonic()
    answer = unharmed.client.post(path, content=content[:MEBIBYTE], headers={"Content-Type": content_type})
    assert answer.status_code in (allowed if path != "/predict/batch" else {200, *allowed}), answer.text[:300]
    assert time.monotonic() - began < LONGEST_SECONDS


def test_a_batch_of_sixteen_thousand_bad_files_is_answered_file_by_file(unharmed: Target) -> None:
    content = part(b"x", b"files") * 16_384 + b"--x--\r\n"
    answer = unharmed.client.post("/predict/batch", content=content, headers={"Content-Type": TYPE})
    assert answer.status_code == 200
    assert {each["status"] for each in answer.json()["predictions"]} == {415}
    too_many = part(b"x", b"files") + content
    assert unharmed.client.post("/predict/batch", content=too_many, headers={"Content-Type": TYPE}).status_code == 413


@pytest.mark.parametrize("unit", [b'";', b";"])
def test_file_names_of_semicolons_are_refused_at_the_first(unharmed: Target, unit: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d' + unit * (4000 // len(unit)) + b'"\r\n\r\nA\r\n'
    content = b"".join(head % number for number in range(1500)) + b"--x--\r\n"
    answer = unharmed.client.post("/predict/batch", content=content, headers={"Content-Type": TYPE})
    assert (answer.status_code, answer.json()["code"]) == (422, "upload-parts")


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_damaged_forms_are_read_or_refused(unharmed: Target, count: int) -> None:
    for content in mutants(part() + part(name=b"other") + b"--x--\r\n", count):
        answer = unharmed.client.post("/predict", content=content, headers={"Content-Type": TYPE})
        assert answer.status_code in (200, 413, 415, 422)
