"""What turns probabilities into masks, and how it is learned on validation images.

A decision is a threshold followed by a clean-up. Objects are 4-connected, as the segments of
``scores.rand_and_information``; holes are 8-connected, so that a diagonal line of background one
pixel wide is one long line and not a row of small holes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import remove_small_holes, remove_small_objects

from maskmake.log import UserError
from maskmake.scores import (
    FLOAT16_LEVELS,
    Confusion,
    background_dice,
    confusion,
    foreground_dice,
    probability_histogram,
)

OBJECT_CONNECTIVITY = 1
HOLE_CONNECTIVITY = 2

CURVE_POINTS = 201

# Sizes tried double from the smallest to a share of the largest image, but at least to 256 pixels.
SMALLEST_SIZE = 4
LARGEST_SIZE = 256
LARGEST_SIZE_SHARE = 1 / 1024

Cases = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Decision:
    """How a probability becomes a mask.

    Attributes:
        threshold: 0 to 1; a pixel above it is foreground.
        min_object: pixels; smaller objects are removed. 0 removes none.
        min_hole: pixels; smaller holes are filled. 0 fills none.
    """

    threshold: float
    min_object: int
    min_hole: int


def apply_decision(probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Turn a probability into a mask: threshold it, remove small objects, then fill small holes.

    A hole is any 8-connected piece of background, one at the edge of the image included.

    Args:
        probability: (H, W) float, 0 to 1.

    Returns:
        (H, W) bool.
    """
    return _fill(_remove(probability > decision.threshold, decision.min_object), decision.min_hole)


def _remove(mask: np.ndarray, min_object: int) -> np.ndarray:
    if min_object == 0:
        return mask
    return remove_small_objects(mask, max_size=min_object - 1, connectivity=OBJECT_CONNECTIVITY)


def _fill(mask: np.ndarray, min_hole: int) -> np.ndarray:
    if min_hole == 0:
        return mask
    return remove_small_holes(mask, max_size=min_hole - 1, connectivity=HOLE_CONNECTIVITY)


def mean_dice(counts: Confusion) -> np.ndarray:
    """Mean of foreground and background Dice, in the shape of the counts.

    Where one of the two is undefined (no pixel of the class in label and mask) it is the other.
    """
    return np.nanmean([foreground_dice(counts), background_dice(counts)], axis=0)


OBJECTIVES = {"dice": mean_dice}


def learn_decision(cases: Cases, objective: str) -> dict:
    """Find the threshold, then the smallest object and hole, that score best on all images pooled.

    The threshold is exact: every ``float16`` number from 0 to 1 is tried, and the middle of those
    that share the best score is taken. Sizes are learned at that threshold on a grid of pairs; the
    clean-up is left out unless it raises the score, and among equals the mildest is taken.

    Where nothing can be learned a decision still comes out: a constant probability or a label of
    one class gives the threshold that makes everything the better of the two classes. A pixel of
    probability 0 is background at every threshold.

    Args:
        cases: called once for each of two passes, gives probability (H, W) ``float16`` 0 to 1 and
            label (H, W) ``uint8`` 0 or 1 of each validation image.
        objective: a key of ``OBJECTIVES``.

    Returns:
        The contents of ``decision.json`` except ``images``: threshold, min_object, min_hole,
        objective, score (on validation), score_at_half (threshold 0.5, no clean-up),
        score_uncleaned (best threshold, no clean-up), curve (at most 201 thresholds and their
        foreground_dice, background_dice and objective), sizes (each pair tried and its score).

    Raises:
        UserError: there is no validation image.
    """
    score = OBJECTIVES[objective]
    histogram, largest_image = _pooled_histogram(cases())
    if largest_image == 0:
        raise UserError(
            "split.validation: the split has no validation image, but the threshold is learned on "
            "at least one; raise split.validation or set split.folds above 1."
        )
    at_level = _confusion_at_levels(histogram)
    scores = score(at_level)
    best = _middle_of_best(scores)
    half = np.searchsorted(FLOAT16_LEVELS, np.float16(0.5))
    threshold = float(FLOAT16_LEVELS[best])

    sizes = _size_grid(largest_image)
    size_scores = score(_confusion_at_sizes(cases(), threshold, sizes))
    chosen_object, chosen_hole = _mildest_best(size_scores, sizes)
    return {
        "threshold": threshold,
        "min_object": int(sizes[chosen_object]),
        "min_hole": int(sizes[chosen_hole]),
        "objective": objective,
        "score": float(size_scores[chosen_object, chosen_hole]),
        "score_at_half": float(scores[half]),
        "score_uncleaned": float(scores[best]),
        "curve": _curve(at_level, scores, best),
        "sizes": [
            {"min_object": int(a), "min_hole": int(b), "score": float(size_scores[i, j])}
            for i, a in enumerate(sizes)
            for j, b in enumerate(sizes)
        ],
    }


