"""How an epoch's time grows with the batch and with the hidden layers: `python -m benchmarks.train_growth`.

The plain recipe (SGD with L2) on 55,000 images. A row's sizes take turns with the others', so that a busy minute hits them all.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.train_epoch import load_images, start_untuned, time_in_turn
from model_core import training
from model_core.network import weight_count
from model_core.recipe import Recipe

BATCHES = (32, 128, 512, 2048)
HIDDEN = ((64, 64), (250, 162), (500, 324), (1000, 648))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3, help="epochs timed for each (default: %(default)s)")
    rounds = parser.parse_args().rounds
    start_untuned(os.environ)
    images, source = load_images(os.environ)
    recipes = {f"batch {size}": plain(batch_size=size) for size in BATCHES}
    recipes |= {f"hidden {first}, {second}": plain(hidden=(first, second)) for first, second in HIDDEN}

    def epochs_of(recipe: Recipe) -> Callable[[], object]:
        return partial(next, training.train(recipe, images))

    seconds = time_in_turn({name: epochs_of(recipe) for name, recipe in recipes.items()}, rounds)
    print(f"one epoch on {source}, median of {rounds} rounds in turn\n")
    print("| | steps | weights | seconds | ms a step |\n|---|---:|---:|---:|---:|")
    for name, recipe in recipes.items():
        median, steps = statistics.median(seconds[name]), -(-len(images.images) // recipe.batch_size)
        print(f"| {name} | {steps} | {weight_count(recipe.hidden):,} | {median:.2f} | {1000 * median / steps:.2f} |")


def plain(**changes: object) -> Recipe:
    """The paper's recipe with one deviation for all pixels, which needs no pass over the batch."""
    return Recipe.preset("paper", seed=0, standardize="scalar", **changes)


if __name__ == "__main__":
    main()
