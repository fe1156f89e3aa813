"""The paper's figures and ours, as PNG and SVG: `python -m model_core report`. Needs matplotlib (the extra `report`).

Weight pictures are those of `visualize`, pixel for pixel: the service shows the same.
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave

from model_core import explain, layers, visualize
from model_core.artifact import Model, insist_on_kind, write_atomically
from model_core.card import Evaluation, evaluate
from model_core.data import CLASSES, LabelledImages
from model_core.metrics import CALIBRATION_BINS, calibration_bins

PAPER_PICTURES = {"figure-5-w1": "w1", "figure-6a-w1-pca": "w1-pca", "figure-6b-w3": "w3", "figure-6c-combined": "combined"}
MISTAKES = 20
PROGRAM = "Rookie"
# Of each format's files: matplotlib's, which say that we drew them.
BEGIN = {
    "png": re.compile(rb"\x89PNG.{,300}Software\0%b" % PROGRAM.encode(), re.DOTALL),
    "svg": re.compile(rb"<\?xml.{,900}<dc:title>%b<" % PROGRAM.encode(), re.DOTALL),
}


def write_report(model: Model, folder: Path, test: LabelledImages | None) -> list[Path]:
    """Write every figure into `folder`; those that show test images only where `test` is given. The files written.

    Raises FileExistsError, before any is written, where a file of such a name is no figure of a report.
    """
    mpl.rcParams.update(
        {"svg.hashsalt": "rookie", "savefig.dpi": 150, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    figures: dict[str, Callable[[], Figure]] = {"figure-2-activations": activations, "figure-4-curves": lambda: curves(model)}
    if test is not None:
        scored = evaluate(model, test)
        figures |= {
            "confusion": lambda: confusion(scored),
            "calibration": lambda: calibration(scored, test),
            "mistakes": lambda: mistakes(scored, test),
            "effective-maps": lambda: effective_maps(model, scored, test),
        }
    for name in (*PAPER_PICTURES, *figures):
        for suffix, begin in BEGIN.items():
            insist_on_kind(folder / f"{name}.{suffix}", begin, "figure of a report")
    written = list(_write_pictures(model, folder))
    for name, draw in figures.items():
        figure = draw()
        for suffix in ("png", "svg"):
            written.append(folder / f"{name}.{suffix}")
            _save(figure, written[-1])
    return written


def _save(figure: Figure, path: Path, **options: Any) -> None:
    """Draw into memory first: an earlier file is replaced by a whole one or stays."""
    content = io.BytesIO()
    undated = {"Creator": PROGRAM, "Date": None}  # the same report twice is the same files twice
    metadata = undated if path.suffix == ".svg" else {"Software": PROGRAM}
    figure.savefig(content, format=path.suffix[1:], metadata=metadata, **options)
    write_atomically(path, content.getvalue())


def _write_pictures(model: Model, folder: Path) -> Iterator[Path]:
    """Figures 5 and 6: the picture itself as PNG, and embedded, unsmoothed, as SVG."""
    for name, kind in PAPER_PICTURES.items():
        picture = visualize.PICTURES[kind](model.parameters, "tile")
        grey = np.repeat(picture[..., None], 3, axis=2)
        content = io.BytesIO()
        imsave(content, grey, metadata={"Software": PROGRAM})
        write_atomically(folder / f"{name}.png", content.getvalue())
        yield folder / f"{name}.png"
        height, width = picture.shape
        figure = Figure(figsize=(width / 100, height / 100))
        figure.figimage(picture, cmap="gray", vmin=0, vmax=255)
        _save(figure, folder / f"{name}.svg", dpi=100)
        yield folder / f"{name}.svg"


def activations() -> Figure:
    """ReLU, and softmax of two logits as their difference grows (paper, Fig. 2)."""
    z = np.linspace(-5, 5, 401)
    figure, (left, right) = _panels(1, 2, (7, 2.8))
    left.plot(z, layers.relu(z))
    left.set(title="ReLU(z)", xlabel="z")
    right.plot(z, layers.softmax(np.stack([z, np.zeros_like(z)], axis=1))[:, 0])
    right.set(title="softmax of (z, 0), first class", xlabel="z")
    return figure


def curves(model: Model) -> Figure:
    """Loss and accuracy by epoch, on training and validation images (paper, Fig. 4); the penalty also by itself."""
    history = model.card["history"]
    epochs = [record["epoch"] for record in history]
    figure, (loss, accuracy) = _panels(1, 2, (9, 3.4))
    series = {"training, with penalty": "train_loss", "penalty alone": "train_penalty", "validation, without": "validation_loss"}
    for label, name in series.items():
        loss.plot(epochs, [record[name] for record in history], label=label, linewidth=1)
    for label, name in {"training": "train_accuracy", "validation": "validation_accuracy"}.items():
        accuracy.plot(epochs, [100 * record[name] for record in history], label=label, linewidth=1)
    loss.set(title="loss (nats)", xlabel="epoch")
    accuracy.set(title="accuracy (%)", xlabel="epoch")
    loss.legend()
    accuracy.legend()
    return figure


def confusion(scored: Evaluation) -> Figure:
    """Counts on the test set: row is the true class, column the predicted one."""
    figure, (axes,) = _panels(1, 1, (6.4, 5.6))
    axes.imshow(np.log1p(scored.confusion), cmap="Blues")
    for row, column in np.argwhere(scored.confusion > 0):
        shade = "white" if scored.confusion[row, column] > 100 else "black"
        axes.text(column, row, str(scored.confusion[row, column]), ha="center", va="center", color=shade, fontsize=7)
    axes.set_xticks(range(10), CLASSES, rotation=45, ha="right")
    axes.set_yticks(range(10), CLASSES)
    axes.set(xlabel="predicted", ylabel="true", title=f"test accuracy {scored.accuracy:.2%}")
    return figure


def calibration(scored: Evaluation, test: LabelledImages) -> Figure:
    """How often the network is right when it is that sure."""
    bins = calibration_bins(scored.probabilities, test.labels)
    figure, (axes,) = _panels(1, 1, (4.4, 4.0))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    axes.bar([each.confidence for each in bins], [each.accuracy for each in bins], width=0.9 / CALIBRATION_BINS, alpha=0.7)
    axes.set(xlabel="confidence", ylabel="share that is right", title=f"calibration error {scored.calibration_error:.4f}", xlim=(0, 1))
    return figure


def mistakes(scored: Evaluation, test: LabelledImages) -> Figure:
    """The test images that the network got wrong while most sure of itself."""
    wrong = np.flatnonzero(scored.predicted != test.labels)
    surest = wrong[np.argsort(-scored.probabilities.max(axis=1)[wrong], kind="stable")][:MISTAKES]
    figure, panels = _panels(4, 5, (8, 7.6))
    for axes, index in zip(panels, surest, strict=False):
        said, truth = CLASSES[scored.predicted[index]], CLASSES[test.labels[index]]
        axes.imshow(test.images[index], cmap="gray")
        axes.set_title(f"{said} ({scored.probabilities[index].max():.0%})\nis {truth}", fontsize=7)
    _hide_axes(panels)
    return figure


def effective_maps(model: Model, scored: Evaluation, test: LabelledImages) -> Figure:
    """For the first rightly labelled image of each class: the image, and the exact weights that its class's logit puts on its pixels."""
    figure, panels = _panels(4, 5, (8, 7.2))
    for k, name in enumerate(CLASSES):
        right = np.flatnonzero((test.labels == k) & (scored.predicted == k))
        if not len(right):
            continue
        index = int(right[0])
        x = model.standardizer.apply(test.images[index : index + 1])[0]
        weights = explain.effective_map(model.parameters, x).weights[:, k].reshape(28, 28)
        place = k // 5 * 10 + k % 5
        panels[place].imshow(test.images[index], cmap="gray")
        panels[place].set_title(name, fontsize=8)
        limit = np.abs(weights).max()
        panels[place + 5].imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
    _hide_axes(panels)
    return figure


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[mpl.axes.Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, [figure.add_subplot(rows, columns, k + 1) for k in range(rows * columns)]


def _hide_axes(panels: list[mpl.axes.Axes]) -> None:
    for axes in panels:
        axes.set_axis_off()
