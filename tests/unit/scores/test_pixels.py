"""Scores of pixels: closed-form cases."""

import numpy as np
import pytest
from pictures import cells

from maskmake.scores import pixels
from maskmake.scores.pixels import Confusion


def test_confusion_and_pixel_scores_by_hand():
    label = np.array([[1, 1, 1, 0, 0]], np.uint8)
    mask = np.array([[1, 1, 0, 1, 0]], bool)
    counts = pixels.confusion(mask, label)
    assert counts == Confusion(tp=2, fp=1, fn=1, tn=1)
    assert pixels.pixel_scores(counts) == pytest.approx(
        {
            "pixel_accuracy": 3 / 5,
            "majority_accuracy": 3 / 5,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "foreground_dice": 4 / 6,
            "foreground_iou": 2 / 4,
            "background_dice": 2 / 4,
            "background_iou": 1 / 3,
            "mean_dice": (4 / 6 + 2 / 4) / 2,
        }
    )


def test_confusions_pool_by_addition():
    assert Confusion(1, 2, 3, 4) + Confusion(10, 20, 30, 40) == Confusion(11, 22, 33, 44)
    assert sum([Confusion(1, 2, 3, 4)] * 2, Confusion()) == Confusion(2, 4, 6, 8)


def test_scores_of_arrays_of_counts_are_those_of_each():
    counts = [Confusion(2, 1, 1, 1), Confusion(0, 0, 0, 9), Confusion(5, 0, 3, 0)]
    together = pixels.pixel_scores(Confusion(*np.array(counts).T))
    for place, each in enumerate(counts):
        alone = pixels.pixel_scores(each)
        assert alone == pytest.approx({k: v[place] for k, v in together.items()}, nan_ok=True)


def test_confusion_refuses_to_broadcast():
    with pytest.raises(ValueError, match="shape"):
        pixels.confusion(np.zeros((4, 4), bool), np.zeros((4, 1), np.uint8))


def test_empty_mask_against_empty_label_is_undefined():
    empty = np.zeros((4, 4), np.uint8)
    values = pixels.pixel_scores(pixels.confusion(empty > 0, empty))
    undefined = {"precision", "recall", "foreground_dice", "foreground_iou"}
    assert {name for name, value in values.items() if np.isnan(value)} == undefined
    assert values["background_dice"] == values["mean_dice"] == values["majority_accuracy"] == 1


def test_empty_mask_against_a_label_scores_zero():
    label = cells()
    values = pixels.pixel_scores(pixels.confusion(np.zeros(label.shape, bool), label))
    assert values["foreground_dice"] == values["recall"] == 0
    assert np.isnan(values["precision"])
