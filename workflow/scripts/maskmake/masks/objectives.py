"""By what score a decision is chosen, and how sure a difference between two decisions is."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from maskmake.masks.decision import Decision, apply_decision
from maskmake.scores.boundaries import boundary_f1
from maskmake.scores.cases import Case
from maskmake.scores.objects import rand_and_information
from maskmake.scores.pixels import Confusion, background_dice, confusion, foreground_dice, mean_dice

# A difference of score that is too small to matter, and the fewest groups that give its error.
TINY = 0.002
MIN_GROUPS_FOR_ERROR = 3


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

    return Objective(measure, mean_of_sums)


def mean_of_sums(sums: tuple) -> np.ndarray:
    """The mean of scores from their sum and their number; 0 where there is none."""
    return np.asarray(sums[0] / np.maximum(sums[1], 1))


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
    """Numbers (group, number of the objective, decision) of each decision's masks."""
    groups, images = [], []
    for case in cases:
        groups.append(group_of(case))
        images.append(
            [
                objective.measure(apply_decision(case.probability, decision), case.label)
                for decision in decisions
            ]
        )
    return sums_of_groups(np.array(images).swapaxes(1, 2), groups)


def group_of(case: Case) -> str:
    """The group of a case; an image by itself is one."""
    return case.id if case.group is None else case.group


def sums_of_groups(numbers: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Sums (group, ...) of numbers (image, ...), in the order in which the groups come."""
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((len(places), *numbers.shape[1:]), numbers.dtype)
    np.add.at(sums, [places[group] for group in groups], numbers)
    return sums


def error_of_differences(
    numbers: np.ndarray, score: Callable[[tuple], np.ndarray], best: int
) -> np.ndarray:
    """Standard error of the distance from the best score, by jackknife over groups (Efron 1982).

    Args:
        numbers: (group, number of the objective, decision).
        score: of an ``Objective``.
        best: the decision of the best score.

    Returns:
        One error a decision; 0 with fewer groups than ``MIN_GROUPS_FOR_ERROR``.
    """
    if len(numbers) < MIN_GROUPS_FOR_ERROR:
        return np.zeros(numbers.shape[2])
    others = numbers.sum(axis=0) - numbers
    scores = np.array([score(tuple(sums)) for sums in others])
    losses = np.nan_to_num(scores[:, [best]] - scores)
    return np.sqrt((len(numbers) - 1) * losses.var(axis=0))


def digits_to_show(difference: float) -> int:
    """Decimal places that show a difference of scores as what it is and not as 0: 4 or more."""
    if difference == 0 or not np.isfinite(difference):
        return DIGITS
    return max(DIGITS, 1 - int(np.floor(np.log10(abs(difference)))))
