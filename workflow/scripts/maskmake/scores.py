"""Numbers from the pixels of masks and from probabilities.

A score that would compare nothing with nothing (0/0, such as the foreground Dice of an empty mask
against an empty label) is NaN. All that is counted adds up over images, and all scores of counts
take arrays of them.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

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
PROBABILITY_SCORES = ("average_precision", "ece", "brier", "ece_calibrated", "brier_calibrated")

# The float16 numbers from 0 to 1 in ascending order: their bit patterns ascend with their value.
FLOAT16_LEVELS = np.arange(np.float16(1).view(np.uint16) + 1, dtype=np.uint16).view(np.float16)

# float16 rounds a sure prediction to 0 or 1; half its spacing below 1 keeps the logit finite.
SURE = 2.0**-12
# The logit of each of FLOAT16_LEVELS; 0 and 1 are half the spacing away from where they are.
SMALLEST = float(FLOAT16_LEVELS[1]) / 2
LOGITS = logit(np.clip(FLOAT16_LEVELS.astype(np.float64), SMALLEST, 1 - SURE))

CALIBRATION_BINS = 15


class Confusion(NamedTuple):
    """Pixel counts of a mask against a label; counts of several images add up.

    Each field is an integer, or an integer array with one element for each of several masks.
    """

    tp: int | np.ndarray = 0
    fp: int | np.ndarray = 0
    fn: int | np.ndarray = 0
    tn: int | np.ndarray = 0

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(*(a + b for a, b in zip(self, other, strict=True)))


def confusion(mask: np.ndarray, label: np.ndarray) -> Confusion:
    """Count the pixels of each outcome.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0 or 1.

    Raises:
        ValueError: the shapes differ.
    """
    if mask.shape != label.shape:
        raise ValueError(f"mask of shape {mask.shape}, label of shape {label.shape}")
    true = int(np.count_nonzero(label))
    positive = int(np.count_nonzero(mask))
    tp = int(np.count_nonzero(mask & (label > 0)))
    return Confusion(tp, positive - tp, true - tp, mask.size - positive - true + tp)


def pixel_scores(counts: Confusion) -> dict[str, np.ndarray]:
    """Scores of ``PIXEL_SCORES`` in the shape of the counts, each 0 to 1 or, where it is 0/0, NaN.

    ``majority_accuracy`` is the accuracy of predicting the label's more frequent class everywhere.
    """
    tp, fp, fn, tn = counts
    total = sum(counts)
    return {
        "pixel_accuracy": _ratio(tp + tn, total),
        "majority_accuracy": _ratio(np.maximum(tp + fn, fp + tn), total),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "foreground_dice": foreground_dice(counts),
        "foreground_iou": _ratio(tp, tp + fp + fn),
        "background_dice": background_dice(counts),
        "background_iou": _ratio(tn, tn + fp + fn),
        "mean_dice": mean_dice(counts),
    }


def foreground_dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient of label 1, in the shape of the counts; NaN without any such pixel."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def background_dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient of label 0, in the shape of the counts; NaN without any such pixel."""
    return _ratio(2 * counts.tn, 2 * counts.tn + counts.fp + counts.fn)


def mean_dice(counts: Confusion) -> np.ndarray:
    """Mean of foreground and background Dice, in the shape of the counts.

    Where one of the two is undefined (no pixel of the class in label and mask) it is the other.
    """
    foreground, background = foreground_dice(counts), background_dice(counts)
    mean = (foreground + background) / 2
    return np.where(
        np.isnan(foreground), background, np.where(np.isnan(background), foreground, mean)
    )[()]


def _ratio(numerator, denominator) -> np.ndarray:
    undefined = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)
    return undefined[()]  # a number for numbers


