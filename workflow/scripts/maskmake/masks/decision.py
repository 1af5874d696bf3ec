"""What turns probabilities into masks.

A decision is a threshold followed by a clean-up and, where objects touch, by lines that separate
them. Objects are 4-connected, like the segments of ``objects.rand_and_information``; holes are
8-connected, so that a diagonal line of background one pixel wide is one long line and not a row of
small holes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

import numpy as np
from skimage import measure
from skimage.morphology import remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

from maskmake.data.labels import HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY, SIDES
from maskmake.runtime.documents import Keywords, read_document

# The types of numbers in ``decision.json``, with their ranges in its JSON schema, which is made of
# the classes below. A new key is one line there.
Share = Annotated[float, Keywords(minimum=0, maximum=1)]
Pixels = Annotated[int, Keywords(minimum=0, maximum=2**40)]
Score = Annotated[float, Keywords(type=["number", "null"])]  # null where it is undefined
Temperature = Annotated[float, Keywords(exclusiveMinimum=0, maximum=1e6)]

# What a decision of any version has.
NEEDED = ("threshold", "min_object", "min_hole")


@dataclass(frozen=True)
class Decision:
    """How a probability becomes a mask, with one level or two.

    Attributes:
        threshold: 0 to 1; a pixel above it is foreground. The lower of two levels.
        min_object: pixels; smaller objects are removed. 0 removes none.
        min_hole: pixels; smaller holes are filled. 0 fills none.
        upper: 0 to 1; the components above it are the seeds of the objects. None: one level.
        min_seed: pixels; smaller components are no seeds.
    """

    threshold: float
    min_object: int
    min_hole: int
    upper: float | None = None
    min_seed: int = 0

    @property
    def method(self) -> Literal["one_level", "two_level"]:
        return "one_level" if self.upper is None else "two_level"


class StoredDecision(TypedDict):
    """A ``Decision`` and its method, as they are stored."""

    method: Literal["one_level", "two_level"]
    threshold: Share
    min_object: Pixels
    min_hole: Pixels
    upper: NotRequired[Share | None]
    min_seed: NotRequired[Pixels]


class TriedDecision(StoredDecision):
    """A decision that was tried, with its objective and V-Rand on validation."""

    score: Score
    v_rand: Score


class Curve(TypedDict):
    """About 200 thresholds without clean-up, and the scores of each: lists of one length."""

    threshold: list[Share]
    foreground_dice: list[Score]
    background_dice: list[Score]
    objective: list[Score]


class Removed(TypedDict):
    """How many objects a clean-up removes and holes it fills on validation, true and false ones."""

    objects_true: Pixels
    objects_false: Pixels
    holes_true: Pixels
    holes_false: Pixels


class TriedSizes(Removed):
    """A pair of sizes that was tried, its score and what it removes."""

    min_object: Pixels
    min_hole: Pixels
    score: Score


class LearnedOneLevel(TypedDict):
    """What was learned about one level.

    Attributes:
        score_at_half: at threshold 0.5, without clean-up.
        threshold_uncleaned: the best one without clean-up.
        score_uncleaned: of that threshold.
        curve: see ``Curve``.
        removed: what the chosen clean-up removes.
        clean_up_reason: why this clean-up or none, a sentence.
        sizes: each pair of sizes tried at the threshold of the one level.
    """

    score_at_half: Score
    threshold_uncleaned: Share
    score_uncleaned: Score
    curve: Curve
    removed: Removed
    clean_up_reason: str
    sizes: list[TriedSizes]


class LearnedMethod(TypedDict):
    """Why one level or two were chosen.

    Attributes:
        score: of the decision on validation.
        reason: why this method, a sentence.
        methods: the one level and all two levels tried.
    """

    score: Score
    reason: str
    methods: list[TriedDecision]


class Validation(TypedDict):
    """For each validation image, the share of foreground in its mask and the expected Dice."""

    foreground: list[Share]
    expected_mean_dice: list[Share]


class Calibration(TypedDict):
    """The temperature, and what to compare the masks of new images with."""

    temperature: Temperature
    validation: Validation


class LearnedDecision(StoredDecision, LearnedOneLevel, LearnedMethod):
    """Contents of ``decision.json``: a decision, and all that was learned with it.

    Attributes:
        objective: what was maximised, a key of ``objectives.OBJECTIVES``.
        temperature, validation: see ``Calibration``; absent from old files.
        images: ids of the validation images.
    """

    objective: str
    temperature: NotRequired[Temperature]
    validation: NotRequired[Validation]
    images: NotRequired[list[str]]


def read_decision(path: str | Path, any_version: bool = False) -> LearnedDecision:
    """Read ``decision.json``.

    Args:
        path: of the file.
        any_version: whether an earlier version may have made it, so that only ``NEEDED`` and what
            is there can be relied on.

    Raises:
        UserError: it is no JSON document, or a value is missing or not what it should be.
    """
    return read_document(path, LearnedDecision, NEEDED if any_version else None)


def stored_decision(contents: StoredDecision) -> Decision:
    """The decision in ``decision.json``; contents without an upper level have one level."""
    return Decision(
        contents["threshold"],
        contents["min_object"],
        contents["min_hole"],
        contents.get("upper"),
        contents.get("min_seed", 0),
    )


def decision_contents(decision: Decision) -> StoredDecision:
    """What ``stored_decision`` reads."""
    return {
        "method": decision.method,
        "threshold": decision.threshold,
        "min_object": decision.min_object,
        "min_hole": decision.min_hole,
        "upper": decision.upper,
        "min_seed": decision.min_seed,
    }


def apply_decision(probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Turn a probability into a mask.

    It is cut at the threshold, small objects are removed, then small holes are filled. A hole is
    any 8-connected piece of background, one at the edge of the image included. With two levels,
    objects that touch are then separated: the seeds grow over the mask by watershed, from the
    highest probability to the lowest, and where two meet, a line of background is drawn. Pixels
    that no seed reaches stay as they are.

    Args:
        probability: (H, W) float, 0 to 1.

    Returns:
        (H, W) bool.
    """
    mask = threshold_and_clean(probability, decision)
    if decision.upper is None:
        return mask
    return draw_lines(mask, grow_seeds(mask, probability, decision), probability)


