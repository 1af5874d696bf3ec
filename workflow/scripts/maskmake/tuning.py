"""How the decision that turns probabilities into masks is learned on validation images."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure

from maskmake.decision import (
    HOLE_CONNECTIVITY,
    OBJECT_CONNECTIVITY,
    Decision,
    apply_decision,
    fill_holes,
    remove_objects,
)
from maskmake.log import UserError
from maskmake.scores import (
    FLOAT16_LEVELS,
    Confusion,
    background_dice,
    boundary_f1,
    confusion,
    foreground_dice,
    probability_histogram,
    rand_and_information,
)

CURVE_POINTS = 201

# Thresholds tried by an objective that must label each mask anew.
COARSE_LEVELS = np.linspace(0.05, 0.95, 19).astype(np.float16)

# Sizes tried double from the smallest to a share of the largest image, but at least to 256 pixels.
SMALLEST_SIZE = 4
LARGEST_SIZE = 256
LARGEST_SIZE_SHARE = 1 / 1024

# Two levels are tried around the one threshold: the upper at shares of the way from it to 1, with
# the first smallest seed; then the other smallest seeds; then a lower threshold, a share of it.
UPPER_SHARES = (0.7, 0.9, 0.97, 0.99)
SEED_SIZES = (32, 8, 128)
LOWER_SHARES = (0.8,)

# A difference of score too small to matter, and the fewest images whose scatter says more.
TINY = 0.002
FEWEST_IMAGES = 3

Cases = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


def mean_dice(counts: Confusion) -> np.ndarray:
    """Mean of foreground and background Dice, in the shape of the counts.

    Where one of the two is undefined (no pixel of the class in label and mask) it is the other.
    """
    return np.nanmean([foreground_dice(counts), background_dice(counts)], axis=0)


def mean_iou(counts: Confusion) -> np.ndarray:
    """Mean of foreground and background IoU, as ``mean_dice``."""
    dice = np.array([foreground_dice(counts), background_dice(counts)])
    return np.nanmean(dice / (2 - dice), axis=0)


class Objective(NamedTuple):
    """What is maximised.

    Attributes:
        measure: numbers of a mask (H, W) bool against its label that add up over images.
        score: from their sums, 0 to 1 and higher if better; an array if the sums are arrays.
    """

    measure: Callable[[np.ndarray, np.ndarray], tuple]
    score: Callable[[tuple], np.ndarray]


def _mean_of_images(score_image: Callable[[np.ndarray, np.ndarray], float]) -> Objective:
    def measure(mask: np.ndarray, label: np.ndarray) -> tuple[float, int]:
        value = score_image(mask, label)
        return (0.0, 0) if np.isnan(value) else (value, 1)

    def mean(sums: tuple) -> np.ndarray:
        return np.asarray(sums[0] / np.maximum(sums[1], 1))

    return Objective(measure, mean)


PIXEL_OBJECTIVES = {
    "dice": Objective(confusion, lambda sums: mean_dice(Confusion(*sums))),
    "iou": Objective(confusion, lambda sums: mean_iou(Confusion(*sums))),
}
V_RAND = _mean_of_images(lambda mask, label: rand_and_information(mask, label)["v_rand"])
OBJECTIVES = {**PIXEL_OBJECTIVES, "v_rand": V_RAND, "boundary_f1": _mean_of_images(boundary_f1)}


def learn_decision(cases: Cases, objective: str, method: str = "auto") -> dict:
    """Find the decision that scores best on the validation images.

    First the threshold. For ``dice`` and ``iou`` (of the pixels of all images pooled) it is exact:
    every ``float16`` number from 0 to 1 is tried, and the middle of those that share the best score
    is taken. ``v_rand`` and ``boundary_f1`` (means over images) try 19 levels.

    Then smallest object and hole, on a grid of pairs: the mildest pair that is worse than the best
    by no more than one standard error of the difference (jackknife over images), so that a gain
    that the images do not share changes nothing. One or two images have no such error: there any
    gain counts.

    Then two levels around that threshold compete with it, see ``_preferred``.

    Where nothing can be learned a decision still comes out: a constant probability or a label of
    one class gives the threshold that makes everything the better of the two classes. A pixel of
    probability 0 is background at every threshold.

    Args:
        cases: called once for each of several passes, gives probability (H, W) ``float16`` 0 to 1
            and label (H, W) ``uint8`` 0 or 1 of each validation image.
        objective: a key of ``OBJECTIVES``.
        method: one_level, two_level, or auto for the better of the two.

    Returns:
        The contents of ``decision.json`` except ``images``: method; the fields of ``Decision``;
        objective; score (on validation); score_at_half (threshold 0.5, no clean-up) and
        score_uncleaned (best threshold, no clean-up), both of one level; reason (why this method);
        removed (objects and holes that the clean-up removes on validation, true and false ones);
        methods (each decision that competed with its score and v_rand); curve (at most 201
        thresholds and their foreground_dice, background_dice and objective); sizes (each pair
        tried and its score).

    Raises:
        UserError: there is no validation image.
    """
    histogram, largest_image = _pooled_histogram(cases())
    if largest_image == 0:
        raise UserError(
            "split.validation: the split has no validation image, but the threshold is learned on "
            "at least one; raise split.validation or set split.folds above 1."
        )
    threshold, at_thresholds = _learn_threshold(cases, objective, histogram)
    cleaned, at_sizes = _learn_sizes(cases, objective, threshold, _size_grid(largest_image))
    chosen, competition = _learn_method(cases, objective, method, cleaned)
    return {
        "method": chosen.method,
        **asdict(chosen),
        "objective": objective,
        **at_thresholds,
        **competition,
        "removed": _count_removed(cases(), chosen),
        "sizes": at_sizes,
    }


def _measure(cases: Iterable, decisions: list[Decision], *objectives: Objective) -> list:
    """For each objective the numbers (image, number, decision) of each decision's masks."""
    images = []
    for probability, label in cases:
        masks = (apply_decision(probability, decision) for decision in decisions)
        images.append([[each.measure(mask, label) for each in objectives] for mask in masks])
    return [
        np.array([[numbers[place] for numbers in image] for image in images]).swapaxes(1, 2)
        for place in range(len(objectives))
    ]


