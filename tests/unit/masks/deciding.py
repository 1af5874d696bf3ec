"""Labels and probabilities on which a decision is learned, and the score of one by applying it."""

import numpy as np
from scipy import ndimage

from maskmake.masks.decision import Decision, apply_decision
from maskmake.masks.learning import learn_decision
from maskmake.masks.objectives import mean_dice, mean_iou
from maskmake.plan.mask_settings import choose_sizes
from maskmake.scores.boundaries import boundary_f1
from maskmake.scores.cases import Case
from maskmake.scores.objects import rand_and_information
from maskmake.scores.pixels import Confusion, confusion

SIZES = choose_sizes(256**2).value


def blobs(seed: int, size: int = 128) -> np.ndarray:
    """A label of a few large smooth objects."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 10)
    return (field > 0).astype(np.uint8)


def noisy(seed: int, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose threshold leaves specks and pits of all sizes, and their label."""
    label = blobs(seed, size)
    rng = np.random.default_rng(seed + 1000)
    noise = ndimage.gaussian_filter(rng.normal(size=label.shape), 1.5) * 5
    logit = 3.0 * label - 1.0 + noise
    return (1 / (1 + np.exp(-logit))).astype(np.float16), label


def certain(label: np.ndarray) -> np.ndarray:
    return np.where(label > 0, 0.95, 0.05).astype(np.float16)


def learn(
    cases: list, objective: str = "dice", method: str = "auto", groups: str | None = None
) -> dict:
    """What is learned on pairs of a probability and a label, each of a group named by a letter."""
    named = [
        Case(str(place), label, p, group=groups and groups[place])
        for place, (p, label) in enumerate(cases)
    ]
    return learn_decision(lambda: iter(named), objective, SIZES, method)


def score_of(decision: Decision, cases: list) -> float:
    counts = [confusion(apply_decision(p, decision), label) for p, label in cases]
    return float(mean_dice(sum(counts, Confusion())))


def plant(label: np.ndarray, seed: int, value: float) -> np.ndarray:
    """``certain(label)`` with squares of 1 to 30 pixels of ``value`` where the label is the other
    class everywhere near."""
    probability = certain(label)
    rng = np.random.default_rng(seed)
    wrong = label == (0 if value > 0.5 else 1)
    for height, width in [(1, 1), (2, 2), (3, 3), (5, 4), (5, 6)] * 3:
        depth = ndimage.distance_transform_cdt(np.pad(wrong, 1), "chessboard")[1:-1, 1:-1]
        rows, columns = np.nonzero(depth > 6)
        place = rng.integers(len(rows))
        row, column = rows[place], columns[place]
        probability[row : row + height, column : column + width] = value
        wrong[row - 2 : row + height + 2, column - 2 : column + width + 2] = False
    return probability


def brute_force(decision: Decision, cases: list, objective: str) -> float:
    masks = [(apply_decision(probability, decision), label) for probability, label in cases]
    if objective == "v_rand":
        return float(np.nanmean([rand_and_information(*pair)["v_rand"] for pair in masks]))
    if objective == "boundary_f1":
        return float(np.nanmean([boundary_f1(*pair) for pair in masks]))
    counts = sum((confusion(*pair) for pair in masks), Confusion())
    return float({"dice": mean_dice, "iou": mean_iou}[objective](counts))
