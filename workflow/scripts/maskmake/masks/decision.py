"""What turns probabilities into masks.

A decision is a threshold followed by a clean-up and, where objects touch, by lines that separate
them. Objects are 4-connected, as the segments of ``objects.rand_and_information``; holes are
8-connected, so that a diagonal line of background one pixel wide is one long line and not a row of
small holes.
"""

from dataclasses import dataclass, fields

import numpy as np
from skimage import measure
from skimage.morphology import remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

from maskmake.data.labels import HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY, SIDES


@dataclass(frozen=True)
class Decision:
    """How a probability becomes a mask, by one level or by two.

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
    def method(self) -> str:
        return "one_level" if self.upper is None else "two_level"


def stored_decision(contents: dict) -> Decision:
    """The decision in ``decision.json``; contents without an upper level have one level."""
    names = [field.name for field in fields(Decision) if field.name in contents]
    return Decision(**{name: contents[name] for name in names})


def apply_decision(probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Turn a probability into a mask.

    It is cut at the threshold, small objects are removed, then small holes filled. A hole is any
    8-connected piece of background, one at the edge of the image included. With two levels, objects
    that touch are then separated: the seeds grow over the mask by watershed, from the highest
    probability to the lowest, and where two meet a line of background is drawn. Pixels that no seed
    reaches stay as they are.

    Args:
        probability: (H, W) float, 0 to 1.

    Returns:
        (H, W) bool.
    """
    mask = cut(probability, decision)
    if decision.upper is None:
        return mask
    return draw_lines(mask, grow_seeds(mask, probability, decision), probability)


def cut(probability: np.ndarray, decision: Decision) -> np.ndarray:
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
    """As ``grow_seeds``, from seeds (H, W) ``int32`` that are numbered; 0 is none."""
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
    """Take out of a mask the fainter pixel of each pair that belongs to two objects.

    A watershed that draws its lines itself also loses what lies behind a line, out of its reach.
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