def _error_of_differences(numbers: np.ndarray, objective: Objective, best: int) -> np.ndarray:
    """Standard error of the distance from the best score, by jackknife over images (Efron 1982).

    It is 0 for fewer images than say anything.
    """
    if len(numbers) < FEWEST_IMAGES:
        return np.zeros(numbers.shape[2])
    others = numbers.sum(axis=0) - numbers
    scores = np.array([objective.score(tuple(sums)) for sums in others])
    losses = np.nan_to_num(scores[:, [best]] - scores)
    return np.sqrt((len(numbers) - 1) * losses.var(axis=0))


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


def _learn_threshold(cases: Cases, name: str, histogram: np.ndarray) -> tuple[float, dict]:
    """Best threshold without clean-up, and what ``decision.json`` tells about thresholds."""
    at_level = _confusion_at_levels(histogram)
    if name in PIXEL_OBJECTIVES:
        tried = np.arange(FLOAT16_LEVELS.size)
        scores = OBJECTIVES[name].score(at_level)
        even = np.searchsorted(
            FLOAT16_LEVELS, np.linspace(0, 1, CURVE_POINTS - 1).astype(np.float16)
        )
    else:
        tried = even = np.searchsorted(FLOAT16_LEVELS, COARSE_LEVELS)
        decisions = [Decision(float(level), 0, 0) for level in COARSE_LEVELS]
        (numbers,) = _measure(cases(), decisions, OBJECTIVES[name])
        scores = OBJECTIVES[name].score(tuple(numbers.sum(axis=0)))
    best = tried[_middle_of_best(scores, FLOAT16_LEVELS[tried])]
    half = np.searchsorted(FLOAT16_LEVELS, np.float16(0.5))
    points = np.union1d(even, best)
    at_points = dict(zip(tried, scores, strict=True))
    return float(FLOAT16_LEVELS[best]), {
        "score_at_half": float(at_points[half]),
        "score_uncleaned": float(at_points[best]),
        "curve": {
            "threshold": FLOAT16_LEVELS[points].astype(float).tolist(),
            "foreground_dice": foreground_dice(at_level)[points].tolist(),
            "background_dice": background_dice(at_level)[points].tolist(),
            "objective": [float(at_points[point]) for point in points],
        },
    }


