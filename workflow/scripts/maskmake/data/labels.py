"""What the numbers of a label in the pixel store mean, and what an object and a hole of it are."""

import numpy as np

# Objects are 4-connected and holes 8-connected, so that the two never cross.
OBJECT_CONNECTIVITY = 1
HOLE_CONNECTIVITY = 2

# The two halves of all pairs of pixels that share a side.
SIDES = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))

# 0 and 1 are background and foreground. Pixels with this number are ignored: they count nowhere.
IGNORED = 255


def is_foreground(label: np.ndarray) -> np.ndarray:
    """The pixels of a label that are foreground, as bool."""
    return label == 1


def is_background(label: np.ndarray) -> np.ndarray:
    """The pixels of a label that are background, as bool."""
    return label == 0


def is_labelled(label: np.ndarray) -> np.ndarray:
    """The pixels of a label that count, as bool."""
    return label != IGNORED


def where_labelled(mask: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A bool mask (H, W) as 0 and 1, and ``IGNORED`` where the label is; ``uint8``."""
    return np.where(is_labelled(label), mask, np.uint8(IGNORED)).astype(np.uint8, copy=False)
