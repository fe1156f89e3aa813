"""POST /predict?prepare=photo: any picture in, with what was done to it in the answer."""

import base64
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from app import images, photo
from app.main import PHOTO_PLACES
from app.settings import Settings
from tests.support.photos import photograph
from tests.support.pictures import encode, grey
from tests.support.service import PATIENCE_SECONDS, client_of

PHOTO = encode(photograph("bag", "wood"), "JPEG")


def post(client: TestClient, content: bytes, query: str = "prepare=photo") -> httpx2.Response:
    return client.post(f"/predict?{query}", content=content, headers={"Content-Type": "image/jpeg"})


def test_the_answer_says_what_was_done(client: TestClient) -> None:
    answer = post(client, PHOTO).json()
    prepared = answer["prepared"]
    assert (prepared["width"], prepared["height"], prepared["inverted"], prepared["picture"]) == (360, 480, True, None)
    assert prepared["steps"] == photo.prepare(PHOTO).steps


def test_the_prepared_picture_comes_back_on_request_and_predicts_the_same(client: TestClient) -> None:
    answer = post(client, PHOTO, "prepare=photo&picture=true").json()
    head, _, encoded = answer["prepared"]["picture"].partition(",")
    content = base64.b64decode(encoded)
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(images.decode(content), photo.prepare(PHOTO).pixels)
    again = post(client, content, "").json()
    assert again == {name: value for name, value in answer.items() if name != "prepared"}


def test_a_form_will_do(client: TestClient) -> None:
    form = client.post("/predict?prepare=photo", files={"file": ("bag.jpg", PHOTO)})
    assert form.json() == post(client, PHOTO).json()


def test_a_photograph_of_two_megabytes_is_taken_in_this_mode_alone(client: TestClient) -> None:
    large = encode(grey(height=1500, width=1500))
    assert len(large) > 2**21
    assert post(client, large).status_code == 200
    assert post(client, large, "").status_code == 413


def test_another_size_is_refused_with_the_way_to_this_mode(client: TestClient) -> None:
    answer = post(client, PHOTO, "")
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong-size")
    assert "?prepare=photo" in answer.json()["detail"]


def test_there_is_no_other_way_to_prepare(client: TestClient) -> None:
    answer = post(client, PHOTO, "prepare=magic")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


@pytest.mark.parametrize(("content", "status"), [(b"no picture", 415), (PHOTO[:2000], 422), (b"", 415)])
def test_what_is_no_photograph_is_refused(client: TestClient, content: bytes, status: int) -> None:
    assert post(client, content).status_code == status


def test_preparing_holds_nothing_else_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, begun, go_on = photo.prepare, threading.Event(), threading.Event()

    def slowly(content: bytes, most_pixels: int) -> photo.Prepared:
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return whole(content, most_pixels)

    monkeypatch.setattr(photo, "prepare", slowly)
    with ThreadPoolExecutor(PHOTO_PLACES + 1) as pool:
        slow = [pool.submit(post, client, PHOTO) for _ in range(PHOTO_PLACES + 1)]
        assert begun.wait(PATIENCE_SECONDS)
        assert client.get("/livez").status_code == 200
        assert not any(each.done() for each in slow)
        go_on.set()
        assert [each.result().status_code for each in slow] == [200] * len(slow)


def test_a_photograph_that_waits_too_long_for_its_turn_is_told_when_to_come_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.main.PHOTO_SECONDS", 0.05)
    with client_of(settings) as client:
        photographs = client.app.state.photographs  # type: ignore[attr-defined]
        assert client.portal is not None
        places = [client.portal.wrap_async_context_manager(photographs.turn()) for _ in range(PHOTO_PLACES)]
        with contextlib.ExitStack() as stack:
            for place in places:
                stack.enter_context(place)
            refused = post(client, PHOTO)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert post(client, PHOTO).status_code == 200