def _middle_of_best(scores: np.ndarray, levels: np.ndarray) -> int:
    """Level in the middle of the run of best scores; of several runs the one nearest to 0.5."""
    steps = np.diff((scores == np.nanmax(scores)).astype(np.int8), prepend=0, append=0)
    first = levels[np.flatnonzero(steps == 1)]
    last = levels[np.flatnonzero(steps == -1) - 1]
    middles = (first.astype(np.float64) + last) / 2
    middle = middles[np.abs(middles - 0.5).argmin()]
    return int(np.abs(levels - middle).argmin())


def _learn_sizes(
    cases: Cases, name: str, threshold: float, sizes: np.ndarray
) -> tuple[Decision, list[dict]]:
    """The mildest good clean-up at a threshold, and each pair of sizes tried with its score."""
    objective = OBJECTIVES[name]
    if name not in PIXEL_OBJECTIVES:
        sizes = sizes[::2]
    pairs = [Decision(threshold, int(a), int(b)) for a, b in product(sizes, sizes)]
    if name in PIXEL_OBJECTIVES:
        numbers = _confusion_at_sizes(cases(), threshold, sizes)
    else:
        (numbers,) = _measure(cases(), pairs, objective)
    scores = objective.score(tuple(numbers.sum(axis=0)))
    best = int(np.nanargmax(scores))
    good = scores >= scores[best] - _error_of_differences(numbers, objective, best)
    mildest = min(np.flatnonzero(good), key=lambda i: pairs[i].min_object + pairs[i].min_hole)
    return pairs[mildest], [
        {"min_object": pair.min_object, "min_hole": pair.min_hole, "score": float(score)}
        for pair, score in zip(pairs, scores, strict=True)
    ]


def _size_grid(largest_image: int) -> np.ndarray:
    largest = max(LARGEST_SIZE, largest_image * LARGEST_SIZE_SHARE)
    doublings = int(np.log2(largest / SMALLEST_SIZE))
    return np.concatenate([[0], SMALLEST_SIZE * 2 ** np.arange(doublings + 1)])


def _confusion_at_sizes(cases: Iterable, threshold: float, sizes: np.ndarray) -> np.ndarray:
    """Counts (image, field of ``Confusion``, pair of sizes) of the cleaned masks.

    Removing an object changes the hole around it, so the holes are labelled anew for each smallest
    object. Filling a hole changes no other, so one labelling serves every smallest hole.
    """
    counts = []
    for probability, label in cases:
        mask = probability > threshold
        rows = [_confusion_at_holes(remove_objects(mask, size), label, sizes) for size in sizes]
        counts.append(np.concatenate(rows, axis=1))
    return np.array(counts)


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


class _Rival(NamedTuple):
    decision: Decision
    score: float
    v_rand: float
    numbers: np.ndarray  # (image, number) of the objective


def _rivals(cases: Iterable, decisions: list[Decision], objective: Objective) -> list[_Rival]:
    numbers, segments = _measure(cases, decisions, objective, V_RAND)
    scores = objective.score(tuple(numbers.sum(axis=0)))
    v_rand = V_RAND.score(tuple(segments.sum(axis=0)))
    each = zip(decisions, scores.tolist(), v_rand.tolist(), np.moveaxis(numbers, 2, 0), strict=True)
    return [_Rival(*rival) for rival in each]


