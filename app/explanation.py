"""Why one picture got its answer: what POST /explain says."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from app.inference import Served
from app.schemas import Prediction
from model_core import explain, network
from model_core.data import CLASSES
from model_core.explain import HiddenUnits
from model_core.layers import Array

SHOWN_UNITS = 12
SHOWN_FEEDS = 4


class ExplainedClass(BaseModel):
    """What speaks for and against one class."""

    label: str
    index: int
    probability: float
    logit: float = Field(description="the network's own, in double precision")
    bias: float = Field(description="what the picture has no part in")
    contributions: list[float] = Field(description="what each of the 784 pixels adds to the logit, row by row, to six decimals")


class Feed(BaseModel):
    """What a first-layer unit passes on to one unit of the second layer."""

    unit: int
    adds: float


class ActiveUnit(BaseModel):
    """A first-layer unit that this picture activates."""

    unit: int
    activation: float
    winner: float = Field(description="what it adds to the winner's logit")
    runner_up: float = Field(description="what it adds to the runner-up's logit")
    speaks_for: str = Field(description="the class to whose logit it adds most")
    feeds: list[Feed] = Field(description="the second-layer units that it reaches most strongly, of those that are active")
    tile: str = Field(description="link to the picture of its weights")


class SumCheck(BaseModel):
    """Whether pixels' contributions and bias really sum to the logits, before they are rounded."""

    largest_error: float = Field(description="largest difference over the ten classes")
    tolerance: float
    holds: bool


class Explanation(BaseModel):
    """An answer with its reasons: for this picture the network is exactly a linear map (logit = contributions + bias)."""

    prediction: Prediction
    winner: ExplainedClass
    runner_up: ExplainedClass
    active_units: int = Field(description="first-layer units that the picture activates")
    hidden_units: int = Field(description="first-layer units that there are")
    units: list[ActiveUnit] = Field(description="the most active ones")
    check: SumCheck


TOLERANCE = 1e-4
DECIMALS = 6  # of a contribution, as it is sent; more would make the page's first view too large


def explanation(served: Served, pixels: NDArray[np.uint8], prediction: Prediction) -> Explanation:
    """Why `served` answers `prediction` to one image (28, 28) uint8; computed in double precision."""
    parameters = explain.in_double_precision(served.model.parameters)
    x = served.model.standardizer.apply(pixels[None])[0].astype(np.float64)
    logits = network.forward(parameters, x[None]).logits[0]
    linear = explain.effective_map(parameters, x)
    contributions = explain.contributions(x, linear)
    order = np.argsort(-logits, kind="stable")
    error = float(np.abs(contributions.sum(axis=0) + linear.bias - logits).max())
    winner, runner_up = (_class(int(k), prediction, logits, linear.bias, contributions) for k in order[:2])
    units = explain.hidden_units(parameters, x)
    shown = explain.strongest(units.activations, SHOWN_UNITS)
    return Explanation(
        prediction=prediction,
        winner=winner,
        runner_up=runner_up,
        active_units=int(np.count_nonzero(units.activations)),
        hidden_units=len(units.activations),
        units=[_unit(int(j), units, winner.index, runner_up.index, served.version) for j in shown],
        check=SumCheck(largest_error=error, tolerance=TOLERANCE, holds=error <= TOLERANCE),
    )


def _class(k: int, prediction: Prediction, logits: Array, bias: Array, contributions: Array) -> ExplainedClass:
    return ExplainedClass(
        label=CLASSES[k],
        index=k,
        probability=prediction.probabilities[CLASSES[k]],
        logit=float(logits[k]),
        bias=float(bias[k]),
        contributions=contributions[:, k].round(DECIMALS).tolist(),
    )


def _unit(j: int, units: HiddenUnits, winner: int, runner_up: int, version: int) -> ActiveUnit:
    adds, feeds = units.adds[j], units.feeds[j]
    return ActiveUnit(
        unit=j,
        activation=float(units.activations[j]),
        winner=float(adds[winner]),
        runner_up=float(adds[runner_up]),
        speaks_for=CLASSES[int(adds.argmax())],
        feeds=[Feed(unit=int(k), adds=float(feeds[k])) for k in explain.strongest(feeds, SHOWN_FEEDS)],
        tile=f"/weights/w1/{j}.png?version={version}",
    )
