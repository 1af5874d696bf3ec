"""Labels that fit the image of another pair better than their own."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# A label fits another image if its borders agree with that image's edges by this much more than
# with those of its own image. In ISBI 2012 the difference is -0.11 or less, in nuclei of DSB 2018
# -0.15, in axon_sem -0.38; in six images of discs whose labels are shifted by one, 0.34 and more.
CLEARLY = 0.1

# It also has to be so many deviations of the agreement between images and labels of other pairs,
# which is high where images are small or all alike.
DEVIATIONS = 3

FEWEST = 4  # pairs; with fewer, nothing tells what agreement other pairs have
COMPARED = 500  # pairs are compared with each other within so many that follow in order


class OtherFit(NamedTuple):
    """An image that another pair's label fits better.

    Attributes:
        image, label: places of the two pairs.
        own, other: agreement of the image's edges with its own label and with the other, -1 to 1.
    """

    image: int
    label: int
    own: float
    other: float


def better_fits(edges: list[np.ndarray], borders: list[np.ndarray]) -> list[OtherFit]:
    """Images whose edges agree clearly better with the label of another pair, and it with them.

    Args:
        edges: strength of the edges of each image, see ``PairFacts``.
        borders: strength of the borders of each label.
    """
    found: list[OtherFit] = []
    for start in range(0, len(edges), COMPARED):
        part = slice(start, start + COMPARED)
        agreement = _standardised(edges[part]) @ _standardised(borders[part]).T
        found.extend(
            fit._replace(image=fit.image + start, label=fit.label + start)
            for fit in _better(agreement)
        )
    return found


def _standardised(maps: list[np.ndarray]) -> np.ndarray:
    rows = np.array(maps, np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)


def _better(agreement: np.ndarray) -> Iterator[OtherFit]:
    if len(agreement) < FEWEST:
        return
    own = np.diag(agreement)
    others = agreement[~np.eye(len(agreement), dtype=bool)]
    deviation = 1.4826 * np.median(np.abs(others - np.median(others)))
    best = agreement.argmax(axis=1)
    for image, label in enumerate(best):
        gain = agreement[image, label] - own[image]
        if gain <= max(CLEARLY, DEVIATIONS * deviation):
            continue
        if agreement[:, label].argmax() == image:
            yield OtherFit(image, int(label), float(own[image]), float(agreement[image, label]))
