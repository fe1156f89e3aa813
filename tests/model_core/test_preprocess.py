"""From pixels to inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from model_core.preprocess import BATCH_EPSILON, LARGEST_INPUT, STD_FLOOR, Mode, Standardizer, standardize_by_batch

IMAGES = arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(28), st.just(28)), elements=st.integers(0, 255))
EVERY_PIXEL_VALUE = np.arange(256, dtype=np.uint8).repeat(784).reshape(256, 28, 28)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    """More images than are summed in one go, with a dark border and beside it a pixel that is almost always dark."""
    images = np.random.default_rng(0).integers(0, 256, (4500, 28, 28), dtype=np.uint8)
    images[:, 0] = 0
    images[:, 1, 0] = np.arange(4500) % 64 == 0
    return images


def test_the_scalar_standardizer_has_numpys_mean_and_deviation_of_all_pixels(images: NDArray[np.uint8]) -> None:
    fitted = Standardizer.fit(images, "scalar")
    np.testing.assert_allclose(fitted.mean, np.full(784, images.mean()), rtol=1e-6)
    np.testing.assert_allclose(fitted.std, np.full(784, images.std()), rtol=1e-6)


@pytest.mark.parametrize("mode", ["pixel", "batch"])
def test_the_pixel_standardizer_has_numpys_mean_and_floored_deviation_of_each(images: NDArray[np.uint8], mode: Mode) -> None:
    fitted, flat = Standardizer.fit(images, mode), images.reshape(-1, 784)
    np.testing.assert_allclose(fitted.mean, flat.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(fitted.std, np.maximum(flat.std(axis=0), STD_FLOOR), rtol=1e-6)
    assert (fitted.std[:28] == STD_FLOOR).all()


@settings(max_examples=30, deadline=None)
@given(IMAGES, st.sampled_from(["scalar", "pixel", "batch"]))
def test_no_pixel_value_ever_becomes_an_input_beyond_30(images: NDArray[np.uint8], mode: Mode) -> None:
    fitted = Standardizer.fit(images, mode)
    largest = np.abs(fitted.apply(EVERY_PIXEL_VALUE)).max()
    assert largest <= LARGEST_INPUT == 30
    assert largest == pytest.approx(fitted.largest_input(), rel=1e-5)


def test_applying_a_fitted_standardizer_gives_mean_0_and_deviation_1(images: NDArray[np.uint8]) -> None:
    x = Standardizer.fit(images, "scalar").apply(images)
    assert x.shape == (4500, 784)
    assert x.dtype == np.float32
    assert [x.mean(dtype=np.float64), x.std(dtype=np.float64)] == pytest.approx([0, 1], abs=1e-4)


def test_applying_into_an_array_fills_it_with_the_same(images: NDArray[np.uint8]) -> None:
    fitted, out = Standardizer.fit(images, "pixel"), np.full((7, 784), np.nan, np.float32)
    assert fitted.apply(images[:7], out) is out
    np.testing.assert_array_equal(out, fitted.apply(images[:7]))


def test_a_batch_is_standardised_by_its_own_population_statistics_of_z_scores(images: NDArray[np.uint8]) -> None:
    batch, scale = images[:64], float(images.std())
    z = (batch.reshape(64, 784) - images.mean()) / scale
    expected = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + BATCH_EPSILON)
    assert BATCH_EPSILON == 1e-5
    out = np.empty((64, 784), np.float32)
    assert standardize_by_batch(batch, scale, out) is out
    np.testing.assert_allclose(out, expected, atol=1e-4)
    np.testing.assert_array_equal(out, standardize_by_batch(batch, scale))


def test_a_batch_of_one_image_is_all_zero_under_its_own_statistics(images: NDArray[np.uint8]) -> None:
    assert not standardize_by_batch(images[:1], 90.0).any()
