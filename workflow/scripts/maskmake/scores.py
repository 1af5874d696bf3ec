"""Numbers from masks and probabilities.

A score that would compare nothing with nothing (0/0, such as the foreground Dice of an empty mask
against an empty label) is NaN, and means over images leave it out.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage import measure
from skimage.metrics import contingency_table
from skimage.segmentation import find_boundaries, watershed

PIXEL_SCORES = (
    "pixel_accuracy",
    "majority_accuracy",
    "precision",
    "recall",
    "foreground_dice",
    "foreground_iou",
    "background_dice",
    "background_iou",
)
OBJECT_SCORES = ("boundary_f1", "v_rand", "v_info", "v_split", "v_merge")
SCORES = (*PIXEL_SCORES, "average_precision", *OBJECT_SCORES, "ece", "brier")

# The float16 numbers from 0 to 1 in ascending order: their bit patterns ascend with their value.
FLOAT16_LEVELS = np.arange(np.float16(1).view(np.uint16) + 1, dtype=np.uint16).view(np.float16)

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


def pixel_scores(counts: Confusion) -> dict[str, float]:
    """Scores of ``PIXEL_SCORES``, each 0 to 1 or, where it is 0/0, NaN.

    ``majority_accuracy`` is the accuracy of predicting the label's more frequent class everywhere.
    """
    tp, fp, fn, tn = counts
    total = sum(counts)
    values = {
        "pixel_accuracy": _ratio(tp + tn, total),
        "majority_accuracy": _ratio(max(tp + fn, fp + tn), total),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "foreground_dice": foreground_dice(counts),
        "foreground_iou": _ratio(tp, tp + fp + fn),
        "background_dice": background_dice(counts),
        "background_iou": _ratio(tn, tn + fp + fn),
    }
    return {name: float(value) for name, value in values.items()}


def foreground_dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient of label 1, in the shape of the counts; NaN without any such pixel."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def background_dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient of label 0, in the shape of the counts; NaN without any such pixel."""
    return _ratio(2 * counts.tn, 2 * counts.tn + counts.fp + counts.fn)


def _ratio(numerator, denominator) -> np.ndarray:
    undefined = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)


def thin_borders(mask: np.ndarray) -> np.ndarray:
    """Grow the segments of a mask until only lines of one pixel divide them.

    The segments are the 4-connected components of the mask. They grow over the rest of the image in
    the order of the distance to the mask, so that a line lies midway between its segments; where
    only one segment borders, no line remains.

    Args:
        mask: (H, W) bool, True inside a segment.

    Returns:
        (H, W) ``int32``: 1, 2, ... in the segments, 0 on the lines; 0 everywhere if the mask is
        empty.
    """
    segments = measure.label(mask, connectivity=1).astype(np.int32)
    distance = ndimage.distance_transform_edt(~mask)
    return watershed(distance, segments, connectivity=1, watershed_line=True)


