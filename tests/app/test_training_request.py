"""POST /train: what a request may ask for. Its fields and bounds are Recipe's."""

import json
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from model_core import Recipe
from model_core.recipe import FIELDS, PRESETS

NUMBERS = {name: field.metadata for name, field in FIELDS.items() if field.metadata["low"] is not None and name != "hidden"}
CHOICES = {name: field.metadata["choices"] for name, field in FIELDS.items() if field.metadata["choices"] and name != "name"}


def post(client: TestClient, body: Any) -> httpx2.Response:
    return client.post("/train", json=body)


def assert_refused(answer: httpx2.Response, *words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert all(word in answer.json()["detail"] for word in words), answer.json()["detail"]


@pytest.mark.parametrize("content", [None, b"", b"null", b"{}"])
def test_an_empty_request_trains_the_quick_recipe(client: TestClient, content: bytes | None) -> None:
    answer = client.post("/train", content=content, headers={"Content-Type": "application/json"} if content else {})
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/train/{job['id']}")
    assert int(answer.headers["Retry-After"]) > 0
    assert job["recipe"] == {**PRESETS["quick"].as_record(), "seed": job["recipe"]["seed"]}
    assert (job["status"], job["promote"], job["attempt"], job["progress"]) == ("queued", "if-better", 0, 0)


def test_a_seed_is_drawn_afresh_where_none_is_given(client: TestClient) -> None:
    seeds = {post(client, {}).json()["recipe"]["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert post(client, {"seed": 7}).json()["recipe"]["seed"] == 7


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_can_be_asked_for_and_changed(client: TestClient, name: str) -> None:
    job = post(client, {"recipe": name, "epochs": 3, "hidden": [20, 10], "learning_rate": 1, "seed": 0, "promote": "never"}).json()
    assert job["recipe"] == Recipe.preset(name, epochs=3, hidden=(20, 10), learning_rate=1.0, seed=0).as_record()
    assert (job["epochs"], job["promote"]) == (3, "never")


def test_a_whole_number_may_be_written_as_json_allows(client: TestClient) -> None:
    assert post(client, {"epochs": 3.0, "hidden": [20.0, 10], "seed": 5e0}).json()["recipe"]["hidden"] == [20, 10]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_bound_of_a_recipe_is_kept_on_both_sides(client: TestClient, name: str) -> None:
    low, high = NUMBERS[name]["low"], NUMBERS[name]["high"]
    step = 1 if FIELDS[name].type is not float else abs(high) * 1e-3
    for good in (low, high):
        assert post(client, {name: good}).json()["recipe"][name] == good
    for bad, bound in ((low - step, low), (high + step, high)):
        answer = post(client, {name: bad})
        assert_refused(answer, name)
        assert float(answer.json()["detail"].split()[-1]) == bound


@pytest.mark.parametrize("sizes", [[0, 10], [10, 0], [1537, 10], [10, -1], [10], [10, 10, 10], [], 10, "10,10", [10.5, 10], ["10", 10]])
def test_impossible_layers_are_refused(client: TestClient, sizes: object) -> None:
    assert_refused(post(client, {"hidden": sizes}), "hidden")


@pytest.mark.parametrize("name", [*CHOICES, "recipe", "promote"])
def test_a_choice_that_there_is_not_is_refused_with_those_that_there_are(client: TestClient, name: str) -> None:
    known = CHOICES.get(name) or {"recipe": tuple(PRESETS), "promote": ("if-better", "always", "never")}[name]
    assert_refused(post(client, {name: "other"}), name, *known)
    for good in CHOICES.get(name, ()):
        assert post(client, {name: good}).json()["recipe"][name] == good


@pytest.mark.parametrize("name", [*NUMBERS, *CHOICES, "hidden", "promote", "recipe"])
@pytest.mark.parametrize("value", ["1", True, [1], {}, [[]]])
def test_a_value_of_another_type_is_refused(client: TestClient, name: str, value: object) -> None:
    assert_refused(post(client, {name: value}), name)


@pytest.mark.parametrize("name", ["epoch", "name", "Epochs", "hidden_sizes", "status"])
def test_an_unknown_field_is_refused_by_its_name(client: TestClient, name: str) -> None:
    assert_refused(post(client, {name: 1}), name)


def test_thousands_of_fields_are_refused_in_one_sentence(client: TestClient) -> None:
    fields = {f"f{number}": 0 for number in range(6000)}
    for answer in (post(client, fields), client.put("/models/current", json=fields)):
        assert (answer.status_code, answer.json()["detail"]) == (422, "body: the body has 6000 fields; 100 are the most")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"learning_rate": -0.1}, ["learning_rate", "0.000001"]),
        ({"epochs": 0}, ["epochs", "1"]),
        ({"epochs": 1_000_000}, ["epochs", "2000"]),
        ({"hidden": [0, 324]}, ["hidden", "1"]),
        ({"epochs": 1.5}, ["epochs is 1.5: "]),
        ({"momentum": "\0" + "x" * 1000}, ["momentum is '\\x00xxx"]),
        ({"learning_rate": 10**400}, ["learning_rate"]),
        ({"epochs": 0, "momentum": 2, "l2": -1}, ["epochs", "momentum", "l2"]),
    ],
)
def test_a_message_names_the_field_and_its_bound(client: TestClient, body: dict[str, Any], words: list[str]) -> None:
    assert_refused(post(client, body), *words)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["learning_rate", "epochs", "seed"])
def test_a_number_that_is_none_is_refused(client: TestClient, name: str, text: str) -> None:
    answer = client.post("/train", content=f'{{"{name}": {text}}}', headers={"Content-Type": "application/json"})
    assert_refused(answer, name)
    json.loads(answer.content, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"[1, 2]", b'"quick"', b"7", b"true", b'{"epochs": 1,}', b'{"epochs" 1}', b"\xff\xfe", b"\0", b"[" * 30_000, b"9" * 5000],
    ids=["open", "empty list", "list", "text", "number", "true", "comma", "colon", "no UTF-8", "NUL", "depth", "digits"],
)
def test_a_body_that_is_no_object_is_refused(client: TestClient, content: bytes) -> None:
    answer = client.post("/train", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
@pytest.mark.parametrize(("method", "path"), [("POST", "/train"), ("PUT", "/models/current")])
def test_a_body_that_does_not_say_that_it_is_json_is_refused_with_what_to_say(
    client: TestClient, method: str, path: str, content_type: str
) -> None:
    answer = client.request(method, path, content=b'{"version": 1}', headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-content-type")
    assert "application/json" in answer.json()["detail"]


def test_the_description_tells_each_fields_bounds_and_help(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["components"]["schemas"]["TrainingRequest"]["properties"]
    assert set(described) == {*FIELDS, "recipe", "promote"} - {"name"}
    for name, bounds in NUMBERS.items():
        number = next(each for each in described[name]["anyOf"] if each["type"] != "null")
        assert (number["minimum"], number["maximum"]) == (bounds["low"], bounds["high"])
        assert described[name]["description"] == bounds["help"]
