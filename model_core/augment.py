"""Random horizontal flips and small shifts of training images. Garments are bought in both directions; labels do not change."""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


class Augmentation(NamedTuple):
    """What may happen to a training image: a flip half of the time, and a shift of up to `shift` pixels each way, evenly."""

    flip: bool
    shift: int  # pixels


AUGMENTATIONS = {
    "none": Augmentation(flip=False, shift=0),
    "flip": Augmentation(flip=True, shift=0),
    "shift1": Augmentation(flip=False, shift=1),
    "flip-shift1": Augmentation(flip=True, shift=1),
    "flip-shift2": Augmentation(flip=True, shift=2),
}


def shift_windows(images: NDArray[np.uint8], shift: int) -> NDArray[np.uint8]:
    """All shifted versions of images (N, 28, 28), as a view (N, 2s+1, 2s+1, 28, 28); what moves in from outside is 0, the background."""
    rows, columns = images.shape[1:]
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))
    return sliding_window_view(padded, (rows, columns), axis=(1, 2))


def draw_batch(windows: NDArray[np.uint8], index: NDArray[np.intp], flip: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images number `index` (B,) of `windows`, each shifted and, half of them with `flip`, mirrored: (B, 28, 28)."""
    dy, dx = rng.integers(0, windows.shape[1], (2, len(index)))
    batch: NDArray[np.uint8] = windows[index, dy, dx]
    if flip:
        mirrored = rng.random(len(index)) < 0.5
        batch[mirrored] = batch[mirrored, :, ::-1]
    return batch
