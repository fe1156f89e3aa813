"""Time one epoch of `quick` beside the same epoch's matrix products alone: `make bench`.

An epoch is 55,000 training images in steps of 512, then 5,000 validation images. The products are what NumPy's BLAS has to do for it:
the same shapes, as many of them, into arrays that are there already. What a ratio above 1 shows is ours: gathering and standardising
images, ReLU, softmax, loss, optimiser. The two run in turn, so that whatever else the machine does meets both alike.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from model_core import card, data, network, training
from model_core.data import TrainingData
from model_core.recipe import Recipe

F32 = NDArray[np.float32]
# Settings that tune OpenBLAS by hand. Whoever sets them measures something else than everybody else gets.
TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time one epoch of training beside its bare matrix products.")
    parser.add_argument("--rounds", type=int, default=7, help="epochs timed for each (default: %(default)s)")
    rounds = parser.parse_args().rounds
    start_untuned(os.environ)
    images, source = load_images(os.environ)
    recipe = Recipe.preset("quick", epochs=rounds + 1, seed=1)
    epochs = training.train(recipe, images)
    products = MatrixProducts(recipe, len(images.images), len(images.validation_images))
    seconds = time_in_turn({"matrix products alone": products.epoch, "Rookie": lambda: next(epochs)}, rounds)
    print(f"one epoch of {recipe.name} on {source}, median of {rounds} rounds in turn\n")
    print_table(seconds, baseline="matrix products alone")
    machine = card.environment(os.environ)
    print(f"\nNumPy {machine['numpy']}, {machine['blas']}, {machine['threads']} BLAS threads, Python {machine['python']}, {machine['cpu']}")


def start_untuned(environ: Mapping[str, str]) -> None:
    """Start this program again without the tuning: OpenBLAS read it when NumPy was loaded."""
    if not any(name in environ for name in TUNING):
        return
    untuned = {name: value for name, value in environ.items() if name not in TUNING}
    os.execve(sys.executable, sys.orig_argv, untuned)  # noqa: S606 (this very program)


def load_images(environ: Mapping[str, str]) -> tuple[TrainingData, str]:
    """Fashion-MNIST, or noise in its shape where it is not there; and which of the two. A step's time does not depend on the pixels."""
    folder = data.data_dir(environ)
    if not data.missing_files(folder):
        return data.load_training(folder), "Fashion-MNIST"
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60_000, 28, 28), np.uint8), rng.integers(0, 10, 60_000, np.uint8)
    return data.split(data.LabelledImages(images, labels)), "synthetic images"


class MatrixProducts:
    """The matrix products of one epoch, on arrays of random numbers."""

    def __init__(self, recipe: Recipe, images: int, validation_images: int) -> None:
        self.steps = [min(recipe.batch_size, images - start) for start in range(0, images, recipe.batch_size)]
        self.validation_steps = [
            min(recipe.batch_size, validation_images - start) for start in range(0, validation_images, recipe.batch_size)
        ]
        rng = np.random.default_rng(0)
        self.p = network.unflatten(network.initialise(recipe.hidden, rng), recipe.hidden)
        self.gradients = network.unflatten(network.initialise(recipe.hidden, rng), recipe.hidden)
        widths = (network.PIXELS, *recipe.hidden, network.CLASSES)
        self.x, self.a1, self.a2, self.a3 = (random_rows(rng, recipe.batch_size, width) for width in widths)
        _, self.d1, self.d2, self.d3 = (random_rows(rng, recipe.batch_size, width) for width in widths)

    def epoch(self) -> None:
        """Three products forward and five backward for each step, three forward for each step of validation."""
        for rows in self.steps:
            self.forward(rows)
            self.backward(rows)
        for rows in self.validation_steps:
            self.forward(rows)

    def forward(self, n: int) -> None:
        """z = a @ w, three times."""
        np.matmul(self.x[:n], self.p.w1, out=self.a1[:n])
        np.matmul(self.a1[:n], self.p.w2, out=self.a2[:n])
        np.matmul(self.a2[:n], self.p.w3, out=self.a3[:n])

    def backward(self, n: int) -> None:
        """dw = a.T @ dz for three layers, da = dz @ w.T for the upper two: the images need no gradient."""
        np.matmul(self.a2[:n].T, self.d3[:n], out=self.gradients.w3)
        np.matmul(self.d3[:n], self.p.w3.T, out=self.d2[:n])
        np.matmul(self.a1[:n].T, self.d2[:n], out=self.gradients.w2)
        np.matmul(self.d2[:n], self.p.w2.T, out=self.d1[:n])
        np.matmul(self.x[:n].T, self.d1[:n], out=self.gradients.w1)


def random_rows(rng: np.random.Generator, rows: int, width: int) -> F32:
    """Random numbers (rows, width)."""
    return rng.standard_normal((rows, width), np.float32)


def time_in_turn(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round, after one round that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def print_table(seconds: Mapping[str, list[float]], baseline: str) -> None:
    """Median, fastest and slowest of each contestant, and how its median compares with the baseline's."""
    base = statistics.median(seconds[baseline])
    print(f"{'':24}{'median s':>10}{'fastest':>10}{'slowest':>10}{'ratio':>8}")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:24}{median:10.3f}{min(times):10.3f}{max(times):10.3f}{median / base:8.2f}")


if __name__ == "__main__":
    main()
