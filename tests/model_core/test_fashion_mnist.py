"""The real dataset: what a first epoch of the presets reaches on it."""

from pathlib import Path

import pytest

from model_core import data, training
from model_core.recipe import Recipe
from model_core.training import Epoch

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def images(fashion_mnist: Path) -> data.TrainingData:
    return data.load_training(fashion_mnist)


def first_epoch(preset: str, images: data.TrainingData) -> Epoch:
    return next(training.train(Recipe.preset(preset, seed=1), images))


def test_the_files_are_the_official_ones(fashion_mnist: Path) -> None:
    assert data.file_hashes(fashion_mnist) == data.FILES


def test_55000_images_are_trained_on_5000_validate_and_10000_test(fashion_mnist: Path, images: data.TrainingData) -> None:
    assert (len(images.images), len(images.validation_images), len(data.load_test(fashion_mnist).images)) == (55_000, 5_000, 10_000)


def test_the_papers_first_epoch_has_the_figures_of_its_figure_4(images: data.TrainingData) -> None:
    epoch = first_epoch("paper", images)
    assert 0.79 <= epoch.train_accuracy <= 0.815
    assert epoch.train_penalty == pytest.approx(1.60, abs=0.02)
    assert epoch.train_loss == pytest.approx(2.2, abs=0.05)


def test_the_quick_recipes_first_epoch_is_right_on_more_than_84_percent(images: data.TrainingData) -> None:
    assert first_epoch("quick", images).validation_accuracy > 0.84
