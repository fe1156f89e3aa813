"""The report: every figure in both formats, the weight pictures those of the service, nothing of the test set where it is absent."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from model_core import report, visualize
from tests.support import tiny

SHOWING_TEST_IMAGES = {"confusion", "calibration", "mistakes", "effective-maps"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("report")
    report.write_report(tiny.model(), target, tiny.test_images())
    return target


def test_every_figure_is_written_as_png_and_svg(folder: Path) -> None:
    pngs, svgs = ({path.stem for path in folder.glob(f"*.{suffix}")} for suffix in ("png", "svg"))
    assert pngs == svgs
    assert {"figure-2-activations", "figure-4-curves", *report.PAPER_PICTURES} | SHOWING_TEST_IMAGES == pngs


@pytest.mark.parametrize(("file", "kind"), report.PAPER_PICTURES.items())
def test_the_weight_pictures_are_those_of_visualize_pixel_for_pixel(folder: Path, file: str, kind: str) -> None:
    drawn = visualize.PICTURES[kind](tiny.model().parameters, "tile")
    read = np.rint(matplotlib.image.imread(folder / f"{file}.png") * 255).astype(np.uint8)
    assert np.array_equal(read[..., 0], drawn)


def test_every_svg_is_well_formed_and_undated(folder: Path) -> None:
    for path in folder.glob("*.svg"):
        text = path.read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg")  # noqa: S314 (we wrote it)
        assert not re.search(r"<dc:date>", text)


def test_without_the_dataset_no_figure_shows_test_images(tmp_path: Path) -> None:
    written = report.write_report(tiny.model(), tmp_path, None)
    assert not {path.stem for path in written} & SHOWING_TEST_IMAGES


@pytest.mark.parametrize("name", ["confusion.png", "figure-5-w1.svg"])
def test_a_figure_of_somebody_elses_is_not_replaced_and_none_of_a_report_is_written(tmp_path: Path, name: str) -> None:
    for _ in range(2):  # an earlier report is replaced
        report.write_report(tiny.model(), tmp_path / "ours", tiny.test_images())
    matplotlib.image.imsave(tmp_path / name, np.zeros((9, 9, 3)))
    before = (tmp_path / name).read_bytes()
    with pytest.raises(FileExistsError, match="it is no figure of a report, and would be lost; choose another name"):
        report.write_report(tiny.model(), tmp_path, tiny.test_images())
    assert (tmp_path / name).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"ours", name}


def test_a_network_that_never_names_a_class_has_a_report_too(tmp_path: Path) -> None:
    whole = tiny.model()
    speechless = dataclasses.replace(whole, parameters=whole.parameters._replace(w3=np.zeros_like(whole.parameters.w3)))
    written = report.write_report(speechless, tmp_path, tiny.test_images())
    assert {path.stem for path in written} >= SHOWING_TEST_IMAGES