def rand_and_information(mask: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Foreground-restricted Rand and information scores after thinning the mask's borders.

    The scores of the ISBI-2012 challenge: Arganda-Carreras et al., "Crowdsourcing the creation of
    image segmentation algorithms for connectomics", Front. Neuroanat. 9:142, 2015. The truth is
    the 4-connected components of the label, the proposal those of the mask with its borders
    thinned. Only pixels inside a true segment count; each of them that lies on a line of the
    proposal is a segment of its own.

    Args:
        mask: (H, W) bool, True inside a segment.
        label: (H, W) ``uint8``, 1 inside a segment, 0 between segments.

    Returns:
        v_rand, v_info, v_split (low where true segments are split) and v_merge (low where they are
        merged), each 0 to 1. All are NaN if the label has no segment. An empty mask has each pixel
        as a segment of its own: v_merge 1, v_split near 0. A full mask is one segment: v_split 1.
        v_info is 0 where either side is one segment and the other is not, and 1 where both are.
    """
    truth = measure.label(label > 0, connectivity=1)
    table = contingency_table(truth, thin_borders(mask), sparse_type="array")[1:]
    pixels = table.sum()
    if pixels == 0:
        return dict.fromkeys(("v_rand", "v_info", "v_split", "v_merge"), np.nan)
    true_sizes, sizes = table.sum(axis=1), table[:, 1:].sum(axis=0)
    overlaps = table[:, 1:].data
    lines = pixels - overlaps.sum()

    true_pairs = true_sizes @ true_sizes
    pairs = sizes @ sizes + lines
    common_pairs = overlaps @ overlaps + lines

    entropy_of_lines = lines / pixels * np.log(pixels)
    entropies = _entropy(true_sizes, pixels) + _entropy(sizes, pixels) + entropy_of_lines
    joint_entropy = _entropy(overlaps, pixels) + entropy_of_lines
    information = max(0.0, entropies - joint_entropy)
    return {
        "v_rand": float(2 * common_pairs / (true_pairs + pairs)),
        "v_info": float(2 * information / entropies) if entropies > 0 else 1.0,
        "v_split": float(common_pairs / true_pairs),
        "v_merge": float(common_pairs / pairs),
    }


def _entropy(counts: np.ndarray, total: float) -> float:
    shares = counts[counts > 0] / total
    return float(-(shares * np.log(shares)).sum())


def boundary_f1(mask: np.ndarray, label: np.ndarray, tolerance: float = 2) -> float:
    """F1 score of the mask's border against the label's.

    A border pixel is a foreground pixel with one of its four neighbours in the background; the edge
    of the image is no border. Precision is the share of the mask's border pixels that lie within
    the tolerance of the label's border, recall the share of the label's within the tolerance of the
    mask's. From Csurka et al., "What is a good evaluation measure for semantic segmentation?",
    BMVC 2013, after Martin et al., IEEE TPAMI 26(5), 2004; unlike Martin et al. without
    one-to-one matching.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0 or 1.
        tolerance: Euclidean distance in pixels.

    Returns:
        0 to 1; 0 if only one of the two has a border, NaN if neither has.
    """
    border = find_boundaries(mask, connectivity=1, mode="inner")
    true_border = find_boundaries(label > 0, connectivity=1, mode="inner")
    if not border.any() and not true_border.any():
        return float("nan")
    if not border.any() or not true_border.any():
        return 0.0
    precision = np.mean(ndimage.distance_transform_edt(~true_border)[border] <= tolerance)
    recall = np.mean(ndimage.distance_transform_edt(~border)[true_border] <= tolerance)
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


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


def probability_scores(histogram: np.ndarray) -> dict[str, float]:
    """Scores of probabilities, without any threshold.

    Args:
        histogram: (2, 15361) ``int64`` of ``probability_histogram``.

    Returns:
        average_precision: sum over thresholds of (R_n - R_(n-1)) P_n, pixels of one probability
            taken together; NaN without foreground.
        ece: expected calibration error of the foreground probability: the mean distance of the
            foreground's frequency from the mean probability in 15 bins of equal width, weighted by
            their pixels (Naeini et al., AAAI 2015; Guo et al., ICML 2017, there for the confidence
            in the predicted class).
        brier: mean squared difference of probability and label.
    """
    levels = FLOAT16_LEVELS.astype(np.float64)
    negatives, positives = histogram
    counts = negatives + positives
    bins = np.maximum(np.ceil(levels * CALIBRATION_BINS).astype(int) - 1, 0)
    gaps = np.bincount(bins, weights=positives - levels * counts)
    squares = negatives @ levels**2 + positives @ (1 - levels) ** 2
    return {
        "average_precision": _average_precision(negatives, positives),
        "ece": float(_ratio(np.abs(gaps).sum(), counts.sum())),
        "brier": float(_ratio(squares, counts.sum())),
    }


def _average_precision(negatives: np.ndarray, positives: np.ndarray) -> float:
    if not positives.any():
        return float("nan")
    occurs = (negatives + positives > 0)[::-1]
    fp = np.cumsum(negatives[::-1])[occurs]
    tp = np.cumsum(positives[::-1])[occurs]
    recall = tp / positives.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * tp / (tp + fp)))


def score_card(
    cases: Iterable[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[dict[str, float], pd.DataFrame]:
    """Score the masks of a set of images, in one pass with one image in memory at a time.

    Args:
        cases: id, mask (H, W) bool, label (H, W) ``uint8`` 0 or 1 and probability (H, W)
            ``float16`` of each image.

    Returns:
        The scores of the set, in the order of ``SCORES``: pixel and probability scores pooled over
        all pixels, object scores as the mean over the images for which they are defined.
        The scores of each image: a table with the columns ``id`` and ``SCORES``.
    """
    rows = []
    pooled_counts = Confusion()
    pooled_histogram = np.zeros((2, FLOAT16_LEVELS.size), np.int64)
    for image_id, mask, label, probability in cases:
        counts = confusion(mask, label)
        histogram = probability_histogram(probability, label)
        objects = {"boundary_f1": boundary_f1(mask, label), **rand_and_information(mask, label)}
        rows.append({"id": image_id, **_in_order(counts, histogram, objects)})
        pooled_counts += counts
        pooled_histogram += histogram
    per_image = pd.DataFrame(rows, columns=["id", *SCORES])
    means = per_image[list(OBJECT_SCORES)].astype(float).mean().to_dict()
    return _in_order(pooled_counts, pooled_histogram, means), per_image


def _in_order(counts: Confusion, histogram: np.ndarray, objects: dict) -> dict[str, float]:
    values = {**pixel_scores(counts), **probability_scores(histogram), **objects}
    return {name: values[name] for name in SCORES}
