"""Labels that fit the image of another pair better than their own."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

# Edges are compared on a grid of so many points a side. On it, the label of an ISBI 2012 section
# agrees with its image by 0.50 to 0.64, and with another section by 0.45 at most.
EDGE_SIDE = 64

# A label fits another image if its borders agree with that image's edges by this much more than
# with those of its own image. In ISBI 2012 the difference is -0.11 or less, in nuclei of DSB 2018
# -0.15, in axon_sem -0.38; in six images of discs whose labels are shifted by one, 0.34 and more.
CLEARLY = 0.1

# It also has to be so many deviations of the agreement between images and labels of other pairs,
# which is high where images are small or all alike.
DEVIATIONS = 3

# Standard deviations in a median absolute deviation of a normal distribution.
ROBUST = 1.4826

FEWEST = 4  # pairs; with fewer, nothing tells what agreement other pairs have
COMPARED = 500  # pairs are compared with each other within so many that follow in order
HELD = 5000  # pairs of all sizes that wait for others, of 8 KB each


class EdgeMaps(NamedTuple):
    """Where an image and its label have edges.

    Attributes:
        edges: their strength in the image, as ranks, (64 * 64) ``uint8``.
        borders: their strength in the label, (64 * 64) ``uint8``.
    """

    edges: np.ndarray
    borders: np.ndarray


class OtherFit(NamedTuple):
    """An image that another pair's label fits better.

    Attributes:
        image, label: ids of the two pairs.
        own, other: agreement of the image's edges with its own label and with the other, -1 to 1.
    """

    image: str
    label: str
    own: float
    other: float


class FitSearch:
    """Finds images whose edges agree clearly better with another pair's label, and it with them.

    Only labels of equal size are compared; others could not be exchanged unseen. The maps of a pair
    are kept until those with which it is compared are there, so that memory does not grow with the
    data set.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], dict[str, EdgeMaps]] = {}
        self._held = 0
        self._found: list[OtherFit] = []

    def add(self, id: str, size: tuple[int, int], maps: EdgeMaps) -> None:
        """Take the next pair, of an image of this size."""
        block = self._waiting.setdefault(size, {})
        block[id] = maps
        self._held += 1
        if len(block) == COMPARED:
            self._compare(size)
        elif self._held == HELD:
            self._compare(*self._waiting)

    def found(self) -> list[OtherFit]:
        """What was found among all pairs, the clearest first."""
        self._compare(*self._waiting)
        return sorted(self._found, key=lambda fit: fit.own - fit.other)

    def _compare(self, *sizes: tuple[int, int]) -> None:
        for size in sizes:
            block = self._waiting.pop(size)
            self._held -= len(block)
            self._found.extend(_better(block))


def edge_maps(image: np.ndarray, mask: np.ndarray) -> EdgeMaps:
    """Look where an image and its label have edges; a sample of the rows and columns is enough.

    Args:
        image: (H, W) or (H, W, C), any number type.
        mask: (H, W) bool, foreground of the label.
    """
    grey = image if image.ndim == 2 else image.mean(axis=2, dtype=np.float64)
    return EdgeMaps(_ranks(_edges(grey)), _scaled(_edges(mask)))


def _edges(pixels: np.ndarray) -> np.ndarray:
    """Strength of the edges on a grid of 64 x 64 points, whatever the size; ``float32``."""
    grid = (2 * EDGE_SIDE, 2 * EDGE_SIDE)
    small = Image.fromarray(pixels.astype(np.float32)).resize(grid, Image.Resampling.BOX)
    points = np.asarray(small)
    points = points / (np.abs(points).max() or 1)  # whose squares are not too large
    strength = np.sqrt(_slopes(points) ** 2 + _slopes(points.T).T ** 2)
    halves = strength[::2] + strength[1::2]
    return (halves[:, ::2] + halves[:, 1::2]).reshape(-1)


def _slopes(points: np.ndarray) -> np.ndarray:
    """Downwards, as ``numpy.gradient`` gives them for both axes."""
    slopes = np.empty_like(points)
    np.subtract(points[2:], points[:-2], out=slopes[1:-1])
    slopes[1:-1] /= 2
    slopes[0], slopes[-1] = points[1] - points[0], points[-1] - points[-2]
    return slopes


def _ranks(strengths: np.ndarray) -> np.ndarray:
    """Ranks, from 0 to 255, so that one bright line does not outweigh all else."""
    _, places = np.unique(strengths, return_inverse=True)
    return (places * 255 // max(1, places.max())).astype(np.uint8)


def _scaled(strengths: np.ndarray) -> np.ndarray:
    highest = strengths.max()
    return (strengths * (255 / highest) if highest else strengths).round().astype(np.uint8)


# --- agreement --------------------------------------------------------------------------------


def _better(block: dict[str, EdgeMaps]) -> Iterator[OtherFit]:
    if len(block) < FEWEST:
        return
    ids = list(block)
    edges = _standardised([maps.edges for maps in block.values()])
    agreement = edges @ _standardised([maps.borders for maps in block.values()]).T
    own = np.diag(agreement)
    others = agreement[~np.eye(len(agreement), dtype=bool)]
    deviation = ROBUST * np.median(np.abs(others - np.median(others)))
    best_label, best_image = agreement.argmax(axis=1), agreement.argmax(axis=0)
    gain = agreement.max(axis=1) - own
    for image in np.flatnonzero(gain > max(CLEARLY, DEVIATIONS * deviation)):
        label = best_label[image]
        if best_image[label] == image:
            fit = float(own[image]), float(agreement[image, label])
            yield OtherFit(ids[image], ids[label], *fit)


def _standardised(maps: list[np.ndarray]) -> np.ndarray:
    rows = np.array(maps, np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)
