"""Scores that compare the objects of a mask with those of a label.

Objects are 4-connected, as ``decision`` cleans and separates them.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure
from skimage.metrics import contingency_table
from skimage.segmentation import watershed

from maskmake.data.labels import is_labelled

RAND_SCORES = ("v_rand", "v_info", "v_split", "v_merge", "v_info_split", "v_info_merge")
MATCHING_IOU = 0.5


def thin_borders(mask: np.ndarray) -> np.ndarray:
    """Grow the segments of a mask until only lines of one pixel divide them.

    The segments are the 4-connected components of the mask. They grow over the rest of the image in
    the order of the distance to the mask, so that a line lies midway between its segments. A
    gap that only one segment surrounds is closed.

    Args:
        mask: (H, W) bool, True inside a segment.

    Returns:
        (H, W) ``int32``: 1, 2, ... in the segments, 0 on the lines; 0 everywhere if the mask is
        empty.
    """
    segments = measure.label(mask, connectivity=1).astype(np.int32)
    distance = ndimage.distance_transform_edt(~mask)
    return watershed(distance, segments, connectivity=1, watershed_line=True)


class SegmentOverlaps(NamedTuple):
    """Pixels that true and proposed segments have, alone and in common, inside true segments.

    Attributes:
        true_sizes: pixels of each true segment.
        sizes: pixels of each proposed segment.
        overlaps: pixels of each pair of a true and a proposed segment that meet.
        lines: pixels that lie in no proposed segment; each is a segment of its own.
    """

    true_sizes: np.ndarray
    sizes: np.ndarray
    overlaps: np.ndarray
    lines: int

    @classmethod
    def from_segments(cls, truth: np.ndarray, proposal: np.ndarray) -> "SegmentOverlaps":
        """Count the overlaps of two images (H, W) of segments 1, 2, ...; 0 is no segment."""
        table = contingency_table(truth, proposal, sparse_type="array")[1:]
        overlaps = table[:, 1:].data
        lines = int(table.sum() - overlaps.sum())
        return cls(table.sum(axis=1), table[:, 1:].sum(axis=0), overlaps, lines)

    @property
    def pixels(self) -> int:
        """Pixels inside true segments."""
        return int(self.true_sizes.sum())

    @property
    def true_pairs(self) -> float:
        """Ordered pairs of pixels, also of one with itself, in one true segment."""
        return self.true_sizes @ self.true_sizes

    @property
    def pairs(self) -> float:
        """The same in one proposed segment."""
        return self.sizes @ self.sizes + self.lines

    @property
    def common_pairs(self) -> float:
        """The same in one segment of either kind."""
        return self.overlaps @ self.overlaps + self.lines

    @property
    def v_rand(self) -> float:
        """Foreground-restricted Rand score, 0 to 1; NaN without any true segment."""
        if self.pixels == 0:
            return float("nan")
        return float(2 * self.common_pairs / (self.true_pairs + self.pairs))


def rand_and_information(mask: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Foreground-restricted Rand and information scores after thinning the mask's borders.

    The scores of the ISBI-2012 challenge: Arganda-Carreras et al., "Crowdsourcing the creation of
    image segmentation algorithms for connectomics", Front. Neuroanat. 9:142, 2015. The truth is
    the 4-connected components of the label, the proposal those of the mask with its borders
    thinned. Only pixels inside a true segment count; each of them that lies on a line of the
    proposal is a segment of its own.

    Args:
        mask: (H, W) bool, True inside a segment.
        label: (H, W) ``uint8``, 1 inside a segment; all else does not count.

    Returns:
        v_rand, v_split (low where true segments are split) and v_merge (low where they are merged);
        v_info, v_info_split and v_info_merge likewise; each 0 to 1. All are NaN if the label has no
        segment. An empty mask has each pixel as a segment of its own: v_merge 1, v_split near 0. A
        full mask is one segment: v_split 1. v_info is 0 where either side is one segment and the
        other is not, and 1 where both are: of one segment nothing can be split or merged.
    """
    truth = measure.label(label == 1, connectivity=1)
    found = SegmentOverlaps.from_segments(truth, thin_borders(mask))
    if found.pixels == 0:
        return dict.fromkeys(RAND_SCORES, np.nan)
    entropy_of_lines = found.lines / found.pixels * np.log(found.pixels)
    true_entropy = _entropy(found.true_sizes, found.pixels)
    entropy = _entropy(found.sizes, found.pixels) + entropy_of_lines
    joint_entropy = _entropy(found.overlaps, found.pixels) + entropy_of_lines
    information = max(0.0, true_entropy + entropy - joint_entropy)
    return {
        "v_rand": found.v_rand,
        "v_info": _share(2 * information, true_entropy + entropy),
        "v_split": float(found.common_pairs / found.true_pairs),
        "v_merge": float(found.common_pairs / found.pairs),
        "v_info_split": _share(information, entropy),
        "v_info_merge": _share(information, true_entropy),
    }


def _share(information: float, entropy: float) -> float:
    return float(information / entropy) if entropy > 0 else 1.0


def _entropy(counts: np.ndarray, total: float) -> float:
    shares = counts[counts > 0] / total
    return float(-(shares * np.log(shares)).sum())


def object_f1(mask: np.ndarray, label: np.ndarray) -> float:
    """F1 score of finding objects: each may match one object of the other mask.

    Two objects match if their intersection over union is above 0.5; then no other object can match
    either of them (Kirillov et al., "Panoptic segmentation", CVPR 2019), so there is nothing to
    assign. Objects that touch are one object, so the score suits blobs that lie apart.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255. Pieces of an object
            of the mask that are connected through such pixels are one object.

    Returns:
        0 to 1: twice the matches over the objects of both; NaN if neither has an object.
    """
    truth, objects = measure.label(label == 1, connectivity=1), measure.label(mask, connectivity=1)
    objects[~is_labelled(label)] = 0
    true_sizes, sizes = np.bincount(truth.ravel()), np.bincount(objects.ravel())
    count = np.count_nonzero(true_sizes[1:]) + np.count_nonzero(sizes[1:])
    if count == 0:
        return float("nan")
    table = contingency_table(truth, objects, sparse_type="array").tocoo()
    row, column = table.coords
    unions = true_sizes[row] + sizes[column] - table.data
    matches = (row > 0) & (column > 0) & (table.data > MATCHING_IOU * unions)
    return float(2 * np.count_nonzero(matches) / count)
