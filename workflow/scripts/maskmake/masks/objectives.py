"""By what score a decision is chosen, and how sure a difference between two decisions is."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from maskmake.masks.decision import Decision, apply_decision
from maskmake.scores.boundaries import boundary_f1
from maskmake.scores.cases import Case
from maskmake.scores.objects import rand_and_information
from maskmake.scores.pixels import Confusion, background_dice, confusion, foreground_dice, mean_dice

# A difference of score that is too small to matter, and the fewest images that give its error.
TINY = 0.002
MIN_IMAGES_FOR_ERROR = 3


def mean_iou(counts: Confusion) -> np.ndarray:
    """Mean of foreground and background IoU, like ``mean_dice``."""
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
OBJECTIVES = {
    **PIXEL_OBJECTIVES,
    "v_rand": _mean_of_images(lambda mask, label: rand_and_information(mask, label)["v_rand"]),
    "boundary_f1": _mean_of_images(boundary_f1),
}

# What sentences call them.
OBJECTIVE_NAMES = {
    "dice": "mean Dice",
    "iou": "mean IoU",
    "v_rand": "V-Rand",
    "boundary_f1": "boundary F1",
}

DIGITS = 4  # of a score in a sentence


def measure_decisions(
    cases: Iterable[Case], decisions: list[Decision], objective: Objective
) -> np.ndarray:
    """Numbers (image, number of the objective, decision) of each decision's masks."""
    images = [
        [
            objective.measure(apply_decision(case.probability, decision), case.label)
            for decision in decisions
        ]
        for case in cases
    ]
    return np.array(images).swapaxes(1, 2)


def error_of_differences(numbers: np.ndarray, objective: Objective, best: int) -> np.ndarray:
    """Standard error of the distance from the best score, by jackknife over images (Efron 1982).

    Args:
        numbers: (image, number of the objective, decision).
        objective: the one of the numbers.
        best: the decision of the best score.

    Returns:
        One error a decision; 0 with fewer images than ``MIN_IMAGES_FOR_ERROR``.
    """
    if len(numbers) < MIN_IMAGES_FOR_ERROR:
        return np.zeros(numbers.shape[2])
    others = numbers.sum(axis=0) - numbers
    scores = np.array([objective.score(tuple(sums)) for sums in others])
    losses = np.nan_to_num(scores[:, [best]] - scores)
    return np.sqrt((len(numbers) - 1) * losses.var(axis=0))


def digits_to_show(difference: float) -> int:
    """Decimal places that show a difference of scores as what it is and not as 0: 4 or more."""
    if difference == 0 or not np.isfinite(difference):
        return DIGITS
    return max(DIGITS, 1 - int(np.floor(np.log10(abs(difference)))))