def probability_histogram(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Count the pixels of each class at each possible probability; nothing is rounded.

    Histograms of several images add up.

    Args:
        probability: (H, W) ``float16``, 0 to 1.
        label: (H, W) ``uint8``, 0 or 1.

    Returns:
        (2, 15361) ``int64``: row 0 counts label 0, row 1 label 1; columns as ``FLOAT16_LEVELS``.

    Raises:
        ValueError: another dtype, or a probability below 0, above 1 or NaN.
    """
    if probability.dtype != np.float16:
        raise ValueError(f"probabilities of type {probability.dtype}; expected float16")
    levels = np.ascontiguousarray(probability).view(np.uint16)
    if levels.size and levels.max() >= FLOAT16_LEVELS.size:
        raise ValueError("a probability is not between 0 and 1")
    true = label > 0
    return np.stack(
        [np.bincount(levels[selected], minlength=FLOAT16_LEVELS.size) for selected in (~true, true)]
    )


def calibrated_levels(temperature: float) -> np.ndarray:
    """The calibrated probability, ``float64``, of each of ``FLOAT16_LEVELS``; never 0 or 1."""
    return expit(LOGITS / temperature)


def calibration_bins(levels: np.ndarray) -> np.ndarray:
    """The bin of the calibration error, 0 to 14, of each of some probabilities."""
    return np.maximum(np.ceil(levels * CALIBRATION_BINS).astype(int) - 1, 0)


class ProbabilitySums(NamedTuple):
    """Numbers of a histogram that give its scores; those of several images add up.

    Attributes:
        tp: (..., thresholds), pixels of label 1 at the threshold or above, the highest first.
        positive: (..., thresholds), pixels of both labels at the threshold or above.
        raw: (..., 16), sum of label - probability in each bin; sum of its square.
        calibrated: (..., 16), the same of the calibrated probabilities.
    """

    tp: np.ndarray
    positive: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray


def probability_sums(histogram: np.ndarray, temperature: float) -> ProbabilitySums:
    """Sums, ``float64``, of a histogram (2, 15361) of ``probability_histogram``.

    Each of ``FLOAT16_LEVELS`` is a threshold. The temperature is that of the calibration.
    """
    negatives, positives = histogram.astype(np.float64)
    return ProbabilitySums(
        positives[::-1].cumsum(),
        (negatives + positives)[::-1].cumsum(),
        _calibration_sums(histogram, FLOAT16_LEVELS.astype(np.float64)),
        _calibration_sums(histogram, calibrated_levels(temperature)),
    )


def _calibration_sums(histogram: np.ndarray, levels: np.ndarray) -> np.ndarray:
    negatives, positives = histogram
    gaps = positives * (1 - levels) - negatives * levels
    squares = negatives @ levels**2 + positives @ (1 - levels) ** 2
    return np.append(np.bincount(calibration_bins(levels), gaps, CALIBRATION_BINS), squares)


def probability_scores(sums: ProbabilitySums) -> dict[str, np.ndarray]:
    """Scores of probabilities, without any decision, in the shape of the leading axes.

    Returns:
        average_precision: sum over thresholds of (R_n - R_(n-1)) P_n, pixels between two thresholds
            taken together; NaN without foreground.
        ece: expected calibration error of the foreground probability: the mean distance of the
            foreground's frequency from the mean probability in 15 bins of equal width, weighted by
            their pixels (Naeini et al., AAAI 2015; Guo et al., ICML 2017, there for the confidence
            in the predicted class).
        brier: mean squared difference of probability and label.
        ece_calibrated, brier_calibrated: the same of the calibrated probabilities.
    """
    pixels = sums.positive[..., -1]
    # Above the highest probability there is no pixel, whatever the precision is called there.
    precision = sums.tp / np.maximum(sums.positive, 1)
    found = np.einsum("...i,...i->...", np.diff(sums.tp, prepend=0), precision)
    scores = {"average_precision": _ratio(found, sums.tp[..., -1])}
    for suffix, of_bins in (("", sums.raw), ("_calibrated", sums.calibrated)):
        scores["ece" + suffix] = _ratio(np.abs(of_bins[..., :-1]).sum(axis=-1), pixels)
        scores["brier" + suffix] = _ratio(of_bins[..., -1], pixels)
    return scores
