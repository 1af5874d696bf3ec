"""Scores of probabilities, before any decision, from the number of pixels at each probability.

Everything is counted at the ``float16`` numbers from 0 to 1, so nothing is rounded, and the counts
of images add up.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from maskmake.network.logit_range import SURE
from maskmake.scores.pixels import ratio

PROBABILITY_SCORES = ("average_precision", "ece", "brier", "ece_calibrated", "brier_calibrated")

# The float16 numbers from 0 to 1 in ascending order: their bit patterns ascend with their value.
FLOAT16_LEVELS = np.arange(np.float16(1).view(np.uint16) + 1, dtype=np.uint16).view(np.float16)

# The logit of each of FLOAT16_LEVELS; 0 and 1 are moved inwards by half the spacing there.
SMALLEST = float(FLOAT16_LEVELS[1]) / 2
LOGITS = logit(np.clip(FLOAT16_LEVELS.astype(np.float64), SMALLEST, 1 - SURE))

CALIBRATION_BINS = 15


def probability_histogram(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Count the pixels of each class at each possible probability; nothing is rounded.

    Histograms of several images add up.

    Args:
        probability: (H, W) ``float16``, 0 to 1.
        label: (H, W) ``uint8`` or bool, 0, 1 or, for pixels that are not counted, 255.

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
    return np.stack(
        [np.bincount(levels[label == value], minlength=FLOAT16_LEVELS.size) for value in (0, 1)]
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
        calibrated: (..., 16), the same for the calibrated probabilities.
    """

    tp: np.ndarray
    positive: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray


def probability_sums(histogram: np.ndarray, temperature: float) -> ProbabilitySums:
    """Sums, ``float64``, of a histogram (2, 15361) from ``probability_histogram``.

    Each of ``FLOAT16_LEVELS`` is a threshold. The temperature is from
    ``calibration.learn_temperature``.
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
        ece_calibrated, brier_calibrated: the same for the calibrated probabilities.
    """
    pixels = sums.positive[..., -1]
    # Above the highest probability there is no pixel, so the precision there does not matter.
    precision = sums.tp / np.maximum(sums.positive, 1)
    found = np.einsum("...i,...i->...", np.diff(sums.tp, prepend=0), precision)
    scores = {"average_precision": ratio(found, sums.tp[..., -1])}
    for suffix, bin_sums in (("", sums.raw), ("_calibrated", sums.calibrated)):
        scores["ece" + suffix] = ratio(np.abs(bin_sums[..., :-1]).sum(axis=-1), pixels)
        scores["brier" + suffix] = ratio(bin_sums[..., -1], pixels)
    return scores
