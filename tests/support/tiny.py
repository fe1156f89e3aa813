"""A dataset with Fashion-MNIST's shapes and files, small enough that a network learns it in a second."""

import functools
import gzip
import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_core import card, data, network, training
from model_core.artifact import Model
from model_core.data import LabelledImages, TrainingData
from model_core.network import Parameters
from model_core.recipe import Recipe

TRAINING_IMAGES, TEST_IMAGES = 600, 100
RECIPE = Recipe(  # every field, so that tests do not change where a preset is tuned
    name="quick",
    epochs=4,
    batch_size=64,
    learning_rate=0.1,
    schedule="linear",
    lr_decay=0.5,
    momentum=0.9,
    l2=5e-5,
    dropout=0.0,
    augment="none",
    standardize="pixel",
    average=0.0,
    label_smoothing=0.0,
    hidden=(16, 12),
    seed=1,
)


def labelled_images(count: int, seed: int) -> LabelledImages:
    """`count` images of the ten classes in turn: the class's own pattern of 7 x 7 blocks, faint under noise."""
    patterns = np.random.default_rng(0).integers(0, 60, (10, 7, 7))
    labels = np.arange(count, dtype=np.uint8) % 10
    clean = patterns[labels].repeat(4, axis=1).repeat(4, axis=2)
    noise = np.random.default_rng(seed).integers(0, 190, clean.shape)
    return LabelledImages((clean + noise).astype(np.uint8), labels)


@functools.cache
def training_data() -> TrainingData:
    """550 training and 50 validation images."""
    return data.split(labelled_images(TRAINING_IMAGES, seed=1))


@functools.cache
def test_images() -> LabelledImages:
    """100 images that no training has seen."""
    return labelled_images(TEST_IMAGES, seed=2)


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array of bytes in IDX format, not yet packed."""
    return struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape) + array.tobytes()


def write_dataset(folder: Path) -> Path:
    """The tiny dataset as the four gzipped IDX files, in `folder`."""
    for part, images in (("train", labelled_images(TRAINING_IMAGES, seed=1)), ("t10k", test_images())):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images.images), 1, mtime=0))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(images.labels), 1, mtime=0))
    return folder


def run(recipe: Recipe, start: training.State | None = None) -> tuple[list[training.Epoch], training.State]:
    """Train to the end: every epoch's figures, and the last state."""
    epochs = list(training.train(recipe, training_data(), start))
    return epochs, epochs[-1].state


def overgrown(recipe: Recipe) -> training.State:
    """A start whose hidden units are dead for the tiny dataset's pictures, and beyond float32 for others."""
    state = training.State.fresh(recipe)
    p = network.unflatten(state.parameters, recipe.hidden)
    p.b1[...], p.w2[...] = -1e25, 1e10
    return state


@functools.cache
def model(recipe: Recipe = RECIPE) -> Model:
    """A trained model with a whole card."""
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    hashes = dict.fromkeys(data.FILES, "0" * 64)
    return card.finish(recipe, run(recipe)[1], training_data(), test_images(), hashes, created, card.environment({}), "0.0.0")


def another_model(seed: int, epochs: int) -> Model:
    """A model that is unlike the others, and the worse the fewer epochs it had."""
    return model(Recipe.from_record({**RECIPE.as_record(), "seed": seed, "epochs": epochs}))


def assert_same_weights(one: Parameters, other: Parameters) -> None:
    """Bit by bit."""
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)