def _pooled_histogram(cases: Iterable) -> tuple[np.ndarray, int]:
    """Histogram of all cases, and the pixels of the largest one."""
    pooled, largest = np.zeros((2, FLOAT16_LEVELS.size), np.int64), 0
    for probability, label in cases:
        pooled += probability_histogram(probability, label)
        largest = max(largest, label.size)
    return pooled, largest


def _confusion_at_levels(histogram: np.ndarray) -> Confusion:
    """Counts of the mask "above the level" for each of ``FLOAT16_LEVELS``."""
    tn, fn = np.cumsum(histogram, axis=1)
    return Confusion(tp=fn[-1] - fn, fp=tn[-1] - tn, fn=fn, tn=tn)


def _middle_of_best(scores: np.ndarray) -> int:
    """Level in the middle of the run of best scores; of several runs the one nearest to 0.5."""
    steps = np.diff((scores == np.nanmax(scores)).astype(np.int8), prepend=0, append=0)
    first = FLOAT16_LEVELS[np.flatnonzero(steps == 1)]
    last = FLOAT16_LEVELS[np.flatnonzero(steps == -1) - 1]
    middles = (first.astype(np.float64) + last) / 2
    middle = middles[np.abs(middles - 0.5).argmin()]
    return int(np.abs(FLOAT16_LEVELS - middle).argmin())


def _curve(at_level: Confusion, scores: np.ndarray, best: int) -> dict[str, np.ndarray]:
    even = np.searchsorted(FLOAT16_LEVELS, np.linspace(0, 1, CURVE_POINTS - 1).astype(np.float16))
    points = np.union1d(even, best)
    return {
        "threshold": FLOAT16_LEVELS[points].astype(float).tolist(),
        "foreground_dice": foreground_dice(at_level)[points].tolist(),
        "background_dice": background_dice(at_level)[points].tolist(),
        "objective": scores[points].tolist(),
    }


def _size_grid(largest_image: int) -> np.ndarray:
    largest = max(LARGEST_SIZE, largest_image * LARGEST_SIZE_SHARE)
    doublings = int(np.log2(largest / SMALLEST_SIZE))
    return np.concatenate([[0], SMALLEST_SIZE * 2 ** np.arange(doublings + 1)])


def _confusion_at_sizes(cases: Iterable, threshold: float, sizes: np.ndarray) -> Confusion:
    """Counts of the cleaned masks of all cases, each field (min_object, min_hole) in ``sizes``.

    Removing an object changes the hole around it, so the holes are labelled anew for each smallest
    object. Filling a hole changes no other, so one labelling serves every smallest hole.
    """
    pooled = Confusion(*np.zeros((4, len(sizes), len(sizes)), np.int64))
    for probability, label in cases:
        mask = probability > threshold
        rows = [_confusion_at_holes(_remove(mask, size), label, sizes) for size in sizes]
        pooled += Confusion(*np.stack(rows, axis=1))
    return pooled


def _confusion_at_holes(mask: np.ndarray, label: np.ndarray, sizes: np.ndarray) -> Confusion:
    """Counts of a mask with its holes filled, each field one element for each smallest hole."""
    structure = ndimage.generate_binary_structure(2, HOLE_CONNECTIVITY)
    holes, count = ndimage.label(~mask, structure)
    areas = np.bincount(holes.ravel(), minlength=count + 1)[1:]
    true_areas = np.bincount(holes[label > 0], minlength=count + 1)[1:]
    # A hole is filled at the first size above its area and at all larger ones.
    first = np.searchsorted(sizes, areas, side="right")
    filled, true_filled = (
        np.bincount(first, weights=pixels, minlength=len(sizes) + 1)
        .cumsum()[: len(sizes)]
        .astype(np.int64)
        for pixels in (areas, true_areas)
    )
    false_filled = filled - true_filled
    tp, fp, fn, tn = confusion(mask, label)
    return Confusion(tp + true_filled, fp + false_filled, fn - true_filled, tn - false_filled)


def _mildest_best(scores: np.ndarray, sizes: np.ndarray) -> tuple[int, int]:
    """Place of the best score with the smallest sum of sizes."""
    best = np.argwhere(scores == np.nanmax(scores))
    chosen = best[sizes[best].sum(axis=1).argmin()]
    return int(chosen[0]), int(chosen[1])
