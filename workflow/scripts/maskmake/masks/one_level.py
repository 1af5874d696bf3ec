"""How one threshold and the clean-up of its masks are learned together."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple, cast

import numpy as np

from maskmake.data.object_class import ObjectName
from maskmake.masks.components import REMOVED, clean_up_counts
from maskmake.masks.decision import (
    CleanUp,
    Curve,
    Decision,
    LearnedOneLevel,
    Removed,
    other_level,
)
from maskmake.masks.objectives import (
    MIN_GROUPS_FOR_ERROR,
    OBJECTIVE_NAMES,
    OBJECTIVES,
    PIXEL_OBJECTIVES,
    Objective,
    digits_to_show,
    error_of_differences,
    group_of,
    measure_decisions,
    sums_of_groups,
)
from maskmake.scores.cases import Case, Cases
from maskmake.scores.pixels import Confusion, background_dice, foreground_dice
from maskmake.scores.probabilities import FLOAT16_LEVELS, probability_histogram

CURVE_POINTS = 201  # and one more if the clean-up moves the threshold

# Thresholds that are tried where an objective has to label each mask again.
COARSE_LEVELS = np.linspace(0.05, 0.95, 19).astype(np.float16)

# With clean-up the best threshold without it is tried, and this many others, evenly spaced over
# those whose score is lower by at most ``KEPT_LOSS``.
KEPT_LEVELS = 5
KEPT_LOSS = 0.02

# Where an objective has to label each mask again, only every second one of more sizes is tried.
MOST_SIZES = 5


class _Sweep(NamedTuple):
    """Everything tried: a threshold, a smallest object and a smallest hole each.

    Attributes:
        decisions: what was tried.
        numbers: (group, number of the objective, decision).
        removed: (decision, 4), pieces that each clean-up removes or fills, as ``REMOVED``.
    """

    decisions: list[Decision]
    numbers: np.ndarray
    removed: np.ndarray


def learn_one_level(
    cases: Cases, name: str, histogram: np.ndarray, sizes: Sequence[int], objects: ObjectName
) -> tuple[Decision, LearnedOneLevel]:
    """The best threshold, or one with the mildest clean-up that pays; see ``learn_decision``.

    Args:
        cases: as for ``learn_decision``.
        name: a key of ``OBJECTIVES``.
        histogram: (2, 15361) of all cases, from ``pooled_histogram``.
        sizes: see ``learn_decision``.
        objects: the class that is foreground in the cases, for the levels in the reason.

    Returns:
        The decision, and what ``decision.json`` says about it.
    """
    levels, scores = _score_levels(cases, name, histogram)
    best = _middle_of_best(scores, levels)
    uncleaned = float(levels[best])
    kept = _kept_levels(scores, levels, best)
    sweep = _sweep_sizes(cases, name, kept, np.array([0, *sizes]))
    chosen, clean_up = _choose(sweep, OBJECTIVES[name], uncleaned)
    decision = sweep.decisions[chosen]
    at_sizes = OBJECTIVES[name].score(tuple(sweep.numbers.sum(axis=0)))
    half = np.flatnonzero(levels == np.float16(0.5))[0]
    return decision, {
        "score_at_half": float(scores[half]),
        "threshold_uncleaned": uncleaned,
        "score_uncleaned": float(scores[best]),
        "curve": _curve(histogram, levels, scores, [uncleaned, decision.threshold]),
        "removed": _by_kind(sweep.removed[chosen]),
        "clean_up": clean_up,
        "clean_up_reason": _reason(
            decision, clean_up, name, sweep.decisions[-1].min_object, objects
        ),
        "sizes": [
            {
                "min_object": tried.min_object,
                "min_hole": tried.min_hole,
                "score": float(at_sizes[place]),
                **_by_kind(sweep.removed[place]),
            }
            for place, tried in enumerate(sweep.decisions)
            if tried.threshold == decision.threshold
        ],
    }


def _by_kind(removed: np.ndarray) -> Removed:
    return cast(Removed, dict(zip(REMOVED, removed.tolist(), strict=True)))


def pooled_histogram(cases: Iterable[Case]) -> np.ndarray:
    """Histogram of all cases."""
    pooled = np.zeros((2, FLOAT16_LEVELS.size), np.int64)
    for case in cases:
        pooled += probability_histogram(case.probability, case.label)
    return pooled


def _confusion_at_levels(histogram: np.ndarray) -> Confusion:
    """Counts of the mask "above the level" for each of ``FLOAT16_LEVELS``."""
    tn, fn = np.cumsum(histogram, axis=1)
    return Confusion(tp=fn[-1] - fn, fp=tn[-1] - tn, fn=fn, tn=tn)


def _score_levels(cases: Cases, name: str, histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds, ascending, and their scores without clean-up."""
    objective = OBJECTIVES[name]
    if name in PIXEL_OBJECTIVES:
        return FLOAT16_LEVELS, objective.score(_confusion_at_levels(histogram))
    decisions = [Decision(float(level), 0, 0) for level in COARSE_LEVELS]
    numbers = measure_decisions(cases(), decisions, objective)
    return COARSE_LEVELS, objective.score(tuple(numbers.sum(axis=0)))


