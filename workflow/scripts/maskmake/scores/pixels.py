"""Scores of the pixels of masks.

A score that would compare nothing with nothing (0/0, such as the foreground Dice of an empty mask
against an empty label) is NaN. All that is counted adds up over images, and all scores of counts
take arrays of them.
"""

from typing import NamedTuple

import numpy as np

from maskmake.data.labels import is_labelled

PIXEL_SCORES = (
    "pixel_accuracy",
    "majority_accuracy",
    "precision",
    "recall",
    "foreground_dice",
    "foreground_iou",
    "background_dice",
    "background_iou",
    "mean_dice",
)


class Confusion(NamedTuple):
    """Pixel counts of a mask against a label; counts of several images add up.

    Each field is an integer, or an integer array with one element for each of several masks.
    """

    tp: int | np.ndarray = 0
    fp: int | np.ndarray = 0
    fn: int | np.ndarray = 0
    tn: int | np.ndarray = 0

    # Sums of counts, not a longer tuple.
    def __add__(self, other: "Confusion") -> "Confusion":  # type: ignore[override]
        return Confusion(*(a + b for a, b in zip(self, other, strict=True)))


def confusion(mask: np.ndarray, label: np.ndarray) -> Confusion:
    """Count the pixels of each outcome.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.

    Raises:
        ValueError: the shapes differ.
    """
    if mask.shape != label.shape:
        raise ValueError(f"mask of shape {mask.shape}, label of shape {label.shape}")
    foreground, labelled = label == 1, is_labelled(label)
    true = int(np.count_nonzero(foreground))
    positive = int(np.count_nonzero(mask & labelled))
    tp = int(np.count_nonzero(mask & foreground))
    total = int(np.count_nonzero(labelled))
    return Confusion(tp, positive - tp, true - tp, total - positive - true + tp)


def pixel_scores(counts: Confusion) -> dict[str, np.ndarray]:
    """Scores of ``PIXEL_SCORES`` in the shape of the counts, each 0 to 1 or, where it is 0/0, NaN.

    ``majority_accuracy`` is the accuracy of predicting the label's more frequent class everywhere.
    """
    tp, fp, fn, tn = counts
    total = sum(counts)
    return {
        "pixel_accuracy": ratio(tp + tn, total),
        "majority_accuracy": ratio(np.maximum(tp + fn, fp + tn), total),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "foreground_dice": foreground_dice(counts),
        "foreground_iou": ratio(tp, tp + fp + fn),
        "background_dice": background_dice(counts),
        "background_iou": ratio(tn, tn + fp + fn),
        "mean_dice": mean_dice(counts),
    }


def foreground_dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient of label 1, in the shape of the counts; NaN without any such pixel."""
    return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def background_dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient of label 0, in the shape of the counts; NaN without any such pixel."""
    return ratio(2 * counts.tn, 2 * counts.tn + counts.fp + counts.fn)


def mean_dice(counts: Confusion) -> np.ndarray:
    """Mean of foreground and background Dice, in the shape of the counts.

    Where one of the two is undefined (no pixel of the class in label and mask) it is the other.
    """
    foreground, background = foreground_dice(counts), background_dice(counts)
    mean = (foreground + background) / 2
    return np.where(
        np.isnan(foreground), background, np.where(np.isnan(background), foreground, mean)
    )[()]


def ratio(numerator, denominator) -> np.ndarray:
    """Quotient of counts, in their shape; NaN where the denominator is 0."""
    undefined = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)
    return undefined[()]  # a number for numbers
