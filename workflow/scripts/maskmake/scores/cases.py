"""An image with its label, its probability and its mask."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """One image to learn from or to score.

    Attributes:
        id: of the image.
        label: (H, W) ``uint8``, 0, 1 or 255, see ``data.labels``.
        probability: (H, W) ``float16``, 0 to 1.
        mask: (H, W) bool; None where it is not made yet.
        group: of images that belong together, such as those of one patient; None for an image by
            itself.
    """

    id: str
    label: np.ndarray
    probability: np.ndarray
    mask: np.ndarray | None = None
    group: str | None = None


# Called once for each pass, so that one image at a time is in memory.
Cases = Callable[[], Iterable[Case]]
