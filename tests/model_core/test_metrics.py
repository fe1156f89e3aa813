"""Figures against examples worked by hand."""

import numpy as np
import pytest

from model_core import metrics

LABELS = np.array([0, 0, 1, 2], np.uint8)


def test_accuracy_is_the_share_of_images_labelled_rightly() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.6, 0.3], [0.4, 0.3, 0.3]])
    assert metrics.accuracy(probabilities, LABELS) == 0.5


def test_the_confusion_matrix_has_true_classes_as_rows() -> None:
    confusion = metrics.confusion_matrix(np.array([0, 1, 1, 0]), LABELS, 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(("predicted", "labels"), [([11], [1]), ([1], [10]), ([-1], [1])])
def test_a_class_that_there_is_not_is_refused(predicted: list[int], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="classes are 0 to 9"):
        metrics.confusion_matrix(np.array(predicted), np.array(labels, np.uint8), 10)


def test_precision_is_read_down_a_column_and_recall_along_a_row() -> None:
    figures = metrics.per_class(np.array([[3, 1, 0], [2, 4, 0], [1, 0, 0]]))
    assert [f.precision for f in figures] == pytest.approx([3 / 6, 4 / 5, 0])
    assert [f.recall for f in figures] == pytest.approx([3 / 4, 4 / 6, 0])
    assert [f.images for f in figures] == [4, 6, 1]


def test_a_class_without_images_or_predictions_has_zeros_and_no_warning() -> None:
    assert metrics.per_class(np.zeros((1, 1), np.int64))[0].as_record() == {"precision": 0, "recall": 0, "images": 0}


def test_calibration_error_is_the_gap_of_confidence_and_accuracy_weighted_by_images() -> None:
    # Two images at 0.9 of which one is right (gap 0.4), two at 0.6 that are both right (gap 0.4), of four.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert metrics.calibration_error(probabilities, np.array([0, 1, 0, 0], np.uint8)) == pytest.approx(0.4)


def test_overconfidence_and_underconfidence_in_one_bin_cancel_but_in_two_do_not() -> None:
    one_bin = np.array([[0.51, 0.49], [0.52, 0.48]])
    assert metrics.calibration_error(one_bin, np.array([0, 1], np.uint8)) == pytest.approx(0.015)
    two_bins = np.array([[0.51, 0.49], [0.99, 0.01]])
    assert metrics.calibration_error(two_bins, np.array([0, 1], np.uint8)) == pytest.approx((0.49 + 0.99) / 2)


def test_certainty_that_is_always_right_has_no_calibration_error() -> None:
    assert metrics.calibration_error(np.eye(3), np.arange(3, dtype=np.uint8)) == 0
