"""Pictures of the objects of a mask, each in a colour that none of its neighbours has."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure
from skimage.segmentation import watershed

from maskmake.data.labels import OBJECT_CONNECTIVITY, SIDES
from maskmake.data.object_class import ObjectName
from maskmake.masks.decision import object_mask

# The colours of Okabe and Ito, which the colour-blind can tell apart, with white in place of black.
PALETTE = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
        (255, 255, 255),
    ],
    np.uint8,
)


class Neighbours(NamedTuple):
    """The neighbours of regions 0, 1, ...

    Attributes:
        starts: (regions + 1,) int64; those of region r are ``others[starts[r] : starts[r + 1]]``.
        others: (pairs,) int64, each pair of neighbours from both sides. First come the neighbours
            of lower numbers, ascending, then the others in the order in which they were found.
    """

    starts: np.ndarray
    others: np.ndarray


def region_picture(mask: np.ndarray, objects: ObjectName = "foreground") -> np.ndarray:
    """Paint the 4-connected regions of a class; the same mask always gives the same picture.

    Args:
        mask: (H, W) bool.
        objects: the class.

    Returns:
        (H, W, 3) ``uint8``: the other class black, each region in a colour of ``PALETTE``. Regions
        are neighbours if they meet when all grow over the other class at the same pace.
    """
    regions = measure.label(object_mask(mask, objects), connectivity=OBJECT_CONNECTIVITY)
    colours = np.zeros((regions.max() + 1, 3), np.uint8)
    colours[1:] = PALETTE[_colouring(_neighbours(regions))[1:]]
    return colours[regions]


def _neighbours(regions: np.ndarray) -> Neighbours:
    """Which regions, 1, 2, ..., meet; number 0 is no region and has no neighbour."""
    distance = ndimage.distance_transform_edt(regions == 0)
    grown = watershed(distance, regions, connectivity=OBJECT_CONNECTIVITY)
    count = int(regions.max()) + 1
    # Pairs as numbers, since rows of two would be sorted far more slowly.
    found = [_meeting(grown[a], grown[b], count) for a, b in SIDES]
    one, other = np.divmod(np.concatenate(found), count)
    low, high = np.minimum(one, other), np.maximum(one, other)
    pairs, first = np.unique(low * count + high, return_index=True)
    low, high = np.divmod(pairs, count)
    nodes = np.concatenate([high, low])
    order = np.lexsort([np.concatenate([low, count + first]), nodes])
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(nodes, minlength=count), out=starts[1:])
    return Neighbours(starts, np.concatenate([low, high])[order])


def _meeting(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The pairs of different regions side by side, ascending, each as one number."""
    meet = a != b
    return np.unique(a[meet].astype(np.int64) * count + b[meet])


def _colouring(neighbours: Neighbours) -> np.ndarray:
    """Colour of each region (regions,) ``uint8``, different for neighbours, each about as often.

    Regions that grow by 4-connected steps make a planar graph. In the order "smallest last" (Matula
    and Beck, J. ACM 30(3), 1983) a node comes after at most five of its neighbours, so that
    of eight colours three are always free.
    """
    starts, others = neighbours.starts.tolist(), neighbours.others
    taken_by = [0] * (len(starts) - 1)  # a bit for the colour of each region; 0: none yet
    used = [0] * len(PALETTE)
    colours = np.zeros(len(taken_by), np.uint8)
    for region in reversed(_smallest_first(neighbours)):
        taken = 0
        for other in others[starts[region] : starts[region + 1]].tolist():
            taken |= taken_by[other]
        free = [colour for colour in range(len(PALETTE)) if not taken >> colour & 1]
        colour = min(free, key=used.__getitem__)
        colours[region] = colour
        taken_by[region] = 1 << colour
        used[colour] += 1
    return colours


def _smallest_first(neighbours: Neighbours) -> list[int]:
    """The regions in the order in which one with the fewest neighbours left is taken away.

    It is the order of ``networkx.coloring.strategy_smallest_last``, from its end. Without a
    dictionary for each pair of neighbours, the picture of a million pixels of noise takes 1.3 s
    instead of 4.3.
    """
    starts, others = neighbours.starts.tolist(), neighbours.others
    left = np.diff(neighbours.starts).tolist()  # neighbours of each region; -1 once it is away
    by_left: defaultdict[int, set[int]] = defaultdict(set)
    for region in range(1, len(left)):
        by_left[left[region]].add(region)
    order: list[int] = []
    fewest = 0
    for _ in range(1, len(left)):
        while fewest not in by_left:
            fewest += 1
        smallest = by_left[fewest]
        region = smallest.pop()
        if not smallest:
            del by_left[fewest]
        order.append(region)
        left[region] = -1
        for other in others[starts[region] : starts[region + 1]].tolist():
            count = left[other]
            if count < 0:
                continue
            same = by_left[count]
            same.remove(other)
            if not same:
                del by_left[count]
            by_left[count - 1].add(other)
            left[other] = count - 1
        fewest = max(0, fewest - 1)
    return order
