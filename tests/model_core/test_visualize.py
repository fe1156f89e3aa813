"""Weights as pictures: sizes, ranges, colours."""

import numpy as np
import pytest

from model_core import network, visualize
from model_core.network import Parameters
from model_core.visualize import GUTTER, Normalize, Picture

WHITE = 255


@pytest.fixture(scope="module")
def paper() -> Parameters:
    """The paper's shape, with random weights."""
    return network.unflatten(network.initialise((500, 324), np.random.default_rng(0)), (500, 324))


def network_of(hidden: tuple[int, int]) -> Parameters:
    return network.unflatten(network.initialise(hidden, np.random.default_rng(0)), hidden)


def sheet_size(rows: int, columns: int, tile: int) -> tuple[int, int]:
    return rows * (tile + GUTTER) + GUTTER, columns * (tile + GUTTER) + GUTTER


@pytest.mark.parametrize(
    ("name", "rows", "columns", "tile"), [("w1", 20, 25, 28), ("w1-pca", 4, 5, 28), ("w3", 2, 5, 18), ("combined", 2, 5, 28)]
)
def test_a_picture_has_the_papers_layout(paper: Parameters, name: str, rows: int, columns: int, tile: int) -> None:
    assert GUTTER == 2
    assert visualize.PICTURES[name](paper, "tile").shape == sheet_size(rows, columns, tile)
    assert visualize.PICTURES[name](paper, "signed").shape == (*sheet_size(rows, columns, tile), 3)


def tiles_of(picture: Picture, tile: int) -> list[Picture]:
    pitch = tile + GUTTER
    return [picture[y : y + tile, x : x + tile] for y in range(GUTTER, len(picture), pitch) for x in range(GUTTER, picture.shape[1], pitch)]


def test_each_tile_goes_from_black_to_white_and_the_gutters_are_white(paper: Parameters) -> None:
    picture = visualize.w1(paper)
    tiles = tiles_of(picture, 28)
    assert len(tiles) == 500
    assert {(int(tile.min()), int(tile.max())) for tile in tiles} == {(0, 255)}
    for tile in tiles:
        tile[...] = WHITE
    assert (picture == WHITE).all()


def test_the_tiles_stand_in_the_order_of_the_units_row_by_row(paper: Parameters) -> None:
    tiles = tiles_of(visualize.w1(paper), 28)
    for unit in (0, 1, 25, 499):
        np.testing.assert_array_equal(tiles[unit], visualize.w1_unit(paper, unit))


def test_a_tile_shows_its_units_weights_as_an_image(paper: Parameters) -> None:
    tile = visualize.w1_unit(paper, 3)
    assert tile.shape == (28, 28)
    assert tile.ravel().argmin() == paper.w1[:, 3].argmin()
    assert tile.ravel().argmax() == paper.w1[:, 3].argmax()


def test_a_tile_of_one_value_is_mid_grey() -> None:
    assert (visualize.sheet(np.full((1, 3, 3), 7.0), 1, gutter=0) == 128).all()


def test_what_a_sheet_has_left_over_stays_white() -> None:
    sheet = visualize.sheet(np.zeros((3, 2, 2)), 2, gutter=1)
    assert (sheet[4:6, 4:6] == WHITE).all()
    assert (sheet[4:6, 1:3] == 128).all()


@pytest.mark.parametrize(("units", "shape"), [(324, (18, 18)), (256, (16, 16)), (12, (3, 4)), (7, (1, 7)), (1, (1, 1))])
def test_a_layer_that_is_no_square_is_drawn_as_the_nearest_rectangle(units: int, shape: tuple[int, int]) -> None:
    assert visualize.tile_shape(units) == shape


@pytest.mark.parametrize("normalize", ["tile", "signed"])
@pytest.mark.parametrize("hidden", [(1, 1), (13, 7), (20, 324)])
def test_every_picture_of_an_odd_network_can_be_drawn(hidden: tuple[int, int], normalize: Normalize) -> None:
    for draw in visualize.PICTURES.values():
        assert draw(network_of(hidden), normalize).dtype == np.uint8


def test_signed_colours_are_red_above_zero_blue_below_and_near_white_at_zero() -> None:
    negative, zero, positive = visualize.sheet(np.array([[[-2.0, 0.0, 2.0]]]), 1, "signed", gutter=0)[0].astype(int)
    assert positive[0] > 150 > 50 > positive[2]
    assert negative[2] > 150 > 50 > negative[0]
    assert zero.min() > 240
    assert np.ptp(zero) == 0


def test_signed_colours_share_one_scale_over_all_tiles() -> None:
    small, large = np.full((1, 1, 1), 0.1), np.full((1, 1, 1), 1.0)
    alone = visualize.sheet(small, 1, "signed", gutter=0)
    together = visualize.sheet(np.concatenate([small, large]), 2, "signed", gutter=0)
    assert (together[0, 1] == alone[0, 0]).all()
    assert together[0, 0].min() > alone[0, 0].min()


def test_principal_components_are_orthonormal_ordered_and_fixed_in_sign(paper: Parameters) -> None:
    components = visualize.principal_components(paper.w1, 20)
    np.testing.assert_allclose(components @ components.T, np.eye(20), atol=1e-9)
    spread = ((paper.w1.T - paper.w1.T.mean(axis=0)) @ components.T).var(axis=0)
    assert (np.diff(spread) <= 0).all()
    assert (components[np.arange(20), np.abs(components).argmax(axis=1)] > 0).all()


def test_principal_components_find_the_direction_that_was_put_in() -> None:
    direction = np.eye(784)[5] * 0.8 + np.eye(784)[9] * 0.6
    w = np.outer(direction, np.linspace(-1, 1, 30)) + np.random.default_rng(0).normal(0, 1e-3, (784, 30))
    assert visualize.principal_components(w, 1)[0] @ direction == pytest.approx(1, abs=1e-3)


def test_combined_is_the_product_of_the_three_layers(paper: Parameters) -> None:
    tiles = tiles_of(visualize.combined(paper), 28)
    product = paper.w1 @ paper.w2 @ paper.w3
    assert [tile.ravel().argmax() for tile in tiles] == product.argmax(axis=0).tolist()


def test_enlarging_repeats_each_pixel_as_a_block() -> None:
    assert visualize.enlarge(np.array([[1, 2]], np.uint8), 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert visualize.enlarge(np.zeros((4, 5, 3), np.uint8), 3).shape == (12, 15, 3)


@pytest.mark.parametrize("unit", [-1, 500])
def test_a_unit_that_is_not_there_is_refused_with_those_that_are(paper: Parameters, unit: int) -> None:
    with pytest.raises(IndexError, match=f"no unit {unit}.*0 to 499"):
        visualize.w1_unit(paper, unit)
