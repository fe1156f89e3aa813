"""The training loop: the one that the command line, the service and the tests consume."""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_core import layers, network
from model_core.augment import AUGMENTATIONS, draw_batch, shift_windows
from model_core.data import TrainingData
from model_core.errors import DataError, DivergenceError
from model_core.network import Parameters
from model_core.optim import SGD, learning_rate
from model_core.preprocess import LARGEST_INPUT, STD_FLOOR, Standardizer, standardize_by_batch
from model_core.recipe import Recipe
from model_core.workspace import Workspace

Flat = NDArray[np.float32]

LARGEST_LOSS = 1e15  # nats; beyond it a run is lost, though its figures may be finite for a while
_OVERFLOW_IS_DIVERGENCE = np.errstate(over="ignore", invalid="ignore")  # what NumPy would warn of is raised as DivergenceError


@dataclass
class State:
    """Where a run stands after an epoch: enough to go on with it. Flat arrays, laid out as network.unflatten reads them.

    The loop works on the arrays in place; `best` alone is never written to again once it stands here.
    """

    parameters: Flat
    velocity: Flat
    average: Flat
    best: Flat
    best_accuracy: float = -1.0
    best_epoch: int = 0
    epoch: int = 0  # epochs done
    history: list[dict[str, Any]] = field(default_factory=list)  # Epoch records
    data: str = ""  # TrainingData.digest of what it was trained on; none before the first epoch

    @classmethod
    def fresh(cls, recipe: Recipe) -> "State":
        """The start of a run: random weights drawn from the recipe's seed."""
        flat = network.initialise(recipe.hidden, np.random.default_rng([_seed(recipe), 0]))
        return cls(flat, np.zeros_like(flat), flat.copy(), flat.copy())


