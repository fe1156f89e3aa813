"""POST /predict: what comes in, what comes out, what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

import model_core
from app import images
from app.settings import Settings
from model_core.data import CLASSES
from tests.app.test_images import flipped
from tests.support import tiny
from tests.support.pictures import encode, grey, png_claiming
from tests.support.service import client_of, digest_of

PNG = encode(grey())


def post(client: TestClient, content: bytes, content_type: str = "image/png") -> httpx2.Response:
    return client.post("/predict", content=content, headers={"Content-Type": content_type})


def post_form(client: TestClient, *parts: tuple[str, Any]) -> httpx2.Response:
    return client.post("/predict", files=list(parts))


def test_a_form_and_a_bare_picture_get_the_same_answer(client: TestClient) -> None:
    form = post_form(client, ("file", ("garment.png", PNG, "image/png")))
    assert form.status_code == 200
    assert form.json() == post(client, PNG).json()


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "IMAGE/PNG", "image/png; name=garment.png", "image/x-anything"])
def test_the_content_decides_what_a_picture_is_and_not_its_type(client: TestClient, content_type: str) -> None:
    assert post(client, PNG, content_type).json() == post(client, PNG).json()


def test_other_fields_of_a_form_do_no_harm(client: TestClient) -> None:
    answer = post_form(client, ("note", (None, "mine")), ("file", ("garment.png", PNG)), ("thumbnail", ("t.png", PNG)))
    assert answer.status_code == 200


def test_the_answer_is_what_the_library_says_of_the_picture(client: TestClient, shipped: Path) -> None:
    test = tiny.test_images()
    expected = model_core.load(shipped).predict_proba(test.images[:20])
    for image, label, row in zip(test.images, test.labels, expected, strict=False):
        answer = post(client, images.encode_png(image)).json()
        assert answer["label"] == CLASSES[answer["index"]] == CLASSES[row.argmax()]
        assert answer["confidence"] == max(answer["probabilities"].values()) == answer["probabilities"][answer["label"]]
        assert list(answer["probabilities"]) == list(CLASSES)
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, atol=1e-5)
        assert answer["model"] == {"version": 1, "sha256": digest_of(shipped)}, label


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 415, "empty"),
        (b"I am a text file.", 415, "not a picture"),
        (PNG[:20], 415, "no header"),
        (PNG[:300], 422, "cut short"),
        (encode(grey(height=28, width=27)), 422, "27 x 28"),
        (encode(grey(height=29, width=28)), 422, "28 x 29"),
        (encode(grey(height=280, width=280)), 422, "280 x 280"),
        (png_claiming(20_000, 20_000), 413, "pixels"),
    ],
    ids=["empty", "text", "a few bytes", "cut short", "too narrow", "too high", "too large", "claims too much"],
)
def test_an_upload_that_is_no_picture_of_ours_is_refused(client: TestClient, content: bytes, status: int, words: str) -> None:
    for answer in (post(client, content), post_form(client, ("file", ("garment.png", content, "image/png")))):
        assert answer.status_code == status
        assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("picture", ("a.png", PNG))], "0 files"),
        ([("file", ("a.png", PNG)), ("file", ("b.png", PNG))], "2 files"),
        ([("file", (None, "a.png"))], "0 files"),
        ([("file", ("a.png", PNG))] * 8, "8 files"),
    ],
    ids=["another name", "two", "a text field", "eight"],
)
def test_a_form_has_exactly_one_file(client: TestClient, parts: list[tuple[str, Any]], words: str) -> None:
    answer = post_form(client, *parts)
    assert (answer.status_code, answer.json()["code"]) == (422, "upload-parts")
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("part", [("file", ("a.png", PNG)), ("note", (None, "x"))], ids=["files", "fields"])
def test_a_form_with_too_many_parts_is_not_read_further(client: TestClient, part: tuple[str, Any]) -> None:
    answer = post_form(client, *[part] * 9)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "video/mp4", "png", ""])
def test_a_body_of_another_type_is_refused_with_the_types_that_would_do(client: TestClient, content_type: str) -> None:
    answer = post(client, PNG, content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-content-type")
    assert "multipart/form-data" in answer.json()["detail"]


def test_a_body_without_a_type_is_refused(client: TestClient) -> None:
    answer = client.post("/predict", content=PNG)
    assert answer.status_code == 415
    assert "missing" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no boundary here"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=file; filename=a.png\r\n\r\n" + PNG),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nhello\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n\xff\xfe: \x00\r\n\r\nhello\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x; charset=klingon", b"--x\r\n\r\n\r\n--x--\r\n"),
        (f"multipart/form-data; boundary={'x' * 300}", b"--x--"),
    ],
    ids=["no boundary", "empty", "no part", "no end", "no name", "odd header", "odd charset", "long boundary"],
)
def test_a_broken_form_is_refused(client: TestClient, content_type: str, body: bytes) -> None:
    answer = post(client, body, content_type)
    assert (answer.status_code, answer.json()["code"]) == (422, "upload-parts")


def test_a_png_with_flipped_bits_is_answered_or_refused_and_nothing_worse(client: TestClient) -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        assert post(client, flipped(PNG, rng)).status_code in (200, 413, 415, 422)


def test_a_png_cut_short_is_refused(client: TestClient) -> None:
    for length in range(0, len(PNG) - 24, 40):
        assert post(client, PNG[:length]).status_code in (415, 422), length


def test_what_is_like_the_training_images_is_familiar_and_what_is_not_is_unfamiliar(client: TestClient) -> None:
    images_and_flags = (tiny.test_images().images[0], False), (np.zeros((28, 28), np.uint8), True), (np.full((28, 28), 9, np.uint8), True)
    for image, flag in images_and_flags:
        assert post(client, images.encode_png(image)).json()["unfamiliar"] is flag


def test_a_model_whose_card_cannot_say_says_nothing_of_familiarity(settings: Settings, tmp_path: Path) -> None:
    whole = tiny.model()
    metrics = {name: value for name, value in whole.card["metrics"].items() if name != "familiarity"}
    path = tmp_path / "old.npz"
    model_core.save(model_core.Model(whole.parameters, whole.standardizer, {**whole.card, "metrics": metrics}), path)
    with client_of(dataclasses.replace(settings, model=path)) as client:
        assert post(client, PNG).json()["unfamiliar"] is None