def threshold_and_clean(probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Threshold and clean-up of ``apply_decision`` alone."""
    mask = remove_objects(probability > decision.threshold, decision.min_object)
    return fill_holes(mask, decision.min_hole)


def grow_seeds(mask: np.ndarray, probability: np.ndarray, decision: Decision) -> np.ndarray:
    """The pixels of a mask that each seed reaches, by watershed from high probability to low.

    Returns:
        (H, W) ``int32``, one number a seed, 0 where none reaches.
    """
    seeds = mask & (probability > decision.upper)
    labels = measure.label(seeds, connectivity=OBJECT_CONNECTIVITY).astype(np.int32)
    labels[np.bincount(labels.ravel())[labels] < decision.min_seed] = 0
    return grow(labels, mask, probability)


def grow(labels: np.ndarray, mask: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Like ``grow_seeds``, but from numbered seeds (H, W) ``int32``; 0 is no seed."""
    # Only the rim of a seed grows; without the inside the queue is several times shorter.
    inside = labels > 0
    for a, b in SIDES:
        same = labels[a] == labels[b]
        inside[a] &= same
        inside[b] &= same
    objects = watershed(
        -probability.astype(np.float32),
        np.where(inside, 0, labels),
        connectivity=OBJECT_CONNECTIVITY,
        mask=mask & ~inside,
    )
    return np.where(inside, labels, objects)


def draw_lines(mask: np.ndarray, objects: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Remove from a mask the fainter of two neighbouring pixels that belong to two objects.

    A watershed that draws its own lines also loses the pixels that it cannot reach behind a line.
    """
    separated = mask.copy()
    for a, b in SIDES:
        meet = (objects[a] != objects[b]) & (objects[a] > 0) & (objects[b] > 0)
        fainter = probability[a] < probability[b]
        separated[a] &= ~(meet & fainter)
        separated[b] &= ~(meet & ~fainter)
    return separated


def remove_objects(mask: np.ndarray, min_object: int) -> np.ndarray:
    """A bool mask (H, W) without objects of fewer than ``min_object`` pixels."""
    if min_object == 0:
        return mask
    return remove_small_objects(mask, max_size=min_object - 1, connectivity=OBJECT_CONNECTIVITY)


def fill_holes(mask: np.ndarray, min_hole: int) -> np.ndarray:
    """A bool mask (H, W) without holes of fewer than ``min_hole`` pixels."""
    if min_hole == 0:
        return mask
    return remove_small_holes(mask, max_size=min_hole - 1, connectivity=HOLE_CONNECTIVITY)
