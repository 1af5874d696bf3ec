"""Scores that compare what is connected in a mask with what is connected in its label.

Objects are 4-connected and holes 8-connected, as ``decision`` cleans them. The scores see whole
images, and each class matters: where membranes separate cells, the thin net is the background.
"""

import numpy as np
from skimage import measure
from skimage.morphology import skeletonize

from maskmake.data.labels import HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY, is_labelled


def cldice(mask: np.ndarray, label: np.ndarray) -> float:
    """Centreline Dice: how much of each skeleton lies inside the other mask.

    The harmonic mean of the share of the mask's skeleton inside the label and of the label's
    skeleton inside the mask (Shit et al., "clDice - a novel topology-preserving loss function for
    tubular structure segmentation", CVPR 2021), with the skeleton of Zhang and Suen (1984). It
    falls where a thin structure is broken or made up, and hardly where it is too thick or too thin.
    It is made for the class that is tubular; for the background, invert both masks.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8`` or bool, 0 or 1.

    Returns:
        0 to 1; 0 if only one of the two has a pixel, NaN if neither has.
    """
    truth = label > 0
    if not mask.any() and not truth.any():
        return float("nan")
    if not mask.any() or not truth.any():
        return 0.0
    precision, sensitivity = truth[skeletonize(mask)].mean(), mask[skeletonize(truth)].mean()
    if precision + sensitivity == 0:
        return 0.0
    return float(2 * precision * sensitivity / (precision + sensitivity))


def betti_errors(mask: np.ndarray, label: np.ndarray) -> tuple[int, int]:
    """How far the two Betti numbers of a mask are from those of its label: objects and holes.

    Only numbers are compared, so a false object makes up for a missing one.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255; in both masks these
            are background.

    Returns:
        Absolute differences of Betti 0 and Betti 1; 0 where the numbers are equal, as in two empty
        masks.
    """
    found, true = betti_numbers(mask & is_labelled(label)), betti_numbers(label == 1)
    return abs(found[0] - true[0]), abs(found[1] - true[1])


def betti_numbers(mask: np.ndarray) -> tuple[int, int]:
    """Number of objects (Betti 0) and of holes (Betti 1) of a bool mask (H, W).

    A hole is a piece of background that does not reach the edge of the image. A hole that a
    clean-up fills, by contrast, may lie at the edge.
    """
    _, objects = measure.label(mask, connectivity=OBJECT_CONNECTIVITY, return_num=True)
    outside = np.pad(~mask, 1, constant_values=True)
    _, backgrounds = measure.label(outside, connectivity=HOLE_CONNECTIVITY, return_num=True)
    return objects, backgrounds - 1
