"""Loss, gradients and ten steps of training are PyTorch's, to 1e-6 relative, in float64 on the whole 784-500-324-10 network."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_core import layers, network
from model_core.network import Parameters
from model_core.optim import SGD
from model_core.recipe import Recipe
from tests.support.parts import absent

pytestmark = pytest.mark.torch

HIDDEN, ROWS, STEPS = (500, 324), 32, 10
RATE, L2 = 0.1, 1e-3
ENVIRONMENT = Path(".venv-bench/bin/python")
SCRIPT = Path(__file__).with_name("reference.py")


class Case:
    """A network, ten batches, and what PyTorch made of them."""

    def __init__(self, folder: Path, momentum: float) -> None:
        rng = np.random.default_rng(31)
        self.recipe = Recipe.preset("paper", momentum=momentum, l2=L2)
        self.flat = network.initialise(HIDDEN, rng).astype(np.float64)
        self.parameters = network.unflatten(self.flat, HIDDEN)
        self.x = rng.normal(size=(STEPS, ROWS, network.PIXELS))
        self.targets = layers.target_table(10, 0.1).astype(np.float64)[rng.integers(0, 10, (STEPS, ROWS))]
        source, target = folder / "in.npz", folder / "out.npz"
        scalars: dict[str, Any] = {"rate": RATE, "momentum": momentum, "l2": L2}
        np.savez(source, x=self.x, targets=self.targets, **scalars, **self.parameters._asdict())
        subprocess.run([ENVIRONMENT, SCRIPT, source, target], check=True)
        self.theirs: dict[str, NDArray[np.float64]] = dict(np.load(target))

    def gradients(self, step: int, l2: float = L2) -> Parameters:
        x, targets = self.x[step], self.targets[step]
        return network.backward(self.parameters, x, network.forward(self.parameters, x), targets, l2)


@pytest.fixture(scope="module", params=[0.0, 0.9], ids=["plain", "nesterov"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    found = ENVIRONMENT.exists() and subprocess.run([ENVIRONMENT, "-c", "import torch"], capture_output=True).returncode == 0
    if not found:
        absent(
            request.config, "torch", "PyTorch is not there; install it: python3 -m venv .venv-bench && .venv-bench/bin/pip install torch"
        )
    return Case(tmp_path_factory.mktemp("torch"), request.param)


def test_the_loss_is_pytorchs(case: Case) -> None:
    ours = network.loss(case.parameters, case.x[0], case.targets[0], L2)
    assert ours == pytest.approx(float(case.theirs["loss"]), rel=1e-6)


@pytest.mark.parametrize("name", Parameters._fields)
def test_every_gradient_is_pytorchs(case: Case, name: str) -> None:
    assert relative_error(getattr(case.gradients(0), name), case.theirs[f"gradient_{name}"]) < 1e-6


def test_ten_steps_end_where_pytorchs_do(case: Case) -> None:
    losses, velocity, gradient = [], np.zeros_like(case.flat), np.empty_like(case.flat)
    optimiser = SGD(case.recipe, network.weight_count(HIDDEN), np.float64)
    for step in range(STEPS):
        losses.append(network.loss(case.parameters, case.x[step], case.targets[step], L2))
        for place, g in zip(network.unflatten(gradient, HIDDEN), case.gradients(step, l2=0.0), strict=True):
            place[...] = g  # SGD adds the penalty's part itself
        optimiser.step(case.flat, gradient, velocity, case.flat, RATE, step)
    assert losses == pytest.approx(case.theirs["trajectory"], rel=1e-6)
    for name in Parameters._fields:
        assert relative_error(getattr(case.parameters, name), case.theirs[f"after_{name}"]) < 1e-6


def relative_error(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> float:
    """Distance of two arrays over the length of the second."""
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
