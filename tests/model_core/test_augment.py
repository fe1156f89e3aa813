"""Flips and shifts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core.augment import AUGMENTATIONS, Augmentation, draw_batch, shift_windows

DRAWS = 200
FAMILIES = [pytest.param(augmentation, id=name) for name, augmentation in AUGMENTATIONS.items()]


@pytest.fixture
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(1, 256, (3, 28, 28), dtype=np.uint8)


def moved(image: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """The image shifted, pixel by pixel, with 0 moving in."""
    result = np.zeros_like(image)
    for y in range(28):
        for x in range(28):
            if 0 <= y - down < 28 and 0 <= x - right < 28:
                result[y, x] = image[y - down, x - right]
    return result


def variants(image: NDArray[np.uint8], augmentation: Augmentation) -> set[bytes]:
    """Every flip and shift of one image that may be drawn."""
    reach = range(-augmentation.shift, augmentation.shift + 1)
    shifted = [moved(image, down, right) for down in reach for right in reach]
    return {each.tobytes() for each in shifted} | ({each[:, ::-1].tobytes() for each in shifted} if augmentation.flip else set())


def draw(images: NDArray[np.uint8], augmentation: Augmentation, seed: int) -> NDArray[np.uint8]:
    index = np.repeat(np.arange(len(images)), DRAWS)
    return draw_batch(shift_windows(images, augmentation.shift), index, augmentation.flip, np.random.default_rng(seed))


@pytest.mark.parametrize("augmentation", FAMILIES)
def test_every_flip_and_shift_of_an_image_is_drawn_and_nothing_else(images: NDArray[np.uint8], augmentation: Augmentation) -> None:
    drawn = draw(images, augmentation, seed=1).reshape(len(images), DRAWS, 28, 28)
    for image, draws in zip(images, drawn, strict=True):
        expected = variants(image, augmentation)
        assert len(expected) == (1 + augmentation.flip) * (2 * augmentation.shift + 1) ** 2
        found = {each.tobytes() for each in draws}
        assert found <= expected
        assert len(found) > 0.9 * len(expected)


@pytest.mark.parametrize("augmentation", FAMILIES)
def test_the_same_seed_draws_the_same_images(images: NDArray[np.uint8], augmentation: Augmentation) -> None:
    np.testing.assert_array_equal(draw(images, augmentation, seed=1), draw(images, augmentation, seed=1))


def test_another_seed_draws_other_images(images: NDArray[np.uint8]) -> None:
    augmentation = AUGMENTATIONS["flip-shift1"]
    assert (draw(images, augmentation, seed=1) != draw(images, augmentation, seed=2)).any()


def test_drawing_leaves_the_images_themselves_alone(images: NDArray[np.uint8]) -> None:
    before = images.copy()
    draw(images, AUGMENTATIONS["flip"], seed=1)
    np.testing.assert_array_equal(images, before)


def test_none_is_the_image_itself(images: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(draw(images, AUGMENTATIONS["none"], seed=1), images.repeat(DRAWS, axis=0))
