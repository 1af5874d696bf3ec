"""What a label's pixel values mean, what an object and a hole of it are, and what can be wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Objects are 4-connected and holes 8-connected, so that the two never cross.
OBJECT_CONNECTIVITY = 1
HOLE_CONNECTIVITY = 2

# The two halves of all pairs of pixels that share a side.
SIDES = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))

# The middle half of the label range is neither background nor foreground.
MIDDLE = (0.25, 0.75)


def label_range(largest: int) -> int:
    """Top of the range of label values (1, 255 or 65535) that holds ``largest``."""
    return next(top for top in (1, 255, 65535) if largest <= top)


def foreground(label: np.ndarray, threshold: float, top: int) -> np.ndarray:
    """Label pixels above ``threshold`` (share of the range 0..``top``), as bool."""
    return label > threshold * top


COUNTED = 2**22  # pixels of a label that are counted at once


@dataclass(frozen=True)
class Histogram:
    """The values of a label, ascending, and how many pixels have each."""

    values: np.ndarray
    counts: np.ndarray


def label_histogram(label: np.ndarray) -> Histogram:
    """Count the values of a label (H, W) of unsigned integers."""
    counts = np.zeros(np.iinfo(label.dtype).max + 1, np.int64)
    for rows in np.array_split(label, -(-label.size // COUNTED)):  # NumPy counts in 8 bytes a pixel
        counts += np.bincount(rows.reshape(-1), minlength=counts.size)
    values = np.flatnonzero(counts)
    return Histogram(values, counts[values])


def foreground_share(histogram: Histogram, threshold: float, top: int) -> float:
    """Share of the pixels above ``threshold`` of the label range, 0 to ``top``."""
    is_foreground = foreground(histogram.values, threshold, top)
    return float(histogram.counts[is_foreground].sum() / histogram.counts.sum())


def middle_fault(
    path: str, histogram: Histogram, threshold: float, tolerance: float, top: int
) -> Iterator[str]:
    """The fault of a label with too many pixels between background and foreground."""
    low, high = MIDDLE[0] * top, MIDDLE[1] * top
    is_middle = (histogram.values >= low) & (histogram.values <= high)
    share = histogram.counts[is_middle].sum() / histogram.counts.sum()
    if share > tolerance:
        commonest = histogram.values[is_middle][histogram.counts[is_middle].argmax()]
        yield (
            f"{path}: {100 * share:.4g} % of the pixels are neither background nor foreground "
            f"(most often the value {commonest}); expected at most {100 * tolerance:.4g} % between "
            f"{low:g} and {high:g}, the middle of the range 0-{top}; give each pixel 0 or {top}, "
            f"or set dataset.label_tolerance to 1 to cut at dataset.label_threshold {threshold:g}."
        )


def one_sided_faults(
    histograms: dict[str, Histogram], shares: dict[str, float], threshold: float, top: int
) -> Iterator[str]:
    """One sentence on each label that is all background or all foreground."""
    for path, share in shares.items():
        if share not in (0, 1):
            continue
        values = histograms[path].values
        side = "foreground" if share else "background"
        found = f"{path}: every pixel is {side} ({_describe_values(values)})"
        if set(values) <= {0, top}:
            yield (
                f"{found}; expected background and foreground; remove the pair, or, where other "
                "labels have both, set dataset.empty_labels to accept."
            )
        else:
            yield (
                f"{found}, since the labels of the data set range from 0 to {top} and "
                f"dataset.label_threshold {threshold:g} makes values above {threshold * top:g} "
                f"foreground; expected 0 and {top}; convert the label (class and instance "
                "numbers, too), or fix the threshold."
            )


def one_sided_warning(shares: dict[str, float]) -> Iterator[str]:
    """How many labels are all background or all foreground, if any are."""
    one_sided = [path for path, share in shares.items() if share in (0, 1)]
    if one_sided:
        yield (
            f"{len(one_sided)} of {len(shares)} labels hold only background or only foreground, "
            f"such as {one_sided[0]}; dataset.empty_labels accepts them."
        )


def _describe_values(values: np.ndarray) -> str:
    if len(values) == 1:
        return f"the value {values[0]}"
    if len(values) == 2:
        return f"the values {values[0]} and {values[1]}"
    return f"{len(values)} values from {values[0]} to {values[-1]}"
