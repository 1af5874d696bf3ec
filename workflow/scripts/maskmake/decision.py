"""What turns probabilities into masks.

A decision is a threshold followed by a clean-up and, where objects touch, by lines that separate
them. Objects are 4-connected, as the segments of ``scores.rand_and_information``; holes are
8-connected, so that a diagonal line of background one pixel wide is one long line and not a row of
small holes.
"""

from dataclasses import dataclass, fields

import numpy as np
from skimage import measure
from skimage.morphology import remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

OBJECT_CONNECTIVITY = 1
HOLE_CONNECTIVITY = 2


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
    mask = fill_holes(
        remove_objects(probability > decision.threshold, decision.min_object), decision.min_hole
    )
    return mask if decision.upper is None else _separate(mask, probability, decision)


def _separate(mask: np.ndarray, probability: np.ndarray, decision: Decision) -> np.ndarray:
    """Draw lines between the objects that grow from seeds; the fainter pixel of a pair gives way.

    A watershed that draws its lines itself also loses what lies behind a line, out of its reach.
    """
    seeds = remove_objects(mask & (probability > decision.upper), decision.min_seed)
    labels = measure.label(seeds, connectivity=OBJECT_CONNECTIVITY)
    depth = -probability.astype(np.float32)
    objects = watershed(depth, labels, connectivity=OBJECT_CONNECTIVITY, mask=mask)
    separated = mask.copy()
    for a, b in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        meet = (objects[a] != objects[b]) & (objects[a] > 0) & (objects[b] > 0)
        fainter = depth[a] > depth[b]
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
