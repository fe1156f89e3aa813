"""/models: the versions, their cards and files, and the way from one to another."""

import io
import json

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app import serving
from app.inference import Served
from app.settings import Settings
from model_core import Model, Recipe, artifact, card
from tests.support import tiny
from tests.support.pictures import encode, grey
from tests.support.service import activate, add_damaged_version, add_version, eventually, store_of

PNG = encode(grey())


def another_model() -> Model:
    return tiny.model(Recipe.from_record({**tiny.RECIPE.as_record(), "seed": 2, "epochs": 1}))


def predicted_by(client: TestClient) -> int:
    """The version that answers a prediction."""
    answer = client.post("/predict", content=PNG, headers={"Content-Type": "image/png"})
    version: int = answer.json()["model"]["version"]
    return version


def test_an_empty_database_starts_with_the_shipped_model(client: TestClient) -> None:
    (only,) = client.get("/models").json()["models"]
    assert (only["version"], only["source"], only["current"], only["job"]) == (1, "shipped", True, None)
    assert only["test_accuracy"] == tiny.model().card["metrics"]["test_accuracy"]


def test_a_version_shows_its_whole_card(client: TestClient) -> None:
    detail = client.get("/models/1").json()
    assert detail == client.get("/models/current").json()
    assert detail["card"] == json.loads(json.dumps(tiny.model().card))


def test_a_card_is_a_page_too(client: TestClient) -> None:
    answer = client.get("/models/1/card.md")
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    sha256 = client.get("/models/1").json()["sha256"]
    assert answer.text == card.to_markdown(tiny.model().card, sha256)


def test_the_weights_file_comes_as_it_was_made(client: TestClient) -> None:
    content = client.get("/models/1/weights.npz").content
    assert artifact.sha256(content) == client.get("/models/1").json()["sha256"]
    assert artifact.from_bytes(content, "the download").card == json.loads(json.dumps(tiny.model().card))
    assert content == artifact.to_bytes(tiny.model())


def test_every_link_of_a_version_answers(client: TestClient) -> None:
    for version in client.get("/models").json()["models"]:
        for link in version["links"].values():
            assert client.get(link).status_code == 200, link


def test_activating_and_rolling_back_switch_predictions_within_a_second(own_client: TestClient, settings: Settings) -> None:
    version = add_version(settings, another_model())
    assert predicted_by(own_client) == 1
    for wanted in (version, 1):
        answer = own_client.put("/models/current", json={"version": wanted})
        assert (answer.status_code, answer.json()["version"], answer.json()["current"]) == (200, wanted, True)
        assert eventually(lambda wanted=wanted: predicted_by(own_client) == wanted, seconds=1)  # type: ignore[misc]
        assert own_client.get("/readyz").json()["model"]["version"] == wanted
    newest, first = own_client.get("/models").json()["models"]
    assert (newest["version"], newest["current"], first["current"]) == (version, False, True)


def test_activating_the_current_version_changes_nothing(own_client: TestClient) -> None:
    before = own_client.get("/models/current").json()
    assert own_client.put("/models/current", json={"version": 1}).json() == before


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("version", [2, 0, -1, 2**31, 10**30])
def test_a_version_that_there_is_not_is_not_found(client: TestClient, method: str, version: int) -> None:
    if method == "PUT":
        answer = client.put("/models/current", json={"version": version})
        assert answer.status_code == (404 if version == 2 else 422)
    else:
        answer = client.get(f"/models/{version}")
        assert answer.status_code == 404
    assert client.get("/models/current").json()["version"] == 1


def test_a_client_that_has_the_weights_file_gets_it_no_second_time(client: TestClient) -> None:
    path, first = "/models/1/weights.npz", client.get("/models/1/weights.npz")
    tag = first.headers["ETag"]
    for known in (tag, f'"another", {tag}', f"W/{tag}", "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    for other in ('"another"', tag.strip('"'), ""):
        assert client.get(path, headers={"If-None-Match": other}).content == first.content
    assert client.get("/models/2/weights.npz", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("path", ["/models/2/card.md", "/models/2/weights.npz", "/models/latest", "/models/1/other"])
def test_nothing_else_is_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"version": "1"},
        {"version": 1.5},
        {"version": 1e300},
        {"version": True},
        {"version": None},
        {"version": 1, "reason": "mine"},
        [1],
        1,
        None,
    ],
)
def test_a_bad_activation_is_refused(client: TestClient, body: object) -> None:
    answer = client.put("/models/current", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


def test_a_whole_number_may_be_written_as_json_allows(client: TestClient) -> None:
    assert client.put("/models/current", json={"version": 1.0}).json()["version"] == 1


def test_a_damaged_version_stays_out_and_nothing_is_made_of_it(own_client: TestClient, settings: Settings) -> None:
    version = add_damaged_version(settings)
    answers = [
        own_client.put("/models/current", json={"version": version}),
        own_client.post("/v2/repository/models/fashion-mnist/load", json={"parameters": {"version": str(version)}}),
        own_client.get(f"/weights/w1.png?version={version}"),
        own_client.get(f"/weights/w1/0?version={version}"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert f"version {version} cannot be read" in answer.json()["detail"]
    assert own_client.get("/models/current").json()["version"] == predicted_by(own_client) == 1


def test_a_version_is_looked_at_while_others_may_write(own_client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(db: sa.Connection, version: int) -> Served:
        with store_of(settings) as store, store.write():
            looked.append(version)
        return to_serve(db, version)

    looked: list[int] = []
    version, to_serve = add_version(settings, another_model()), serving.to_serve
    monkeypatch.setattr(serving, "to_serve", look)
    assert own_client.put("/models/current", json={"version": version}).status_code == 200
    assert looked[0] == version


def test_a_current_version_that_turns_out_to_be_damaged_is_not_current_any_more(own_client: TestClient, settings: Settings) -> None:
    activate(settings, add_damaged_version(settings))
    assert eventually(lambda: own_client.get("/models/current").json()["version"] == 1)
    assert predicted_by(own_client) == 1


def test_a_file_can_be_read_by_anything_that_reads_npz(client: TestClient) -> None:
    import numpy as np

    with np.load(io.BytesIO(client.get("/models/1/weights.npz").content), allow_pickle=False) as arrays:
        assert arrays["w1"].shape == (784, tiny.RECIPE.hidden[0])
