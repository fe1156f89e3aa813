"""The pictures in examples/: drawn by our own code, labelled rightly by the shipped model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import model_core
from examples import draw
from model_core.data import CLASSES
from tests.support import garments

WEIGHTS = Path(__file__).parents[1] / "weights" / "rookie.npz"


def test_each_garment_that_is_drawn_has_its_picture() -> None:
    assert {picture.stem for picture in garments.PICTURES} == set(draw.GARMENTS)


@pytest.mark.parametrize("picture", garments.PICTURES, ids=lambda picture: picture.stem)
def test_a_picture_is_what_the_code_draws(picture: Path) -> None:
    with Image.open(picture) as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(draw.picture(picture.stem)))


def test_the_page_has_the_same_pictures() -> None:
    copies = sorted((garments.EXAMPLES.parent / "app/static/examples").glob("*.png"))
    assert [(copy.name, copy.read_bytes()) for copy in copies] == [(each.name, each.read_bytes()) for each in garments.PICTURES]


@pytest.mark.parametrize("picture", garments.PICTURES, ids=lambda picture: picture.stem)
def test_the_shipped_model_labels_it_rightly_and_is_fairly_sure(picture: Path) -> None:
    with Image.open(picture) as image:
        [probabilities] = model_core.load(WEIGHTS).predict_proba(np.asarray(image))
    assert CLASSES[probabilities.argmax()] == garments.label(picture)
    assert probabilities.max() > 0.8
