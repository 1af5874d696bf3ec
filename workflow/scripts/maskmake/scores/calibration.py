"""Whether probabilities mean what they say, and what they say about masks without a label.

A network that says 0.9 should be right nine times in ten; one trained for long is usually too sure.
Dividing its logits by one number, the temperature, corrects that. A probability of one half and the
order of the pixels stay as they are. So the decision is learned on the uncalibrated probabilities,
and no mask depends on the temperature.

Everything is computed from histograms of ``probability_histogram``: nothing is rounded, and
histograms of images, or of bands of one image, add up.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from maskmake.data.labels import where_labelled
from maskmake.scores.cases import Case
from maskmake.scores.probabilities import (
    CALIBRATION_BINS,
    FLOAT16_LEVELS,
    LOGITS,
    calibrated_levels,
    calibration_bins,
    probability_histogram,
)

TEMPERATURES = (0.25, 10.0)

EXPECTED = ("expected_foreground_dice", "expected_background_dice", "expected_mean_dice")


def learn_temperature(histogram: np.ndarray) -> float:
    """The temperature at which the labels are most likely.

    Temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017): the
    mean negative log-likelihood of the pixels is a convex function of 1 / temperature, so it has
    one minimum. ``float16`` has no number between 0.9995 and 1; on probabilities that are far
    too sure a true temperature of 1.5 is therefore found as 1.43 to 1.5.

    Args:
        histogram: (2, 15361) ``int64`` from ``probability_histogram``, the sum over all images.

    Returns:
        Above 1 if the probabilities are too sure, below if they are not sure enough; 0.25 to 10.
        The ends are reached where no temperature is best: 0.25 if no pixel is on the wrong side of
        0.5, 10 if the probabilities are no better than their opposite.
    """
    occurs = np.flatnonzero(histogram.sum(axis=0))
    logits, (negatives, positives) = LOGITS[occurs], histogram[:, occurs]

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return negatives @ np.logaddexp(0, scaled) + positives @ np.logaddexp(0, -scaled)

    inside = minimize_scalar(
        lambda log_temperature: loss(np.exp(log_temperature)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    ).x
    return float(min((*TEMPERATURES, np.exp(inside)), key=loss))  # the search never tries the ends


def assess_calibration(
    cases: Iterable[Case], temperature: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge the temperature and the expected Dice on images from which they were not learned.

    Args:
        cases: each image with its mask.
        temperature: from ``learn_temperature``.

    Returns:
        The table of ``reliability``.
        The expected Dice of each image: columns ``id`` and ``EXPECTED``.
    """
    pooled, rows = np.zeros((2, FLOAT16_LEVELS.size), np.int64), []
    for image_id, label, probability, mask, _ in cases:
        assert mask is not None  # images that are scored have one
        pooled += probability_histogram(probability, label)
        mask_histogram = probability_histogram(probability, where_labelled(mask, label))
        rows.append({"id": image_id, **expected_dice(mask_histogram, temperature)})
    return reliability(pooled, temperature), pd.DataFrame(rows, columns=["id", *EXPECTED])


def reliability(histogram: np.ndarray, temperature: float) -> pd.DataFrame:
    """How often pixels of each probability are foreground, before and after calibration.

    Args:
        histogram: (2, 15361) ``int64`` from ``probability_histogram``.
        temperature: from ``learn_temperature``.

    Returns:
        One row for each kind of probabilities (column ``probabilities``: raw or calibrated) and bin
        of the calibration error: ``low`` and ``high``, its ends; ``pixels``; ``mean_probability``
        and ``frequency`` (share of foreground) of its pixels, NaN in a bin without pixels.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    tables = []
    for name, levels in (
        ("raw", FLOAT16_LEVELS.astype(np.float64)),
        ("calibrated", calibrated_levels(temperature)),
    ):
        sums = pd.DataFrame(
            {"pixels": histogram.sum(axis=0), "foreground": histogram[1]}, index=levels
        )
        sums["probability"] = sums["pixels"] * levels
        bins = sums.groupby(calibration_bins(levels)).sum().reindex(range(CALIBRATION_BINS))
        pixels = bins["pixels"].fillna(0).astype(np.int64)
        tables.append(
            pd.DataFrame(
                {
                    "probabilities": name,
                    "low": edges[:-1],
                    "high": edges[1:],
                    "pixels": pixels,
                    "mean_probability": bins["probability"] / pixels,
                    "frequency": bins["foreground"] / pixels,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def expected_dice(histogram: np.ndarray, temperature: float) -> dict[str, float]:
    """The Dice to expect of a mask without a label.

    A pixel of calibrated probability q is foreground in a share q of the possible labels. The
    expected number of pixels that a mask M has in common with the label is therefore the sum of q
    in M, and that of the label's pixels the sum of all q. The Dice of these expected counts,
    2 sum_M q / (|M| + sum q), stands for the expected Dice, as in the expected F-measure of Ye et
    al., "Optimizing F-measures: a tale of two approaches", ICML 2012. The ratio of expectations is
    not the expectation of the ratio, but close to it where an image has many pixels. It knows no
    more than the network does: on images unlike those of the training, where a network is wrong
    and sure, it promises too much.

    Args:
        histogram: (2, 15361) ``int64`` from ``probability_histogram``, with the mask in place of
            the label.
        temperature: from ``learn_temperature``.

    Returns:
        ``EXPECTED``, each 0 to 1: foreground, background, and their mean. A class that the mask
        does not have, and of which less than half a pixel is expected, is NaN and left out of the
        mean.
    """
    outside, inside = histogram
    probability = calibrated_levels(temperature)
    foreground = _soft_dice(inside, outside, probability)
    background = _soft_dice(outside, inside, 1 - probability)
    defined = [value for value in (foreground, background) if not np.isnan(value)]
    values = (foreground, background, float(np.mean(defined)))
    return dict(zip(EXPECTED, values, strict=True))


def _soft_dice(inside: np.ndarray, outside: np.ndarray, probability: np.ndarray) -> float:
    """Dice of the expected counts of a class, from the pixels inside and outside its mask."""
    pixels, common = inside.sum(), inside @ probability
    expected = common + outside @ probability
    if pixels == 0 and expected < 0.5:
        return float("nan")
    return float(2 * common / (pixels + expected))
