"""GET /recipes says what Recipe says."""

from starlette.testclient import TestClient

from model_core.recipe import FIELDS, PRESETS


def test_the_presets_are_those_of_the_library(client: TestClient) -> None:
    answer = client.get("/recipes").json()
    assert answer["presets"] == {name: recipe.as_record() for name, recipe in PRESETS.items()}
    assert answer["default"] in answer["presets"]


def test_each_field_has_its_own_help_bounds_and_choices(client: TestClient) -> None:
    fields = {field["name"]: field for field in client.get("/recipes").json()["fields"]}
    assert fields.keys() == FIELDS.keys() - {"name"}
    for name, field in fields.items():
        metadata = FIELDS[name].metadata
        assert (field["help"], field["low"], field["high"]) == (metadata["help"], metadata["low"], metadata["high"])
        assert field["choices"] == list(metadata["choices"])
    kinds = {name: field["kind"] for name, field in fields.items()}
    assert (kinds["epochs"], kinds["seed"], kinds["l2"], kinds["schedule"], kinds["hidden"]) == ("int", "int", "float", "choice", "sizes")


def test_a_preset_sent_back_whole_is_taken(own_client: TestClient) -> None:
    recipe = own_client.get("/recipes").json()["presets"]["quick"]
    sent = {name: value for name, value in recipe.items() if name != "name" and value is not None}
    job = own_client.post("/train", json={"recipe": "quick", **sent}).json()
    assert {**job["recipe"], "seed": None} == recipe
    own_client.delete(f"/train/{job['id']}")
