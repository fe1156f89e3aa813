"""The reader of forms finds what Starlette finds, and refuses what is none."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser
from starlette.testclient import TestClient

from app import multipart
from app.errors import TooLargeError, UploadPartsError
from tests.support.pictures import encode, grey

# Bytes that look like the delimiter, like its beginning, and like line ends, in any order.
near_delimiters = st.lists(st.sampled_from([b"\r\n", b"--", b"B", b"--B", b"\r\n--B", b"\r\n--Bx", b"-", b"\r", b"\n", b"\0"])).map(
    b"".join
)
contents = (st.binary(max_size=40) | near_delimiters).filter(lambda content: b"\r\n--B" not in content)
names = st.text("abc _-\u00e9", min_size=1, max_size=8)
forms = st.lists(st.tuples(names, names, contents), min_size=1, max_size=5)
TYPE = "multipart/form-data; boundary=B"


def by_starlette(body: bytes) -> list[tuple[bytes, bool, bytes]]:
    """Name, that it is a file, and content of each part, as python-multipart finds them."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    async def read() -> list[tuple[bytes, bool, bytes]]:
        form = await MultiPartParser(Headers({"content-type": TYPE}), stream()).parse()
        try:
            return [(name.encode(), True, await file.read()) for name, file in form.multi_items() if isinstance(file, UploadFile)]
        finally:
            await form.close()

    return asyncio.run(read())


def by_us(body: bytes) -> list[tuple[bytes, bool, bytes]]:
    return [(part.name, part.is_file, bytes(part.content)) for part in multipart.parts(body, TYPE, 100)]


@given(forms)
@settings(max_examples=300, deadline=None)
def test_the_parts_are_those_that_another_reader_finds(form: list[tuple[str, str, bytes]]) -> None:
    files = [(name, (file, content)) for name, file, content in form]
    body = httpx2.Request("POST", "http://h", files=files, headers={"Content-Type": TYPE}).read()
    assert by_us(body) == by_starlette(body) == [(name.encode(), True, content) for name, _, content in form]


@given(forms, st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_a_form_that_comes_bit_by_bit_has_the_parts_of_the_whole(form: list[tuple[str, str, bytes]], size: int) -> None:
    files = [(name, (file, content)) for name, file, content in form]
    content = httpx2.Request("POST", "http://h", files=files, headers={"Content-Type": TYPE}).read()
    by_bits = multipart.Form(TYPE, 100)
    found = [part for start in range(0, len(content), size) for part in by_bits.feed(content[start : start + size])]
    by_bits.check_end()
    assert found == multipart.parts(content, TYPE, 100)


def test_a_line_that_only_begins_like_the_delimiter_is_content() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--Bx\r\n--B--'
    assert by_us(body) == [(b"a", False, b"1\r\n--Bx")]


@given(st.binary(max_size=200) | near_delimiters)
@settings(max_examples=500)
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        by_us(body)
    except UploadPartsError as refused:
        assert refused.detail  # noqa: PT017


def test_an_epilogue_is_no_part() -> None:
    body = b'\r\n--B\r\nContent-Disposition: form-data; name="a"; filename="b;c\\"d.png"\r\n\r\n1\r\n--B--\r\nbye'
    assert by_us(body) == [(b"a", True, b"1")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "ends before its last boundary"),
        (b"hello", "boundary"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', "ends before its last boundary"),
        (b"--B\r\nContent-Type: text/plain\r\n\r\n1\r\n--B--", "no Content-Disposition with a name"),
        (b"--B\r\nX: " + b"x" * 10_000 + b"\r\n\r\n1\r\n--B--", "header size"),
        (b"--B\r\n" + b"X: 1\r\n" * 100 + b"\r\n1\r\n--B--", "header count"),
    ],
)
def test_what_is_no_form_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UploadPartsError, match=reason):
        multipart.parts(body, TYPE, 2)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 300}"]
)
def test_a_boundary_that_is_missing_or_too_long_is_refused(content_type: str) -> None:
    with pytest.raises(UploadPartsError, match="oundary"):
        multipart.parts(b"--B--", content_type, 2)


@pytest.mark.parametrize(
    "content_type", ['multipart/form-data; boundary="B"', "multipart/form-data; charset=utf-8; BOUNDARY=B", "a/b;boundary=B;x=y"]
)
def test_a_boundary_is_found_however_it_is_written(content_type: str) -> None:
    body = b"--B\r\ncontent-disposition:form-data;name=a\r\n\r\n1\r\n--B--"
    assert [bytes(part.content) for part in multipart.parts(body, content_type, 1)] == [b"1"]


@pytest.mark.parametrize("unit", [b";", b'";', b"a=b;"])
def test_a_disposition_of_very_many_parameters_is_refused_before_it_is_taken_apart(unit: bytes) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"; filename="' + unit * 900 + b'"\r\n\r\n1\r\n--B--'
    with pytest.raises(UploadPartsError, match="parameters"):
        multipart.parts(body, TYPE, 2)


def test_a_content_type_of_very_many_parameters_is_refused_before_it_is_taken_apart() -> None:
    with pytest.raises(UploadPartsError, match="parameters"):
        multipart.parts(b"--B--", TYPE + ";" * 60_000, 2)


def test_a_file_name_may_be_long_and_have_semicolons() -> None:
    name = b"a;b" * 10 + b"c" * 2000
    body = b'--B\r\nContent-Disposition: form-data; name="a"; filename="' + name + b'"\r\n\r\n1\r\n--B--'
    assert by_us(body) == by_starlette(body) == [(b"a", True, b"1")]


def test_more_parts_than_are_wanted_are_refused() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 3 + b"--B--"
    with pytest.raises(TooLargeError, match="more parts than the 2"):
        multipart.parts(body, TYPE, 2)


@pytest.mark.parametrize(
    ("path", "padding", "expected"),
    [
        ("/predict", 0, "the event loop's"),
        ("/predict", 2**15, "inference"),
        ("/predict?prepare=photo", 2**15, "photo"),
        ("/predict/batch", 0, "inference"),
    ],
)
def test_a_large_form_is_taken_apart_off_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, padding: int, expected: str
) -> None:
    feed, threads = multipart.Form.feed, []

    def noted(*arguments: Any) -> list[multipart.Part]:
        threads.append(threading.current_thread().name.rpartition("_")[0])
        return feed(*arguments)

    monkeypatch.setattr(multipart.Form, "feed", noted)
    name = "files" if "batch" in path else "file"
    answer = client.post(path, files={name: ("a.png", encode(grey()))}, data={"note": "x" * padding})
    assert answer.status_code == 200
    assert [name if name in ("inference", "photo") else "the event loop's" for name in threads] == [expected]
