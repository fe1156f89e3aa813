"""Rookie: one epoch of a recipe, from uint8 images, validation left out. `python -m benchmarks.peers.rookie plain|best`."""

import sys

import numpy as np

from benchmarks.peers.turns import BATCH, L2, RATE, ROWS, SIZES, take_turns
from model_core import training
from model_core.data import TrainingData
from model_core.recipe import Recipe


def main(name: str) -> None:
    """`plain` is what the other contestants do; `best` adds flips, shifts, dropout, momentum and weight averaging."""
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (ROWS, 28, 28), np.uint8), rng.integers(0, SIZES[-1], ROWS, np.uint8)
    # One validation image, because the loop asks for some: the others train without any.
    data = TrainingData(pixels, labels, pixels[:1], labels[:1])
    if name == "best":
        recipe = Recipe.preset("best", epochs=2000, seed=0)
    else:
        plain = {"batch_size": BATCH, "learning_rate": RATE, "l2": L2, "schedule": "constant", "standardize": "scalar"}
        recipe = Recipe.preset("paper", epochs=2000, seed=0, **plain)
    epochs = training.train(recipe, data)
    take_turns(lambda: next(epochs))


if __name__ == "__main__":
    main(sys.argv[1])
