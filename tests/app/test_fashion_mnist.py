"""The service with the shipped weights on the real test images."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from app import images
from app.settings import Settings
from model_core import data
from tests.support.service import client_of

pytestmark = pytest.mark.data
ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights" / "rookie.npz"
COUNT = 1000


@pytest.fixture(scope="module")
def service(fashion_mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service as a fresh clone starts it."""
    if not WEIGHTS.is_file():
        pytest.skip(f"{WEIGHTS.name} is not there yet; train it: python -m model_core train --out weights/rookie.npz")
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), data_dir=fashion_mnist, model=WEIGHTS, training_slots=0)
    with client_of(settings) as client:
        yield client


@pytest.fixture(scope="module")
def pictures(fashion_mnist: Path) -> data.LabelledImages:
    """The first 1,000 test images."""
    test = data.load_test(fashion_mnist)
    return data.LabelledImages(test.images[:COUNT], test.labels[:COUNT])


def labels_of(service: TestClient, pictures: NDArray[np.uint8]) -> list[str]:
    """What the service says of each picture, posted as a PNG file of its own."""
    answers = (service.post("/predict", content=images.encode_png(each), headers={"Content-Type": "image/png"}) for each in pictures)
    return [answer.json()["label"] for answer in answers]


@pytest.fixture(scope="module")
def labels(service: TestClient, pictures: data.LabelledImages) -> list[str]:
    """What the service says of the first 1,000 test images."""
    return labels_of(service, pictures.images)


def test_at_least_87_percent_of_1000_test_images_are_right(labels: list[str], pictures: data.LabelledImages) -> None:
    right = [label == data.CLASSES[truth] for label, truth in zip(labels, pictures.labels, strict=True)]
    assert np.mean(right) >= 0.87


def test_the_labels_are_those_that_evaluate_lists(labels: list[str], fashion_mnist: Path) -> None:
    command = [sys.executable, "-m", "model_core", "evaluate", str(WEIGHTS), "--json"]
    environ = {**os.environ, "ROOKIE_DATA_DIR": str(fashion_mnist.absolute()), "OPENBLAS_NUM_THREADS": "1"}
    printed = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=True).stdout
    assert labels == json.loads(printed)["labels"][:COUNT]


@pytest.mark.parametrize("corner", [(0, 0), (27, 27)])
def test_a_bright_corner_pixel_leaves_99_percent_of_the_labels(
    service: TestClient, labels: list[str], pictures: data.LabelledImages, corner: tuple[int, int]
) -> None:
    speckled = pictures.images.copy()
    speckled[:, *corner] = 255
    same = np.array(labels_of(service, speckled)) == np.array(labels)
    assert same.mean() >= 0.99