def _middle_of_best(scores: np.ndarray, levels: np.ndarray) -> int:
    """Level in the middle of the best scores in a row; of several rows the one nearest to 0.5."""
    steps = np.diff((scores == np.nanmax(scores)).astype(np.int8), prepend=0, append=0)
    first = levels[np.flatnonzero(steps == 1)]
    last = levels[np.flatnonzero(steps == -1) - 1]
    middles = (first.astype(np.float64) + last) / 2
    middle = middles[np.abs(middles - 0.5).argmin()]
    return int(np.abs(levels - middle).argmin())


def _kept_levels(scores: np.ndarray, levels: np.ndarray, best: int) -> np.ndarray:
    """The best threshold and others that a clean-up could make better than it."""
    close = levels[scores >= scores[best] - KEPT_LOSS].astype(np.float64)
    even = np.linspace(close.min(), close.max(), KEPT_LEVELS)
    nearest = np.abs(levels.astype(np.float64) - even[:, None]).argmin(axis=1)
    return levels[np.union1d(nearest, best)]


def _curve(
    histogram: np.ndarray, levels: np.ndarray, scores: np.ndarray, marked: list[float]
) -> Curve:
    """At most 202 of the thresholds and their scores without clean-up, including the marked."""
    even = np.linspace(0, 1, CURVE_POINTS - 1).astype(np.float16)
    shown = np.union1d(even if len(levels) > CURVE_POINTS else levels, np.array(marked, np.float16))
    points = np.flatnonzero(np.isin(levels, shown))
    at_level = _confusion_at_levels(histogram)
    places = np.searchsorted(FLOAT16_LEVELS, levels[points])
    return {
        "threshold": levels[points].astype(float).tolist(),
        "foreground_dice": foreground_dice(at_level)[places].tolist(),
        "background_dice": background_dice(at_level)[places].tolist(),
        "objective": scores[points].tolist(),
    }


def _sweep_sizes(cases: Cases, name: str, levels: np.ndarray, sizes: np.ndarray) -> _Sweep:
    """Try every pair of sizes at every threshold; each mask is labelled once."""
    if name not in PIXEL_OBJECTIVES and len(sizes) > 1 + MOST_SIZES:
        sizes = sizes[::2]
    decisions = [
        Decision(float(level), int(a), int(b)) for level, a, b in product(levels, sizes, sizes)
    ]
    counts_by_image, groups = [], []
    removed = np.zeros((len(REMOVED), len(decisions)), np.int64)
    for case in cases():
        swept = [clean_up_counts(case.probability > level, case.label, sizes) for level in levels]
        counts_by_image.append(
            np.stack([np.array(counts) for counts, _ in swept], axis=1).reshape(4, -1)
        )
        groups.append(group_of(case))
        removed += np.stack([pieces for _, pieces in swept], axis=1).reshape(4, -1)
    if name in PIXEL_OBJECTIVES:
        numbers = sums_of_groups(np.array(counts_by_image), groups)
    else:
        numbers = measure_decisions(cases(), decisions, OBJECTIVES[name])
    return _Sweep(decisions, numbers, removed.T)


