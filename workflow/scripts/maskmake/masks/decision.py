"""What turns probabilities into masks.

A decision is a threshold followed by a clean-up and, where objects touch, by lines that separate
them. Objects are 4-connected, like the segments of ``objects.rand_and_information``; holes are
8-connected, so that a diagonal line between objects, one pixel wide, is one long line and not a row
of small holes.

Objects are of the foreground or of the background. A decision is learned and applied on
probabilities of the class of the objects, and its masks are turned round afterwards if that is the
background. So an inverted label with the probability of its class gives the same objects.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict, cast

import numpy as np
from skimage import measure
from skimage.morphology import remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

from maskmake.data.labels import HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY, SIDES
from maskmake.data.object_class import ObjectName
from maskmake.runtime.documents import REMEDY, Keywords, read_document
from maskmake.runtime.errors import UserError

# The types of numbers in ``decision.json``, with their ranges in its JSON schema, which is made of
# the classes below. A new key is one line there.
Share = Annotated[float, Keywords(minimum=0, maximum=1)]
Pixels = Annotated[int, Keywords(minimum=0, maximum=2**40)]
Score = Annotated[float, Keywords(type=["number", "null"])]  # null where it is undefined
Temperature = Annotated[float, Keywords(exclusiveMinimum=0, maximum=1e6)]

# What a decision of any version has, and what one needs whose run is scored and shown as well.
NEEDED = ("threshold", "min_object", "min_hole")
NEEDED_HERE = ("upper", "min_seed", "temperature", "images")


@dataclass(frozen=True)
class Decision:
    """How a probability becomes a mask, with one level or two.

    Attributes:
        threshold: 0 to 1; a pixel whose probability of the class of the objects is above it belongs
            to an object. The lower of two levels.
        min_object: pixels; smaller objects are removed. 0 removes none.
        min_hole: pixels; smaller holes are filled. 0 fills none.
        upper: 0 to 1, likewise; the components above it are the seeds of the objects. None: one
            level.
        min_seed: pixels; smaller components are no seeds.
        objects: the class of the objects.
    """

    threshold: float
    min_object: int
    min_hole: int
    upper: float | None = None
    min_seed: int = 0
    objects: ObjectName = "foreground"

    @property
    def method(self) -> Literal["one_level", "two_level"]:
        """The value of ``decide.method`` that asks for such a decision."""
        return "one_level" if self.upper is None else "two_level"


class StoredDecision(TypedDict):
    """A ``Decision`` and its method, as they are stored.

    Both levels are stored as probabilities of foreground. So where the objects are the background,
    a pixel below the threshold belongs to an object, and the seeds are below the upper level, which
    is the lower number then.
    """

    method: Literal["one_level", "two_level"]
    threshold: Share
    min_object: Pixels
    min_hole: Pixels
    upper: NotRequired[Share | None]
    min_seed: NotRequired[Pixels]
    objects: NotRequired[ObjectName]


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


class CleanUp(Removed):
    """A clean-up and what it changes on the validation images, all at one threshold.

    Attributes:
        threshold, min_object, min_hole: what was tried.
        score_with, score_without: the objective with these sizes, and without any clean-up.
        error: standard error of their difference; None with too few images to know it.
    """

    threshold: Share
    min_object: Pixels
    min_hole: Pixels
    score_with: Score
    score_without: Score
    error: Annotated[float, Keywords(minimum=0)] | None


class LearnedOneLevel(TypedDict):
    """What was learned about one level.

    Attributes:
        score_at_half: at threshold 0.5, without clean-up.
        threshold_uncleaned: the best one without clean-up.
        score_uncleaned: of that threshold.
        curve: see ``Curve``.
        removed: what the chosen clean-up removes.
        clean_up: the chosen one. Where none was chosen, the best that takes anything false at this
            threshold, or None if there is nothing to take. Absent from old files.
        clean_up_reason: why this clean-up or none, a sentence made from ``clean_up``.
        sizes: each pair of sizes tried at the threshold of the one level.
    """

    score_at_half: Score
    threshold_uncleaned: Share
    score_uncleaned: Score
    curve: Curve
    removed: Removed
    clean_up: NotRequired[CleanUp | None]
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
    """For each validation image, the share of foreground in its mask, and the Dice.

    That is the one to expect, and the real one, which older files do not have.
    """

    foreground: list[Share]
    expected_mean_dice: list[Share]
    mean_dice: NotRequired[list[Share | None]]


class Calibration(TypedDict):
    """The temperature, and what to compare the masks of new images with."""

    temperature: Temperature
    validation: Validation


class LearnedDecision(StoredDecision, LearnedOneLevel, LearnedMethod):
    """Contents of ``decision.json``: a decision, and all that was learned with it.

    Attributes:
        objective: what was maximised, a key of ``objectives.OBJECTIVES``.
        objects_reason: why the objects are of this class, a sentence; absent from old files.
        temperature, validation: see ``Calibration``; absent from old files.
        images: ids of the validation images.
    """

    objective: Annotated[str, Keywords(enum=["dice", "iou", "v_rand", "boundary_f1"])]
    objects_reason: NotRequired[str]
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
    needed = NEEDED if any_version else (*LearnedDecision.__required_keys__, *NEEDED_HERE)
    learned: LearnedDecision = read_document(path, LearnedDecision, needed)
    curve = cast(dict[str, list], learned.get("curve", {}))
    if len(set(map(len, curve.values()))) > 1:
        raise UserError(
            f"{path}: curve: lists of different lengths; expected a number of each for every "
            f"threshold; {REMEDY}"
        )
    return learned


def stored_decision(contents: StoredDecision) -> Decision:
    """The decision in ``decision.json``.

    Contents without an upper level have one level, those without a class of objects foreground.
    """
    objects, upper = contents.get("objects", "foreground"), contents.get("upper")
    return Decision(
        other_level(contents["threshold"], objects),
        contents["min_object"],
        contents["min_hole"],
        None if upper is None else other_level(upper, objects),
        contents.get("min_seed", 0),
        objects,
    )


def validation_of(learned: LearnedDecision) -> Validation:
    """What ``decision.json`` says of the validation images: nothing where it is an older one."""
    unknown: Validation = {"foreground": [], "expected_mean_dice": []}
    return learned.get("validation", unknown)


def decision_contents(decision: Decision) -> StoredDecision:
    """What ``stored_decision`` reads."""
    return {
        "method": decision.method,
        "threshold": other_level(decision.threshold, decision.objects),
        "upper": None if decision.upper is None else other_level(decision.upper, decision.objects),
        "min_seed": decision.min_seed,
        "min_object": decision.min_object,
        "min_hole": decision.min_hole,
        "objects": decision.objects,
    }


def other_level(level: float, objects: ObjectName) -> float:
    """A level of the foreground's probability as one of the objects', and the other way round.

    Nothing is rounded if the level is a ``float16`` number from 0 to 1 or 1 minus such a number.
    """
    return level if objects == "foreground" else 1 - level


def object_probability(probability: np.ndarray, objects: ObjectName) -> np.ndarray:
    """The probability of the class of the objects, in the dtype of that of foreground."""
    return probability if objects == "foreground" else 1 - probability


def object_mask(mask: np.ndarray, objects: ObjectName) -> np.ndarray:
    """A bool mask of foreground as one of the objects, and the other way round."""
    return mask if objects == "foreground" else ~mask


def apply_decision(probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Turn a probability into a mask.

    It is cut at the threshold, small objects are removed, then small holes are filled. A hole is
    any 8-connected piece of the class that is not the objects', one at the edge of the image
    included, but not an image without objects. With two levels, objects that touch are then
    separated: the seeds grow over the objects by watershed, from the highest probability to the
    lowest, and where two meet, a line of the other class is drawn. Pixels that no seed reaches stay
    as they are.

    Args:
        probability: (H, W) float, 0 to 1, of foreground.

    Returns:
        (H, W) bool, True in the foreground.
    """
    seen = object_probability(probability, decision.objects)
    mask = threshold_and_clean(seen, decision)
    if decision.upper is not None:
        mask = draw_lines(mask, grow_seeds(mask, seen, decision), seen)
    return object_mask(mask, decision.objects)


def threshold_and_clean(probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Threshold and clean-up of ``apply_decision`` alone: objects from their probability.

    This and the functions below know objects, True, and what is between them, False.
    """
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
    """Remove from the objects the fainter of two neighbouring pixels that belong to two objects.

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
    """A bool mask (H, W) without holes of fewer than ``min_hole`` pixels.

    A mask without objects stays empty, however small it is.
    """
    if min_hole == 0 or not mask.any():
        return mask
    return remove_small_holes(mask, max_size=min_hole - 1, connectivity=HOLE_CONNECTIVITY)
