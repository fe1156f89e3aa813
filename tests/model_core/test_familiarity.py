"""What is like the training images is familiar, what is not is unfamiliar, and a card carries what tells them apart."""

import json
from typing import Any

import numpy as np
import pytest

from model_core.card_format import check_values
from model_core.familiarity import MEASURES, SHARE, Familiarity, measure
from tests.support import tiny


def fitted() -> Familiarity:
    images = tiny.training_data()
    return Familiarity.fit(images.images, images.validation_images)


def test_images_like_those_of_training_are_familiar_and_others_are_not() -> None:
    familiarity, test = fitted(), tiny.test_images().images
    assert familiarity.is_unfamiliar(test).mean() < 0.2
    others = np.stack([np.zeros((28, 28)), np.full((28, 28), 255), test[1] // 8, test[2] & 128]).astype(np.uint8)
    assert familiarity.is_unfamiliar(others).all()


def test_the_threshold_leaves_one_validation_image_in_a_hundred_out() -> None:
    many = tiny.labelled_images(4000, seed=5).images
    familiarity = Familiarity.fit(many[:2000], many[2000:])
    assert familiarity.is_unfamiliar(many[2000:]).mean() == pytest.approx(SHARE, abs=0.001)


def test_pictures_that_are_all_the_same_leave_figures_that_a_card_may_hold() -> None:
    same = np.zeros((24, 28, 28), np.uint8)
    check_values(Familiarity.fit(same, same[:2]).as_record())


def test_the_distance_is_that_of_mahalanobis() -> None:
    images, familiarity = tiny.training_data().images, fitted()
    measured = measure(images)
    covariance = np.cov(measured.T) + 1e-6 * np.trace(np.cov(measured.T)) / MEASURES * np.eye(MEASURES)
    away = measured[:20] - measured.mean(axis=0)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away))
    np.testing.assert_allclose(familiarity.distance(images[:20]), expected, rtol=1e-6)


def test_an_image_measures_the_same_alone_and_among_others() -> None:
    images = tiny.labelled_images(5000, seed=6).images
    np.testing.assert_allclose(measure(images)[[0, 4999]], [measure(images[:1])[0], measure(images[4999:])[0]], rtol=1e-6)


def test_a_card_carries_it_as_json_to_six_digits() -> None:
    familiarity, test = fitted(), tiny.test_images().images
    read = Familiarity.from_card(json.loads(json.dumps({"metrics": {"familiarity": familiarity.as_record()}}, allow_nan=False)))
    assert read is not None
    np.testing.assert_allclose(read.distance(test), familiarity.distance(test), rtol=1e-3)
    assert read.threshold == familiarity.threshold


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        [],
        "yes",
        {"threshold": 1.0, "mean": [0.0] * MEASURES},
        {"threshold": 1.0, "mean": [0.0] * MEASURES, "whitening": 3},
        {"threshold": 1.0, "mean": [0.0] * MEASURES, "whitening": [[1.0]]},
        {"threshold": 1.0, "mean": [0.0] * MEASURES, "whitening": [[1.0] * 40] * MEASURES},
        {"threshold": 1.0, "mean": [0.0], "whitening": [[1.0]] * MEASURES},
        {"threshold": "far", "mean": [0.0] * MEASURES, "whitening": [[1.0]] * MEASURES},
        {"threshold": 1e400, "mean": [0.0] * MEASURES, "whitening": [[1.0]] * MEASURES},
    ],
    ids=str,
)
def test_a_card_that_does_not_say_gives_none(record: Any) -> None:
    assert Familiarity.from_card({"metrics": {"familiarity": record}}) is None
    assert Familiarity.from_card({"metrics": {}}) is None
    assert Familiarity.from_card({}) is None
