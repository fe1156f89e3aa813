"""POST /predict/batch: many pictures in, as many answers out, in order."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from app import images, multipart, uploads
from app.inference import TURN_ROWS
from app.settings import Settings
from model_core.data import CLASSES
from tests.support import tiny
from tests.support.pictures import encode, grey
from tests.support.service import client_of

TEST = tiny.test_images().images
EXPECTED = tiny.model().predict_proba(TEST)
NPY = {"Content-Type": "application/x-npy"}


def npy(array: NDArray[Any]) -> bytes:
    """What numpy.save writes."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def post_files(client: TestClient, *contents: bytes, name: str = "files") -> httpx2.Response:
    return client.post("/predict/batch", files=[(name, (f"{i}.png", content)) for i, content in enumerate(contents)])


def assert_predicts(answer: httpx2.Response, expected: NDArray[np.float32]) -> None:
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    found = [[prediction["probabilities"][name] for name in CLASSES] for prediction in predictions]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 33, 100])
def test_files_and_an_array_are_answered_in_order(client: TestClient, count: int) -> None:
    assert_predicts(post_files(client, *map(images.encode_png, TEST[:count])), EXPECTED[:count])
    assert_predicts(client.post("/predict/batch", content=npy(TEST[:count]), headers=NPY), EXPECTED[:count])


def test_a_form_of_many_portions_takes_a_turn_for_each_and_is_answered_in_order(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, turns = multipart.Form.feed, []

    def noted(form: multipart.Form, data: bytes) -> list[multipart.Part]:
        turns.append(len(data))
        return feed(form, data)

    monkeypatch.setattr(multipart.Form, "feed", noted)
    monkeypatch.setattr(uploads, "PORTION_BYTES", 1000)
    assert_predicts(post_files(client, *map(images.encode_png, TEST[:50])), EXPECTED[:50])
    assert max(turns) == 1000
    assert len(turns) > 10


def test_files_that_take_long_are_decoded_in_several_turns(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, turns = uploads._use_for_a_while, []

    def noted(files: list[bytes], use: Callable[[bytes], Any]) -> list[Any]:
        turns.append(len(files))
        return decode(files, use)

    monkeypatch.setattr(uploads, "_use_for_a_while", noted)
    monkeypatch.setattr(uploads, "TURN_SECONDS", 0.0)
    assert_predicts(post_files(client, *map(images.encode_png, TEST[:20])), EXPECTED[:20])
    assert turns == list(range(20, 0, -1))


def test_an_answer_is_that_of_predict(client: TestClient) -> None:
    png = images.encode_png(TEST[0])
    (one,) = post_files(client, png).json()["predictions"]
    assert one == client.post("/predict", content=png, headers={"Content-Type": "image/png"}).json()


def test_a_bad_file_has_its_own_problem_and_spoils_no_other(client: TestClient) -> None:
    good = [images.encode_png(image) for image in TEST[:3]]
    answer = post_files(client, good[0], b"text", good[1], encode(grey(height=29)), b"", good[2], good[0][:80])
    found = answer.json()["predictions"]
    assert [each.get("code") for each in found] == [None, "not-an-image", None, "wrong-size", "not-an-image", None, "unreadable-image"]
    assert [each.get("status") for each in found if "code" in each] == [415, 422, 415, 422]
    assert [each["label"] for each in found if "label" in each] == [CLASSES[row.argmax()] for row in EXPECTED[:3]]


def test_files_that_are_all_bad_are_answered_too(client: TestClient) -> None:
    assert [each["code"] for each in post_files(client, b"x", b"y").json()["predictions"]] == ["not-an-image"] * 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with"),
        (b"\x93NUMPY", "begins with"),
        (npy(TEST[0]), "(28, 28)"),
        (npy(TEST[:0]), "(0, 28, 28)"),
        (npy(TEST[:1].astype(np.float32)), "<f4"),
        (npy(np.asfortranarray(TEST[:2])), "'fortran_order': True"),
        (npy(TEST[:2])[:-1], "1567 bytes"),
        (npy(TEST[:2]) + b"x", "1569 bytes"),
    ],
    ids=["nothing", "no header", "one picture", "none", "floats", "columns first", "cut short", "too long"],
)
def test_an_array_of_something_else_is_refused(client: TestClient, content: bytes, words: str) -> None:
    answer = client.post("/predict/batch", content=content, headers=NPY)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert words in answer.json()["detail"]


def test_an_array_of_objects_is_not_unpickled(client: TestClient) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    assert client.post("/predict/batch", content=buffer.getvalue(), headers=NPY).status_code == 422


def test_a_form_without_files_and_another_type_are_refused(client: TestClient) -> None:
    assert post_files(client, encode(grey()), name="file").json()["code"] == "upload-parts"
    assert client.post("/predict/batch", content=b"x", headers={"Content-Type": "image/png"}).status_code == 415


def test_more_than_64_mib_is_refused(client: TestClient) -> None:
    answer = client.post("/predict/batch", content=b"\0" * (64 * 2**20 + 1), headers=NPY)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_a_full_queue_is_said_with_the_time_to_try_again(settings: Settings) -> None:
    with client_of(dataclasses.replace(settings, queue_rows=1)) as client:
        in_hand = client.app.state.predictor._rows_in_hand  # type: ignore[attr-defined]
        for size, other, pictures in (("small", "large", TEST[:TURN_ROWS]), ("large", "small", TEST[: TURN_ROWS + 1])):
            in_hand[size], in_hand[other] = 1, 0
            answer = client.post("/predict/batch", content=npy(pictures), headers=NPY)
            assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
            in_hand[size], in_hand[other] = 0, 1
            assert client.post("/predict/batch", content=npy(pictures), headers=NPY).status_code == 200
