"""Weights as pictures, the paper's Figures 5, 6a, 6b and 6c: uint8 arrays, (rows, columns) grey or (rows, columns, 3) in colour.

`normalize="tile"` stretches each tile from its own minimum (black) to its maximum (white), as the paper does. `"signed"` puts one
scale over the whole picture, blue for negative, white for zero, red for positive weights, so that tiles can be compared.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_core.layers import Array
from model_core.network import Parameters

Normalize = Literal["tile", "signed"]
Picture = NDArray[np.uint8]

GUTTER = 2  # white pixels between tiles
COMPONENTS = 20
_BLUE, _WHITE, _RED = np.array([33, 102, 172.0]), np.array([247, 247, 247.0]), np.array([178, 24, 43.0])


def w1(p: Parameters, normalize: Normalize = "tile") -> Picture:
    """What each first-layer unit looks for: one 28 x 28 tile a unit, 20 rows of 25 for 500 units (paper, Fig. 5)."""
    return sheet(p.w1.T.reshape(-1, 28, 28), grid_columns(p.w1.shape[1]), normalize)


def w1_unit(p: Parameters, unit: int, normalize: Normalize = "tile") -> Picture:
    """The 28 x 28 tile of one first-layer unit, from 0; IndexError where there is none."""
    if not 0 <= unit < p.w1.shape[1]:
        raise IndexError(f"there is no unit {unit}; the first layer has units 0 to {p.w1.shape[1] - 1}")
    return sheet(p.w1[:, unit].reshape(1, 28, 28), 1, normalize, gutter=0)


def principal_components(w: Array, count: int) -> Array:
    """The `count` directions (count, 784) along which the columns of w (784, H1) differ most: centred, by SVD, largest entry positive."""
    centred = w.T - w.T.mean(axis=0)
    directions = np.linalg.svd(centred.astype(np.float64), full_matrices=False)[2][:count]
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return np.asarray(directions * signs[:, None])


def w1_pca(p: Parameters, normalize: Normalize = "tile") -> Picture:
    """The 20 principal components of the first layer's units, 4 rows of 5 (paper, Fig. 6a)."""
    return sheet(principal_components(p.w1, COMPONENTS).reshape(-1, 28, 28), 5, normalize)


def w3(p: Parameters, normalize: Normalize = "tile") -> Picture:
    """What each class takes from the second layer: one tile a class, 18 x 18 for 324 units, 2 rows of 5 (paper, Fig. 6b)."""
    return sheet(p.w3.T.reshape(10, *tile_shape(p.w3.shape[0])), 5, normalize)


def combined(p: Parameters, normalize: Normalize = "tile") -> Picture:
    """W1 W2 W3, the network without its ReLUs and biases: one 28 x 28 tile a class, 2 rows of 5 (paper, Fig. 6c)."""
    return sheet((p.w1 @ p.w2 @ p.w3).T.reshape(10, 28, 28), 5, normalize)


PICTURES: dict[str, Callable[[Parameters, Normalize], Picture]] = {"w1": w1, "w1-pca": w1_pca, "w3": w3, "combined": combined}


def tile_shape(units: int) -> tuple[int, int]:
    """Rows and columns of the rectangle nearest to a square that holds exactly `units` numbers: (18, 18) for 324; (1, n) for a prime n."""
    rows = next(rows for rows in range(math.isqrt(units), 0, -1) if units % rows == 0)
    return rows, units // rows


def grid_columns(tiles: int) -> int:
    """Columns of a sheet a little wider than high: 25 for 500 tiles."""
    return math.ceil(math.sqrt(tiles * 1.25))


def sheet(tiles: Array, columns: int, normalize: Normalize = "tile", gutter: int = GUTTER) -> Picture:
    """Lay tiles (N, h, w) out in rows of `columns`, with white gutters between and around them; what is left over stays white."""
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    size = rows * (height + gutter) + gutter, columns * (width + gutter) + gutter
    picture = np.full((*size, 3) if normalize == "signed" else size, 255, np.uint8)
    largest = np.abs(tiles).max() or 1
    for k, tile in enumerate(tiles):  # one by one: colours in floating point take many times the memory of the picture
        top, left = gutter + k // columns * (height + gutter), gutter + k % columns * (width + gutter)
        picture[top : top + height, left : left + width] = _signed(tile / largest) if normalize == "signed" else _stretched(tile)
    return picture


def enlarge(picture: Picture, scale: int) -> Picture:
    """Each pixel as a block of scale x scale."""
    return np.asarray(picture.repeat(scale, axis=0).repeat(scale, axis=1))


def _stretched(tile: Array) -> Picture:
    """A tile (h, w) from its minimum (0) to its maximum (255); one of a single value is mid-grey."""
    low, high = tile.min(), tile.max()
    if low == high:
        return np.full(tile.shape, 128, np.uint8)
    return np.asarray(np.rint((tile - low) / (high - low) * 255), np.uint8)


def _signed(tile: Array) -> Picture:
    """A tile (h, w) of -1..1 in colours (h, w, 3): blue to white to red, symmetric about zero."""
    strength = tile[..., None]
    colour = np.where(strength < 0, _WHITE + (_WHITE - _BLUE) * strength, _WHITE + (_RED - _WHITE) * strength)
    return np.asarray(np.rint(colour), np.uint8)
