"""Scores that compare the borders of a mask with those of a label.

A border pixel is a foreground pixel with one of its four neighbours in the background; the edge of
the image is not a border. A mask that is all foreground or all background has none.

Where pixels of the label are ignored, only those that are labelled make borders. A border pixel
nearer to an ignored pixel than to the other border is left out, because its counterpart may lie
there.
"""

import numpy as np
from scipy import ndimage

from maskmake.data.labels import is_labelled

PERCENTILE = 95


def boundary_f1(mask: np.ndarray, label: np.ndarray, tolerance: float = 2) -> float:
    """F1 score of the mask's border against the label's.

    Precision is the share of the mask's border pixels that lie within the tolerance of the label's
    border, recall the share of the label's within the tolerance of the mask's. From Csurka et al.,
    "What is a good evaluation measure for semantic segmentation?", BMVC 2013, after Martin et al.,
    IEEE TPAMI 26(5), 2004; unlike theirs it has no one-to-one matching.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.
        tolerance: Euclidean distance in pixels.

    Returns:
        0 to 1; 0 if only one of the two has a border, NaN if neither has.
    """
    to_label, to_mask = _border_distances(mask, label)
    if not to_label.size and not to_mask.size:
        return float("nan")
    if not to_label.size or not to_mask.size:
        return 0.0
    precision, recall = np.mean(to_label <= tolerance), np.mean(to_mask <= tolerance)
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def hausdorff_95(mask: np.ndarray, label: np.ndarray) -> float:
    """Hausdorff distance of the borders in pixels, without the farthest 5 % of each.

    95 % of the mask's border lie within this distance of the label's, and 95 % of the label's
    within it of the mask's. It is the larger of two 95th percentiles: of the distances from each
    border pixel of the mask to the label's border, and from each of the label to the mask's
    (Huttenlocher et al., IEEE TPAMI 15(9), 1993; Maier-Hein et al., "Metrics reloaded", Nature
    Methods 21, 2024). Some programs take one percentile of both sets of distances together.

    Args:
        mask: (H, W) bool.
        label: (H, W) ``uint8``, 0, 1 or, for pixels that are not counted, 255.

    Returns:
        0 or more. If only one of the two has a border, the diagonal of the image, from the middle
        of one corner pixel to that of the other: no distance inside the image is larger. NaN if
        neither has.
    """
    to_label, to_mask = _border_distances(mask, label)
    if not to_label.size and not to_mask.size:
        return float("nan")
    if not to_label.size or not to_mask.size:
        return float(np.hypot(*(side - 1 for side in mask.shape)))
    return float(max(np.percentile(to_label, PERCENTILE), np.percentile(to_mask, PERCENTILE)))


def _border_distances(mask: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each border pixel of the mask to the label's border, and the other way round.

    The array of a missing border is empty, and the other one then means nothing.
    """
    labelled = is_labelled(label)
    border = _border(mask & labelled, ~mask & labelled)
    true_border = _border(label == 1, label == 0)
    return (
        _distances(border, true_border, labelled),
        _distances(true_border, border, labelled),
    )


def _border(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    return inside & ndimage.binary_dilation(outside)  # by the four neighbours


def _distances(border: np.ndarray, other: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Distance to the other border of each pixel of a border that is judged."""
    distances = ndimage.distance_transform_edt(~other)[border]
    if labelled.all():
        return distances
    to_ignored = ndimage.distance_transform_edt(labelled)[border]
    return distances[other.any() & (distances <= to_ignored)]