def _preferred(rivals: list[_Rival], objective: Objective) -> _Rival:
    """The decision that separates objects best among those that cost nothing to speak of.

    Left in are those whose score is below the best by no more than one standard error of the
    difference, or than 0.002 where that is more. Of these the ones of the highest V-Rand remain, to
    within 0.002, and of these one level is taken before two, then the best score. So where objects
    do not touch, two levels gain no V-Rand and one level stays.
    """
    best = int(np.argmax([rival.score for rival in rivals]))
    numbers = np.stack([rival.numbers for rival in rivals], axis=2)
    margins = np.maximum(_error_of_differences(numbers, objective, best), TINY)
    lowest = rivals[best].score - margins
    close = [rival for rival, low in zip(rivals, lowest, strict=True) if rival.score >= low]
    apart = max(rival.v_rand for rival in close) - TINY
    separated = [rival for rival in close if rival.v_rand >= apart]
    return max(separated, key=lambda rival: (rival.decision.upper is None, rival.score))


def _learn_method(
    cases: Cases, name: str, method: str, one_level: Decision
) -> tuple[Decision, dict]:
    """Let two levels compete with one; also the score, the reason and all that competed."""
    objective = OBJECTIVES[name]
    one = _rivals(cases(), [one_level], objective)
    two = [] if method == "one_level" else _learn_two_levels(cases, objective, one_level)
    chosen = _preferred(two if method == "two_level" else one + two, objective)
    return chosen.decision, {
        "score": chosen.score,
        "reason": _reason(name, method, one[0], two, chosen),
        "methods": [
            {
                "method": rival.decision.method,
                **asdict(rival.decision),
                "score": rival.score,
                "v_rand": rival.v_rand,
            }
            for rival in one + two
        ],
    }


def _learn_two_levels(cases: Cases, objective: Objective, one_level: Decision) -> list[_Rival]:
    """All two levels tried: one line of search after the other, each from the best so far."""
    threshold, rivals = one_level.threshold, []
    uppers = [threshold + share * (1 - threshold) for share in UPPER_SHARES]
    lines = (
        [{"upper": float(np.float16(level))} for level in uppers],
        [{"min_seed": size} for size in SEED_SIZES[1:]],
        [{"threshold": float(np.float16(share * threshold))} for share in LOWER_SHARES],
    )
    best = replace(one_level, min_seed=SEED_SIZES[0])
    for line in lines:
        decisions = [replace(best, **change) for change in line]
        rivals += _rivals(cases(), decisions, objective)
        best = _preferred(rivals, objective).decision
    return rivals


def _reason(name: str, method: str, one: _Rival, two: list[_Rival], chosen: _Rival) -> str:
    """Why this method, in a sentence."""
    if method != "auto":
        return f"decide.method asks for {method}."
    other = max(two, key=lambda rival: rival.v_rand) if chosen is one else chosen
    scores = (
        f"{name} {one.score:.4f} with one level, {other.score:.4f} with two; "
        f"v_rand {one.v_rand:.4f} and {other.v_rand:.4f}"
    )
    if chosen is not one:
        return f"Two levels separate objects that touch and cost nothing to speak of: {scores}."
    if other.v_rand <= one.v_rand + TINY:
        return f"Two levels separate objects no better than one: {scores}."
    return f"Two levels separate objects better, but their masks score lower: {scores}."


def _count_removed(cases: Iterable, decision: Decision) -> dict[str, int]:
    """What the clean-up takes away: objects and holes that the label has, and that it has not.

    A piece is true if at least half of its pixels are of its class in the label.
    """
    names = ("objects_true", "objects_false", "holes_true", "holes_false")
    removed = np.zeros(len(names), int)
    for probability, label in cases:
        mask = probability > decision.threshold
        kept = remove_objects(mask, decision.min_object)
        objects = _shares(mask & ~kept, label > 0, OBJECT_CONNECTIVITY)
        holes = _shares(fill_holes(kept, decision.min_hole) & ~kept, label == 0, HOLE_CONNECTIVITY)
        for place, shares in ((0, objects), (2, holes)):
            removed[place : place + 2] += [(shares >= 0.5).sum(), (shares < 0.5).sum()]
    return dict(zip(names, removed.tolist(), strict=True))


def _shares(pieces: np.ndarray, truth: np.ndarray, connectivity: int) -> np.ndarray:
    """Share of each component's pixels that are in the truth."""
    labels = measure.label(pieces, connectivity=connectivity).ravel()
    pixels, true = np.bincount(labels), np.bincount(labels, weights=truth.ravel())
    return true[1:] / pixels[1:]
