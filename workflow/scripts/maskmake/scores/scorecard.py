"""All scores of a set of masks: pooled or averaged, of each image, and how sure they are."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.labels import is_labelled, where_labelled
from maskmake.data.object_class import ObjectName
from maskmake.scores.bootstrap import interval, resampled_means, resampling_weights
from maskmake.scores.boundaries import boundary_f1, hausdorff_95
from maskmake.scores.cases import Case
from maskmake.scores.objects import RAND_SCORES, object_f1, rand_and_information
from maskmake.scores.pixels import PIXEL_SCORES, Confusion, confusion, pixel_scores
from maskmake.scores.probabilities import (
    FLOAT16_LEVELS,
    PROBABILITY_SCORES,
    ProbabilitySums,
    probability_histogram,
    probability_scores,
    probability_sums,
)
from maskmake.scores.topology import betti_errors, cldice

POOLED_SCORES = (*PIXEL_SCORES, *PROBABILITY_SCORES)
IMAGE_SCORES = (
    "boundary_f1",
    "hausdorff_95",
    "foreground_cldice",
    "background_cldice",
    "betti_0_error",
    "betti_1_error",
    *RAND_SCORES,
    "object_f1",
)
SCORES = (*POOLED_SCORES, *IMAGE_SCORES)

# Whether a higher score is a better one; None where neither end is better. Runs are compared by it,
# so a score that is missing here is an error and not a guess.
HIGHER_IS_BETTER = {
    "pixel_accuracy": True,
    "majority_accuracy": None,
    "precision": True,
    "recall": True,
    "foreground_dice": True,
    "foreground_iou": True,
    "background_dice": True,
    "background_iou": True,
    "mean_dice": True,
    "average_precision": True,
    "ece": False,
    "brier": False,
    "ece_calibrated": False,
    "brier_calibrated": False,
    "boundary_f1": True,
    "hausdorff_95": False,
    "foreground_cldice": True,
    "background_cldice": True,
    "betti_0_error": False,
    "betti_1_error": False,
    "v_rand": True,
    "v_info": True,
    "v_split": True,
    "v_merge": True,
    "v_info_split": True,
    "v_info_merge": True,
    "object_f1": True,
}

# Thresholds of the sums that are kept of each image: all levels from 0.5 on and one of 16 below it.
# That moves an average precision by 2e-5 at most (ISBI 2012, thirty images).
_FALLING = np.arange(FLOAT16_LEVELS.size)[::-1]
THRESHOLDS = np.flatnonzero((FLOAT16_LEVELS[_FALLING] >= 0.5) | (_FALLING % 16 == 0))

RESAMPLES_AT_ONCE = 50  # so that their sums stay in the cache

# Below this share of foreground the background's Dice is close to 1 whatever a run does, and the
# mean of both flatters it.
RARE_FOREGROUND = 0.2


class ScoreCard(NamedTuple):
    """The scores of a set of images.

    Attributes:
        scores: ``POOLED_SCORES`` of the pixels of all images, ``IMAGE_SCORES`` as the mean over the
            images that have them; NaN where none has.
        intervals: for each score ``<score>_low`` and ``<score>_high``, see ``bootstrap.interval``.
        per_image: the columns ``id``, ``group`` and ``SCORES``, a row for each image.
        resamples: ``POOLED_SCORES`` of each resample. With ``per_image`` it is all that a paired
            comparison of two runs needs.
    """

    scores: dict[str, float]
    intervals: dict[str, float]
    per_image: pd.DataFrame
    resamples: pd.DataFrame


def score_card(
    cases: Iterable[Case],
    temperature: float,
    objects: ObjectName = "foreground",
    groups: Mapping[str, str] | None = None,
) -> ScoreCard:
    """Score the masks of a set of images, in one pass with one image in memory at a time.

    For each image 16 kB of sums and 8 kB of ``resampling_weights`` are kept.

    Args:
        cases: each image with its mask.
        temperature: of the calibration.
        objects: the class of the objects.
        groups: by id, the group of each image, for the intervals; None: each image is its own.
    """
    rows, all_counts, all_sums = [], [], []
    pooled_histogram = np.zeros((2, FLOAT16_LEVELS.size), np.int64)
    for image_id, label, probability, mask, _ in cases:
        assert mask is not None  # images that are scored have one
        counts = confusion(mask, label)
        histogram = probability_histogram(probability, label)
        pooled_histogram += histogram
        sums = probability_sums(histogram, temperature)
        pixels = {**pixel_scores(counts), **probability_scores(sums)}
        names = {"id": image_id, "group": groups[image_id] if groups else image_id}
        rows.append({**names, **pixels, **image_scores(mask, label, objects)})
        all_counts.append(counts)
        all_sums.append(_compact(sums))
    per_image = pd.DataFrame(rows, columns=["id", "group", *SCORES])
    per_image = per_image.astype(dict.fromkeys(SCORES, float))
    by_image = per_image[list(IMAGE_SCORES)]

    pooled = {
        **pixel_scores(sum(all_counts, Confusion())),
        **probability_scores(probability_sums(pooled_histogram, temperature)),
    }
    scores = {name: float(value) for name, value in pooled.items()} | by_image.mean().to_dict()
    weights = resampling_weights(per_image["group"])
    resamples = pd.DataFrame(
        _pooled_scores(weights, all_counts, all_sums), columns=POOLED_SCORES, dtype=float
    )
    means = resampled_means(by_image.to_numpy(), weights)
    return ScoreCard(scores, _intervals(resamples, means, per_image), per_image, resamples)


def headline_score(metrics: Mapping) -> str:
    """The score that ranks runs and comes first: foreground Dice where foreground is rare.

    Args:
        metrics: contents of ``metrics.json``; old ones do not say how much foreground there is.
    """
    share = metrics.get("foreground")
    return "foreground_dice" if share is not None and share < RARE_FOREGROUND else "mean_dice"


def image_scores(
    mask: np.ndarray, label: np.ndarray, objects: ObjectName = "foreground"
) -> dict[str, float]:
    """``IMAGE_SCORES`` of a mask against a label.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.
        objects: the class whose objects, holes and borders are scored.
    """
    labelled = is_labelled(label)
    cldices = {
        "foreground_cldice": cldice(mask & labelled, label == 1),
        "background_cldice": cldice(~mask & labelled, label == 0),
    }
    if objects == "background":
        mask, label = ~mask, where_labelled(label == 0, label)
    betti_0, betti_1 = betti_errors(mask, label)
    return {
        "boundary_f1": boundary_f1(mask, label),
        "hausdorff_95": hausdorff_95(mask, label),
        **cldices,
        "betti_0_error": betti_0,
        "betti_1_error": betti_1,
        **rand_and_information(mask, label),
        "object_f1": object_f1(mask, label),
    }


def _compact(sums: ProbabilitySums) -> ProbabilitySums:
    at_thresholds = (sums.tp[THRESHOLDS], sums.positive[THRESHOLDS], sums.raw, sums.calibrated)
    return ProbabilitySums(*(field.astype(np.float32) for field in at_thresholds))


def _pooled_scores(
    weights: np.ndarray, counts: list[Confusion], sums: list[ProbabilitySums]
) -> dict[str, np.ndarray]:
    """``POOLED_SCORES`` of each resample, from the counts and the sums of each image."""
    if not counts:
        return {}
    stacked = [np.stack(field) for field in zip(*sums, strict=True)]
    parts = [
        probability_scores(ProbabilitySums(*(part @ each for each in stacked)))
        for part in np.array_split(weights, len(weights) // RESAMPLES_AT_ONCE)
    ]
    return {
        **pixel_scores(Confusion(*(weights @ np.array(counts)).T)),
        **{name: np.concatenate([part[name] for part in parts]) for name in PROBABILITY_SCORES},
    }


def _intervals(
    pooled: pd.DataFrame, means: np.ndarray, per_image: pd.DataFrame
) -> dict[str, float]:
    """Both ends of the interval of each score; ``pooled`` and ``means`` have a row a resample."""
    groups = per_image["group"]
    ends = {name: interval(pooled[name].to_numpy(), groups.nunique()) for name in POOLED_SCORES}
    ends |= {
        name: interval(means[:, place], groups[per_image[name].notna()].nunique())
        for place, name in enumerate(IMAGE_SCORES)
    }
    return {
        f"{name}_{end}": value
        for name, values in ends.items()
        for end, value in zip(("low", "high"), values, strict=True)
    }
