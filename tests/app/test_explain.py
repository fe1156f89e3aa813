"""POST /explain: the answer of /predict, and sums that add up to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import model_core
from app import images
from app.settings import Settings
from model_core import network
from model_core.data import CLASSES
from tests.support import garments, tiny
from tests.support.photos import photograph
from tests.support.pictures import encode, grey
from tests.support.service import client_of

IMAGE = tiny.test_images().images[3]
WEIGHTS = garments.EXAMPLES.parent / "weights" / "rookie.npz"


def explain(client: TestClient, content: bytes, query: str = "", route: str = "explain") -> dict[str, Any]:
    answer = client.post(f"/{route}{query}", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def assert_sums(answer: dict[str, Any]) -> None:
    """What the answer claims of its sums holds of its own figures."""
    assert answer["check"]["holds"]
    assert answer["check"]["largest_error"] < 1e-9
    for each in (answer["winner"], answer["runner_up"]):
        assert len(each["contributions"]) == 784
        assert sum(each["contributions"]) + each["bias"] == pytest.approx(each["logit"], rel=0, abs=1e-4)
    gap = answer["winner"]["logit"] - answer["runner_up"]["logit"]
    odds = answer["winner"]["probability"] / max(answer["runner_up"]["probability"], 1e-300)
    assert gap == pytest.approx(np.log(odds), abs=1e-3)


def test_it_answers_as_predict_does(client: TestClient) -> None:
    answer = explain(client, images.encode_png(IMAGE))
    assert answer["prediction"] == explain(client, images.encode_png(IMAGE), route="predict")
    ranked = sorted(answer["prediction"]["probabilities"].items(), key=lambda item: -item[1])
    assert [answer["winner"]["label"], answer["runner_up"]["label"]] == [ranked[0][0], ranked[1][0]]
    assert_sums(answer)


@pytest.mark.parametrize("seed", range(5))
def test_contributions_and_bias_sum_to_the_networks_own_logit_whatever_the_picture(client: TestClient, shipped: Path, seed: int) -> None:
    image, model = grey(seed), model_core.load(shipped)
    answer = explain(client, images.encode_png(image))
    logits = network.forward(model.parameters, model.standardizer.apply(image[None])).logits[0]
    for each in (answer["winner"], answer["runner_up"]):
        assert sum(each["contributions"]) + each["bias"] == pytest.approx(float(logits[each["index"]]), abs=1e-3)
    assert_sums(answer)


@pytest.fixture(scope="module")
def rookie(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Any:
    """The service with the shipped weights."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), data_dir=tiny_folder, model=WEIGHTS, training_slots=0)
    with client_of(settings) as client:
        yield client


@pytest.mark.parametrize("picture", garments.PICTURES, ids=lambda picture: picture.stem)
def test_the_shipped_models_answers_add_up(rookie: TestClient, picture: Path) -> None:
    answer = explain(rookie, picture.read_bytes())
    assert answer["winner"]["label"] == garments.label(picture)
    assert_sums(answer)
    assert 0 < answer["active_units"] < answer["hidden_units"] == 500


def test_the_most_active_units_come_with_their_tiles_and_what_they_feed(client: TestClient, shipped: Path) -> None:
    model = model_core.load(shipped)
    a1, a2, _ = network.forward(model.parameters, model.standardizer.apply(IMAGE[None]))
    answer = explain(client, images.encode_png(IMAGE))
    activations = [unit["activation"] for unit in answer["units"]]
    assert activations == sorted(activations, reverse=True)
    assert activations[0] == pytest.approx(float(a1.max()), rel=1e-5)
    assert answer["active_units"] == np.count_nonzero(a1)
    for unit in answer["units"]:
        assert unit["speaks_for"] in CLASSES
        assert client.get(unit["tile"]).headers["Content-Type"] == "image/png"
        for feed in unit["feeds"]:
            weight = float(model.parameters.w2[unit["unit"], feed["unit"]])
            assert feed["adds"] == pytest.approx(unit["activation"] * weight, rel=1e-5)
            assert a2[0, feed["unit"]] > 0


def test_a_photograph_is_prepared_first(client: TestClient) -> None:
    content = encode(photograph("dress", "blue"))
    answer = explain(client, content, "?prepare=photo&picture=true")
    assert answer["prediction"] == explain(client, content, "?prepare=photo&picture=true", "predict")
    assert answer["prediction"]["prepared"]["picture"].startswith("data:image/png;base64,")
    assert_sums(answer)


@pytest.mark.parametrize(("content", "status"), [(b"", 415), (b"text", 415), (encode(grey(height=30)), 422)])
def test_what_predict_refuses_is_refused(client: TestClient, content: bytes, status: int) -> None:
    assert client.post("/explain", content=content, headers={"Content-Type": "image/png"}).status_code == status
