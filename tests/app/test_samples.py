"""GET /samples: the test images where the dataset is, and nothing where it is not."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from app import images
from app.settings import Settings
from model_core.data import CLASSES
from tests.support import tiny
from tests.support.service import client_of


def test_a_page_lists_test_images_with_their_true_labels(client: TestClient) -> None:
    answer = client.get("/samples", params={"offset": 95, "limit": 10}).json()
    assert (answer["count"], answer["offset"]) == (100, 95)
    assert [sample["index"] for sample in answer["samples"]] == [95, 96, 97, 98, 99]
    for sample in answer["samples"]:
        assert sample["label"] == CLASSES[tiny.test_images().labels[sample["index"]]]
        content = client.get(sample["picture"]).content
        np.testing.assert_array_equal(images.decode(content), tiny.test_images().images[sample["index"]])


def test_a_page_after_the_last_is_empty(client: TestClient) -> None:
    assert client.get("/samples?offset=100").json() == {"count": 100, "offset": 100, "samples": []}


def test_there_are_no_samples_until_the_dataset_is_there(settings: Settings, tmp_path: Path, tiny_folder: Path) -> None:
    folder = tmp_path / "later"
    with client_of(dataclasses.replace(settings, data_dir=folder)) as client:
        assert client.get("/samples").json() == {"count": 0, "offset": 0, "samples": []}
        assert client.get("/samples/0.png").status_code == 404
        shutil.copytree(tiny_folder, folder)
        assert client.get("/samples").json()["count"] == 100


@pytest.mark.parametrize("path", ["/samples/100.png", "/samples/-1.png", "/samples/x.png", "/samples/0", "/samples/9999999.png"])
def test_another_image_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("query", ["offset=-1", "limit=0", "limit=101", "offset=x"])
def test_a_bad_page_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/samples?{query}").status_code == 422
