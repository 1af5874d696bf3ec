"""Scores that compare the borders of a mask with those of a label.

A border pixel is a foreground pixel with one of its four neighbours in the background; the edge of
the image is not a border. A mask that is all foreground or all background has none.

Where pixels of the label are ignored, only those that are labelled make borders. The counterpart of
a border pixel may lie among the ignored ones, but no nearer than the nearest of them.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from maskmake.data.labels import is_labelled

PERCENTILE = 95


class _Distances(NamedTuple):
    """How far each pixel of one border is from the other border.

    Attributes:
        found: (pixels,), Euclidean, in pixels; infinite where there is no other border.
        ignored: (pixels,), to the nearest ignored pixel; infinite where there is none.
    """

    found: np.ndarray
    ignored: np.ndarray


def boundary_f1(mask: np.ndarray, label: np.ndarray, tolerance: float = 2) -> float:
    """F1 score of the mask's border against the label's.

    Precision is the share of the mask's border pixels that lie within the tolerance of the label's
    border, recall the share of the label's within the tolerance of the mask's. From Csurka et al.,
    "What is a good evaluation measure for semantic segmentation?", BMVC 2013, after Martin et al.,
    IEEE TPAMI 26(5), 2004; unlike theirs it has no one-to-one matching. A border pixel that has an
    ignored pixel and no other border within the tolerance is left out.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.
        tolerance: Euclidean distance in pixels.

    Returns:
        0 to 1; 0 if only one of the two has a border that counts, NaN if neither has.
    """
    to_label, to_mask = (
        _share_within(tolerance, distances) for distances in _border_distances(mask, label)
    )
    if np.isnan(to_label) and np.isnan(to_mask):
        return float("nan")
    precision, recall = np.nan_to_num([to_label, to_mask])
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def _share_within(tolerance: float, distances: _Distances) -> float:
    """Share of a border's pixels within the tolerance; NaN without any that counts."""
    right = distances.found <= tolerance
    counted = right | (distances.ignored > tolerance)
    return float(right[counted].mean()) if counted.any() else float("nan")


def hausdorff_95(mask: np.ndarray, label: np.ndarray) -> float:
    """Hausdorff distance of the borders in pixels, without the farthest 5 % of each.

    95 % of the mask's border lie within this distance of the label's, and 95 % of the label's
    within it of the mask's. It is the larger of two 95th percentiles: of the distances from each
    border pixel of the mask to the label's border, and from each of the label to the mask's
    (Huttenlocher et al., IEEE TPAMI 15(9), 1993; Maier-Hein et al., "Metrics reloaded", Nature
    Methods 21, 2024). Some programs take one percentile of both sets of distances together. Where
    an ignored pixel is nearer than the other border, its distance is taken, the least there can be.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.

    Returns:
        0 or more. If only one of the two has a border, the diagonal of the image, from the middle
        of one corner pixel to that of the other: no distance inside the image is larger. NaN if
        neither has.
    """
    diagonal = np.hypot(*(side - 1 for side in mask.shape))
    both = [
        np.minimum(*distances).clip(max=diagonal) for distances in _border_distances(mask, label)
    ]
    return float(
        max((np.percentile(each, PERCENTILE) for each in both if each.size), default=np.nan)
    )


def _border_distances(mask: np.ndarray, label: np.ndarray) -> tuple[_Distances, _Distances]:
    """From each border pixel of the mask to the label's border, and the other way round."""
    labelled = is_labelled(label)
    border = _border(mask & labelled, ~mask & labelled)
    true_border = _border(label == 1, label == 0)
    return _distances(border, true_border, labelled), _distances(true_border, border, labelled)


def _border(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    return inside & ndimage.binary_dilation(outside)  # by the four neighbours


def _distances(border: np.ndarray, other: np.ndarray, labelled: np.ndarray) -> _Distances:
    return _Distances(
        *(
            ndimage.distance_transform_edt(~sought)[border]
            if sought.any()
            else np.full(np.count_nonzero(border), np.inf)
            for sought in (other, ~labelled)
        )
    )