@dataclass(frozen=True)
class Epoch:
    """What one epoch did. Training figures are means over its batches, weighted by rows, each taken before its step."""

    epoch: int  # from 1
    train_loss: float  # nats, with the penalty
    train_penalty: float  # the L2 part of train_loss
    train_accuracy: float  # 0..1
    validation_loss: float  # nats, without penalty
    validation_accuracy: float  # 0..1
    learning_rate: float  # at the epoch's start
    seconds: float
    state: State = field(repr=False, compare=False)  # live: read it before asking for the next epoch

    def as_record(self) -> dict[str, Any]:
        """The figures as JSON-ready values, without the state."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "state"}


def train(
    recipe: Recipe, data: TrainingData, start: State | None = None, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Epoch]:
    """Train by `recipe`, which must have a seed, and yield each epoch as it ends; `start` goes on from an earlier state.

    The kept weights are `epoch.state.best`: those of the first epoch with the highest validation accuracy.
    Raises DivergenceError where the loss stops being of use, or a picture could overflow the weights, and DataError where `start` was
    trained on other images.
    """
    state = start or State.fresh(recipe)
    _insist_on_same_data(state, data)
    run = _Run(recipe, data, state)
    for epoch in range(state.epoch + 1, recipe.epochs + 1):
        began = clock()
        training = run.train_epoch(epoch)
        validation = run.validate()
        fault = run.fault(training, validation)
        if fault:
            raise DivergenceError(epoch, run.steps, learning_rate(recipe, epoch - 1), fault)
        if validation.accuracy > state.best_accuracy:
            state.best, state.best_accuracy, state.best_epoch = run.kept.copy(), validation.accuracy, epoch
        state.epoch = epoch
        result = Epoch(
            epoch,
            training.loss + training.penalty,
            training.penalty,
            training.accuracy,
            validation.loss,
            validation.accuracy,
            learning_rate(recipe, epoch - 1),
            clock() - began,
            state,
        )
        state.history.append(result.as_record())
        yield result


@dataclass
class _Means:
    """Running sums over images."""

    loss: float = 0.0
    penalty: float = 0.0
    accuracy: float = 0.0

    def over(self, rows: int) -> "_Means":
        return _Means(self.loss / rows, self.penalty / rows, self.accuracy / rows)


class _Run:
    """What stays the same from step to step: data prepared for batches, buffers, optimiser."""

    def __init__(self, recipe: Recipe, data: TrainingData, state: State) -> None:
        self.recipe, self.data, self.state = recipe, data, state
        self.standardizer = Standardizer.fit(data.images, recipe.standardize)
        self.pixel_scale = float(Standardizer.fit(data.images, "scalar").std[0])
        self.augmentation = AUGMENTATIONS[recipe.augment]
        self.windows = shift_windows(data.images, self.augmentation.shift) if recipe.augment != "none" else None
        self.targets = layers.target_table(network.CLASSES, recipe.label_smoothing)
        self.optimiser = SGD(recipe, network.weight_count(recipe.hidden))
        self.parameters = network.unflatten(state.parameters, recipe.hidden)
        self.kept = state.average if recipe.average else state.parameters
        if state.epoch == 0:
            self._silence_dead_pixels()
        self.gradient = np.empty_like(state.parameters)
        self.gradients = network.unflatten(self.gradient, recipe.hidden)
        self.workspace = Workspace(recipe.batch_size, recipe.hidden, recipe.dropout)
        self.x = np.empty((recipe.batch_size, network.PIXELS), np.float32)
        self.steps = math.ceil(len(data.images) / recipe.batch_size)  # in an epoch

    def _silence_dead_pixels(self) -> None:
        """Start the weights of pixels that are always dark in training at 0.

        Nothing would ever move them from their random start, and one bright corner of an upload, which such a pixel's small deviation
        makes worth 25 sigma, would speak through them. The paper's recipe needs it not: its L2 takes them to 0.
        """
        if self.recipe.standardize == "pixel":
            dead = self.standardizer.std <= STD_FLOOR
            for flat in (self.state.parameters, self.state.average):
                network.unflatten(flat, self.recipe.hidden).w1[dead] = 0

    @_OVERFLOW_IS_DIVERGENCE
    def train_epoch(self, epoch: int) -> _Means:
        """One pass over the training images, in an order drawn from the seed and the epoch's number."""
        rng = np.random.default_rng([_seed(self.recipe), epoch])
        order = rng.permutation(len(self.data.images))
        batches = [order[start : start + self.recipe.batch_size] for start in range(0, len(order), self.recipe.batch_size)]
        sums = _Means()
        # The next batch is made while the weights are updated: both are memory to go through, and neither touches what the other needs.
        with ThreadPoolExecutor(1, "batch") as beside:
            x = beside.submit(self._batch, batches[0], rng)
            for step, (index, following) in enumerate(itertools.zip_longest(batches, batches[1:])):
                self._differentiate(x.result(), index, rng, sums)
                if following is not None:
                    x = beside.submit(self._batch, following, rng)
                rate = learning_rate(self.recipe, epoch - 1 + (step / self.steps if self.recipe.schedule != "step" else 0))
                sums.penalty += len(index) * self._update(rate, (epoch - 1) * self.steps + step)
                if not math.isfinite(sums.loss + sums.penalty):
                    raise DivergenceError(epoch, step + 1, rate)
        return sums.over(len(order))

    def _differentiate(self, x: NDArray[np.float32], index: NDArray[np.intp], rng: np.random.Generator, sums: _Means) -> None:
        """Forward and backward on the batch x (N, 784) of the images number `index`."""
        labels = self.data.labels[index]
        activations = self.workspace.forward(self.parameters, x, rng)
        figures = self.workspace.backward(self.parameters, x, activations, self.targets[labels], labels, self.gradients)
        sums.loss += len(index) * figures.cross_entropy
        sums.accuracy += figures.correct

    def _update(self, rate: float, steps: int) -> float:
        """Step number `steps` (from 0) of the optimiser; the penalty before it."""
        state = self.state
        return self.optimiser.step(state.parameters, self.gradient, state.velocity, state.average, rate, steps)

    def _batch(self, index: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
        """Images number `index`, augmented and standardised: x (N, 784)."""
        if self.windows is None:
            images = np.take(self.data.images, index, axis=0)  # twice as fast as images[index]
        else:
            images = draw_batch(self.windows, index, self.augmentation.flip, rng)
        out = self.x[: len(index)]
        if self.recipe.standardize == "batch":
            return standardize_by_batch(images, self.pixel_scale, out)
        return self.standardizer.apply(images, out)

    @_OVERFLOW_IS_DIVERGENCE
    def validate(self) -> _Means:
        """Loss and accuracy of the kept weights on the validation images, under stored statistics."""
        kept = network.unflatten(self.kept, self.recipe.hidden)
        images, labels = self.data.validation_images, self.data.validation_labels
        table = layers.target_table(network.CLASSES)
        sums = _Means()
        for start in range(0, len(images), self.recipe.batch_size):
            part = slice(start, start + self.recipe.batch_size)
            x = self.standardizer.apply(images[part], self.x[: len(images[part])])
            logits = self.workspace.forward(kept, x).logits
            sums.loss += len(x) * layers.cross_entropy(logits, table[labels[part]])
            sums.accuracy += int(np.count_nonzero(logits.argmax(axis=1) == labels[part]))
        return sums.over(len(images))

    @_OVERFLOW_IS_DIVERGENCE
    def fault(self, training: _Means, validation: _Means) -> str:
        """Why nobody could use the kept weights, if so: an epoch's last step is the one that its own losses do not see."""
        if not math.isfinite(validation.loss):
            return "the loss stopped being finite"
        if network.can_overflow(network.unflatten(self.kept, self.recipe.hidden), LARGEST_INPUT):  # no artifact may have such weights
            return "the weights grew so large that a picture could overflow them"
        if training.loss + training.penalty + validation.loss > LARGEST_LOSS:
            return f"the loss grew beyond {LARGEST_LOSS:g}"
        return ""


def _insist_on_same_data(state: State, data: TrainingData) -> None:
    digest = data.digest()
    if state.epoch and state.data not in ("", digest):
        raise DataError("the checkpoint is of a run on other images; set ROOKIE_DATA_DIR to those, or start a run of its own on these")
    state.data = digest


def kept_parameters(state: State, recipe: Recipe) -> Parameters:
    """The weights that a run keeps: those of its best epoch by validation accuracy."""
    return network.unflatten(state.best, recipe.hidden)


def _seed(recipe: Recipe) -> int:
    if recipe.seed is None:
        raise ValueError("a recipe needs a seed before it is trained: recipe.seeded(entropy)")
    return recipe.seed
