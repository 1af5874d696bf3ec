"""The objects and holes of a mask, and what a clean-up does to them.

Objects are 4-connected and holes 8-connected, so the two never cross, and each piece that is
removed or filled joins the pieces around it. So one labelling is enough to find the result of
every smallest object and smallest hole.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maskmake.data.labels import (
    HOLE_CONNECTIVITY,
    OBJECT_CONNECTIVITY,
    SIDES,
    is_labelled,
)
from maskmake.scores.pixels import Confusion

# A piece is true if at least this share of its pixels is of its class in the label.
TRUE_SHARE = 0.5

REMOVED = ("objects_true", "objects_false", "holes_true", "holes_false")


class Components(NamedTuple):
    """Pieces of a mask: first the holes, then the objects.

    Attributes:
        pieces: (H, W) ``int32``, the piece of each pixel, from 0.
        holes: how many holes there are; larger numbers are objects.
        sizes: pixels of each piece.
        labelled: how many of them the label does not ignore.
        foreground: how many of them are foreground in the label.
    """

    pieces: np.ndarray
    holes: int
    sizes: np.ndarray
    labelled: np.ndarray
    foreground: np.ndarray

    @property
    def is_object(self) -> np.ndarray:
        """(piece,) bool."""
        return np.arange(self.sizes.size) >= self.holes

    @property
    def overlaps(self) -> np.ndarray:
        """Share of each piece's labelled pixels that are of its class in the label."""
        shares = self.foreground / np.maximum(self.labelled, 1)
        return np.where(self.is_object, shares, 1 - shares)

    @property
    def is_false(self) -> np.ndarray:
        """(piece,) bool: less than ``TRUE_SHARE`` is of its class; without labelled pixels not."""
        return (self.labelled > 0) & (self.overlaps < TRUE_SHARE)


def find_components(mask: np.ndarray, label: np.ndarray) -> Components:
    """Label the objects and holes of a mask (H, W) bool; the label (H, W) is 0, 1 or 255.

    A hole is any piece of background, one at the edge of the image included. Ignored pixels belong
    to pieces too, because a clean-up sees whole masks, but they are not counted as labelled.
    """
    structures = [
        ndimage.generate_binary_structure(2, n) for n in (HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY)
    ]
    pieces, holes = ndimage.label(~mask, structures[0])
    objects, count = ndimage.label(mask, structures[1])
    np.add(objects, holes, out=pieces, where=mask)
    pieces -= 1
    sizes = np.bincount(pieces.ravel(), minlength=holes + count)
    labelled, foreground = (
        np.bincount(pieces[selected], minlength=holes + count)
        for selected in (is_labelled(label), label == 1)
    )
    return Components(pieces, holes, sizes, labelled, foreground)


def clean_up_counts(
    mask: np.ndarray, label: np.ndarray, sizes: np.ndarray
) -> tuple[Confusion, np.ndarray]:
    """The effect of each pair of a smallest object and a smallest hole on a mask.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.
        sizes: smallest objects and smallest holes to try, ascending.

    Returns:
        The counts of the cleaned masks, each field (object, hole), and how many pieces are removed
        or filled, (4, object, hole) as ``REMOVED``.
    """
    found = find_components(mask, label)
    touching = _touching(found.pieces, mask)
    rows = [_remove_then_fill(found, touching, smallest, sizes) for smallest in sizes]
    counts, removed = zip(*rows, strict=True)
    return Confusion(*np.stack(counts, axis=1)), np.stack(removed, axis=1)


def _touching(pieces: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pairs (pair, 2) of a hole and an object that share a side; each pair once."""
    borders = []
    for a, b in SIDES:
        border = mask[a] != mask[b]
        ends = np.sort([pieces[a][border], pieces[b][border]], axis=0).astype(np.int64)
        borders.append(ends[0] << 32 | ends[1])
    keys = np.unique(np.concatenate(borders))
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)


def _remove_then_fill(
    found: Components, touching: np.ndarray, smallest_object: int, sizes: np.ndarray
) -> tuple[Confusion, np.ndarray]:
    """Counts and removed pieces at one smallest object, one element for each smallest hole."""
    is_object, total = found.is_object, found.sizes.size
    gone = is_object & (found.sizes < smallest_object)
    # A removed object and the holes around it become one hole.
    joined = touching[gone[touching[:, 1]]].T
    graph = coo_array((np.ones(joined.shape[1], bool), tuple(joined)), (total, total))
    group = connected_components(graph, directed=False)[1]
    empty = ~is_object | gone
    areas, labelled_areas, true_areas = (
        np.bincount(group[empty], weights=pixels[empty]).astype(np.int64)
        for pixels in (found.sizes, found.labelled, found.foreground)
    )
    kept = is_object & ~gone
    is_hole = (areas > 0) & kept.any()  # background without an object is no hole
    areas, labelled_areas, true_areas = (
        pixels[is_hole] for pixels in (areas, labelled_areas, true_areas)
    )

    def up_to_each_size(values: np.ndarray) -> np.ndarray:
        # A hole is filled at the first size above its area and at all larger ones.
        first = np.searchsorted(sizes, areas, side="right")
        steps = np.bincount(first, weights=values, minlength=len(sizes) + 1)
        return steps.cumsum()[: len(sizes)].astype(np.int64)

    tp = found.foreground[kept].sum() + up_to_each_size(true_areas)
    fp = found.labelled[kept].sum() + up_to_each_size(labelled_areas) - tp
    fn = found.foreground.sum() - tp
    counts = Confusion(tp, fp, fn, found.labelled.sum() - tp - fp - fn)

    true_hole = labelled_areas - true_areas >= TRUE_SHARE * labelled_areas
    is_known = labelled_areas > 0
    false_object = found.is_false[gone]
    removed = [
        np.full(len(sizes), ((found.labelled[gone] > 0) & ~false_object).sum()),
        np.full(len(sizes), false_object.sum()),
        up_to_each_size(true_hole & is_known),
        up_to_each_size(~true_hole),
    ]
    return counts, np.array(removed)