def _choose(sweep: _Sweep, objective: Objective, uncleaned: float) -> tuple[int, CleanUp | None]:
    """The place of the decision in the sweep, and the numbers of the clean-up that explain it.

    A clean-up pays if it scores higher than the best threshold without any, and higher than its own
    threshold without it, each time by more than the standard error of that difference. If none
    pays, the best threshold stays as it is. Otherwise the mildest is taken of those within one
    standard error of the best that pays. The first one in the order of scores that is farther away
    ends the list, so that no worse one comes in because it is less sure. Every gain is larger than
    its error, so what is taken scores higher than the best threshold without clean-up.

    With probabilities made from labels of dsb2018_fluo256, specks among them, and 48 draws of 4 or
    8 validation images, the mean Dice of ten other images is 0.9402; it is 0.9340 if all are let in
    that lose no more than the standard error of the best one's gain.

    Of equally mild ones the one with the highest score is taken, then the one whose threshold is
    nearest to the best without clean-up.
    """
    scores = objective.score(tuple(sweep.numbers.sum(axis=0)))
    thresholds = np.array([tried.threshold for tried in sweep.decisions])
    mild = np.array([tried.min_object + tried.min_hole for tried in sweep.decisions])
    # At each threshold the first pair of sizes is no clean-up.
    without = np.searchsorted(thresholds, thresholds)
    none = int(np.searchsorted(thresholds, uncleaned))
    errors = error_of_differences(sweep.numbers, objective.score, none)
    own_errors = np.concatenate(
        [
            error_of_differences(sweep.numbers[:, :, thresholds == level], objective.score, 0)
            for level in np.unique(thresholds)
        ]
    )
    pays = (scores - scores[none] > errors) & (scores - scores[without] > own_errors)

    def clean_up(place: int) -> CleanUp:
        tried, known = sweep.decisions[place], len(sweep.numbers) >= MIN_GROUPS_FOR_ERROR
        return {
            "threshold": tried.threshold,
            "min_object": tried.min_object,
            "min_hole": tried.min_hole,
            "score_with": float(scores[place]),
            "score_without": float(scores[without[place]]),
            "error": float(own_errors[place]) if known else None,
            **_by_kind(sweep.removed[place]),
        }

    if pays.any():
        best = max(np.flatnonzero(pays), key=lambda place: scores[place])
        lost = scores[best] - scores
        worse = pays & (lost > error_of_differences(sweep.numbers, objective.score, int(best)))
        close = np.flatnonzero(pays & (lost < lost[worse].min(initial=np.inf)))
        nearness = np.abs(thresholds - uncleaned)
        order = np.lexsort((nearness[close], -scores[close], mild[close]))
        chosen = int(close[order[0]])
        return chosen, clean_up(chosen)
    useful = np.flatnonzero((without == none) & sweep.removed[:, [1, 3]].any(axis=1))
    if not len(useful):
        return none, None
    order = np.lexsort((mild[useful], -scores[useful]))
    return none, clean_up(int(useful[order[0]]))


def _reason(
    chosen: Decision, found: CleanUp | None, name: str, largest: int, objects: ObjectName
) -> str:
    """Why this clean-up, or why none, in a sentence about one threshold.

    Args:
        chosen: the decision.
        found: the numbers of its clean-up or, without one, of the best that was not taken.
        name: of the objective.
        largest: the largest smallest object or hole that was tried, 0 for none.
        objects: their class; the sentence gives the threshold of foreground.
    """
    threshold = f"{other_level(found['threshold'] if found else chosen.threshold, objects):.3f}"
    if not largest:
        return "No clean-up: decide.sizes has no size."
    if found is None:
        return (
            f"No clean-up: at threshold {threshold} no object or hole smaller than "
            f"{largest} pixels is false."
        )
    gain, title = found["score_with"] - found["score_without"], OBJECTIVE_NAMES[name]
    digits = digits_to_show(gain)
    error = (
        f"not known from fewer than {MIN_GROUPS_FOR_ERROR} images or groups"
        if found["error"] is None
        else f"{found['error']:.{max(digits, digits_to_show(found['error']))}f}"
    )
    if chosen.min_object or chosen.min_hole:
        return (
            f"The clean-up pays: at threshold {threshold} {title} is "
            f"{found['score_with']:.{digits}f} with it, {found['score_without']:.{digits}f} "
            f"without; the standard error of this gain is {error}."
        )
    false = found["objects_false"] + found["holes_false"]
    true = found["objects_true"] + found["holes_true"]
    because = f"no more than its standard error of {error}" if gain > 0 else "no gain"
    return (
        f"No clean-up: at threshold {threshold} the best one that takes anything "
        f"false ({_sizes(found)}) takes away {false} false and {true} true components and changes "
        f"{title} by {gain:+.{digits}f}, {because}."
    )


def _sizes(found: CleanUp) -> str:
    sizes = {"objects": found["min_object"], "holes": found["min_hole"]}
    parts = [f"{kind} below {size}" for kind, size in sizes.items() if size]
    return f"{', '.join(parts)} pixels"
