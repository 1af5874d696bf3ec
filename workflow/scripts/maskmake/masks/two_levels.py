"""How the two levels that separate touching objects are learned, and when they are chosen."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_components

from maskmake.data.labels import OBJECT_CONNECTIVITY, SIDES
from maskmake.masks.decision import Decision, draw_lines, grow_seeds, threshold_and_clean
from maskmake.masks.objectives import (
    TINY,
    Objective,
    error_of_differences,
    group_of,
    mean_of_sums,
    sums_of_groups,
)
from maskmake.scores.cases import Case, Cases
from maskmake.scores.objects import SegmentOverlaps
from maskmake.scores.probabilities import FLOAT16_LEVELS

# Two levels are tried around the one threshold: the upper at shares of the way from it to 1, with
# the first smallest seed; then the other smallest seeds; then a lower threshold.
UPPER_SHARES = 1 - 2.0 ** -np.arange(0.5, 6, 0.5)
SEED_SIZES = (32, 8, 128, 512)
LOWER_SHARE = 0.8
# No probability is above 1, so at an upper level of 1 there would be no seed.
HIGHEST_UPPER = FLOAT16_LEVELS[-2]


class Candidate(NamedTuple):
    """A decision that competes.

    Attributes:
        decision: the decision itself.
        score: the objective on validation.
        v_rand: mean V-Rand on validation, nearly that of ``objects.rand_and_information``.
        numbers: (group, number) of the objective.
        v_rands: (group, 2), the sum of the V-Rand of its images, and how many have an object.
    """

    decision: Decision
    score: float
    v_rand: float
    numbers: np.ndarray
    v_rands: np.ndarray


def best_candidate(candidates: list[Candidate], objective: Objective) -> Candidate:
    """The decision that separates objects best, among those with nearly the best score.

    The score may be below the best by one standard error of the difference, or by 0.002 where that
    is more. Among such decisions those within 0.002 of the highest V-Rand remain. Of these, one
    level comes before two, then the best score. So where objects do not touch, two levels gain no
    V-Rand and one level stays.
    """
    close = _of_good_score(candidates, objective)
    apart = max(candidate.v_rand for candidate in close) - TINY
    separated = [candidate for candidate in close if candidate.v_rand >= apart]
    return max(separated, key=lambda candidate: (candidate.decision.upper is None, candidate.score))


def _of_good_score(candidates: list[Candidate], objective: Objective) -> list[Candidate]:
    best = int(np.argmax([candidate.score for candidate in candidates]))
    numbers = np.stack([candidate.numbers for candidate in candidates], axis=2)
    margins = np.maximum(error_of_differences(numbers, objective.score, best), TINY)
    lowest = candidates[best].score - margins
    return [
        candidate
        for candidate, low in zip(candidates, lowest, strict=True)
        if candidate.score >= low
    ]


def _middle_of_plateau(candidates: list[Candidate], objective: Objective) -> Candidate:
    """Of rising upper levels, the middle of those that separate objects as well as the best does.

    "As well" means a V-Rand lower by at most one standard error of the difference, or 0.002. Which
    level is best depends on a few lines in a few images. Beyond one end of the plateau objects
    merge, beyond the other they fall apart; its middle is far from both, also for other images and
    for the mean of several networks.
    """
    close = _of_good_score(candidates, objective)
    best = int(np.argmax([candidate.v_rand for candidate in close]))
    v_rands = np.stack([candidate.v_rands for candidate in close], axis=2)
    # Groups without a true object say nothing of how V-Rand scatters.
    errors = error_of_differences(v_rands[v_rands[:, 1, 0] > 0], mean_of_sums, best)
    mean_losses = close[best].v_rand - np.array([candidate.v_rand for candidate in close])
    plateaus, _ = ndimage.label(mean_losses <= np.maximum(errors, TINY))
    places = np.flatnonzero(plateaus == plateaus[best])
    return close[places[len(places) // 2]]


def learn_two_levels(
    cases: Cases, objective: Objective, one_level: Decision
) -> tuple[Candidate, list[Candidate]]:
    """The best two levels, and all that were tried, one search after the other."""
    threshold = one_level.threshold
    uppers = (threshold + (1 - threshold) * UPPER_SHARES).astype(np.float16)
    uppers = np.unique(uppers.clip(max=HIGHEST_UPPER))  # several are one near 1
    start = replace(one_level, min_seed=SEED_SIZES[0])
    tried = score_candidates(cases(), [replace(start, upper=float(u)) for u in uppers], objective)
    best = _middle_of_plateau(tried, objective)
    searches = (
        lambda best: [replace(best, min_seed=size) for size in SEED_SIZES[1:]],
        lambda best: [replace(best, threshold=float(np.float16(LOWER_SHARE * threshold)))],
    )
    for search in searches:
        candidates = score_candidates(cases(), search(best.decision), objective)
        best = best_candidate([best, *candidates], objective)
        tried += candidates
    return best, tried


def score_candidates(
    cases: Iterable[Case], decisions: list[Decision], objective: Objective
) -> list[Candidate]:
    """Score decisions; those in a row with the same mask before separation share its making."""
    numbers_by_image, v_rands_by_image, groups = [], [], []
    for case in cases:
        label, probability = case.label, case.probability
        truth = label_components(label == 1, connectivity=OBJECT_CONNECTIVITY)
        measured = []
        for unseparated, group in groupby(
            decisions, lambda each: replace(each, upper=None, min_seed=0)
        ):
            mask = threshold_and_clean(probability, unseparated)
            nearest = _nearest(mask)
            for decision in group:
                separated = mask
                if decision.upper is not None:
                    objects = grow_seeds(mask, probability, decision)
                    separated = draw_lines(mask, objects, probability)
                quick = _quick_v_rand(separated, nearest, truth)
                measured.append((objective.measure(separated, label), quick))
        numbers_by_image.append(np.transpose([each for each, _ in measured]))
        v_rands = np.array([each for _, each in measured])
        v_rands_by_image.append([np.nan_to_num(v_rands), np.isfinite(v_rands)])
        groups.append(group_of(case))
    numbers, v_rands = (
        sums_of_groups(np.array(images), groups) for images in (numbers_by_image, v_rands_by_image)
    )
    means = mean_of_sums(tuple(v_rands.sum(axis=0)))
    scores = objective.score(tuple(numbers.sum(axis=0)))
    fields = zip(
        decisions,
        scores.tolist(),
        means.tolist(),
        np.moveaxis(numbers, 2, 0),
        np.moveaxis(v_rands, 2, 0),
        strict=True,
    )
    return [Candidate(*candidate) for candidate in fields]


def _nearest(mask: np.ndarray) -> np.ndarray:
    """Flat index (H, W) of the mask's pixel nearest to each pixel."""
    rows, columns = ndimage.distance_transform_edt(
        ~mask, return_distances=False, return_indices=True
    )
    return rows * mask.shape[1] + columns


def _quick_v_rand(separated: np.ndarray, nearest: np.ndarray, truth: np.ndarray) -> float:
    """V-Rand with borders thinned by distance alone, in a tenth of the time.

    Each pixel outside the mask is given to the nearest segment, and one of two neighbours of
    different segments becomes the line between them; ``objects.thin_borders`` draws it by a
    watershed. NaN if there is no true object.
    """
    segments = label_components(separated, connectivity=OBJECT_CONNECTIVITY)
    grown = segments.ravel()[nearest]
    for a, b in SIDES:
        grown[a][(grown[a] != grown[b]) & (grown[b] > 0) & ~separated[a]] = 0
    return SegmentOverlaps.from_segments(truth, grown).v_rand
