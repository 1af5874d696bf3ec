"""Which pixels of a label are foreground: the meaning of its stored values, as a short text.

The audit settles the meaning for the whole data set and writes it into the manifest, and the pixel
store takes it from there. The text is one of

    nonzero        every value but 0
    1;255          these values
    #ff0000        these colours
    above 127.5    values above a number
    objects        every value but 0, with a line of background between objects that touch
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from maskmake.data.labels import SIDES

NONZERO, OBJECTS, ABOVE = "nonzero", "objects", "above "

COUNTED = 2**22  # pixels of a label that are counted at once


@dataclass(frozen=True, slots=True)
class Histogram:
    """The values of a label, ascending, and how many pixels have each; both ``int64``."""

    values: np.ndarray
    counts: np.ndarray


def label_histogram(label: np.ndarray) -> Histogram:
    """Count the values of a label (H, W) of integers, or the colours of one of (H, W, 3).

    A colour is counted as one number, 65536 red + 256 green + blue.
    """
    bands = np.array_split(label, -(-label.shape[0] * label.shape[1] // COUNTED))
    if label.dtype not in (np.uint8, np.uint16) or label.ndim == 3:
        return merged([_counted(packed(band)) for band in bands])
    counts = np.zeros(np.iinfo(label.dtype).max + 1, np.int64)
    for band in bands:  # NumPy counts in 8 bytes a pixel
        counts += np.bincount(band.reshape(-1), minlength=counts.size)
    values = np.flatnonzero(counts)
    return Histogram(values, counts[values])


def _counted(band: np.ndarray) -> Histogram:
    values, counts = np.unique(band, return_counts=True)
    return Histogram(values.astype(np.int64), counts)


def merged(histograms: Collection[Histogram]) -> Histogram:
    """The histogram of several labels together."""
    values, places = np.unique(
        np.concatenate([found.values for found in histograms]), return_inverse=True
    )
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([found.counts for found in histograms]))
    return Histogram(values, counts)


def packed(label: np.ndarray) -> np.ndarray:
    """A label (H, W) as it is, and one of colours, (H, W, 3) ``uint8``, with a number for each."""
    if label.ndim == 2:
        return label
    red, green, blue = (label[..., i].astype(np.uint32) for i in range(3))
    return red << 16 | green << 8 | blue


def colour_name(value: int) -> str:
    """A colour that was counted as a number, as #rrggbb."""
    return f"#{value:06x}"


def meaning_of(values: Collection[int | str]) -> str:
    """The text for a list of values or colours that are foreground."""
    return ";".join(str(value).lower() for value in values)


def foreground_mask(label: np.ndarray, meaning: str) -> np.ndarray:
    """The pixels of a label that are foreground, as bool (H, W).

    Args:
        label: as ``read_label`` gives it.
        meaning: see the head of this module.
    """
    if meaning == OBJECTS:
        mask = lines_between(label)
        np.logical_not(mask, out=mask)
        for row, numbers in zip(mask, label, strict=True):  # no second array as large as the label
            row &= numbers != 0
        return mask
    if label.ndim == 2:
        return is_foreground(label, meaning, colour=False)
    bands = np.array_split(label, -(-label.shape[0] * label.shape[1] // COUNTED))
    return np.concatenate([is_foreground(packed(band), meaning, colour=True) for band in bands])


def is_foreground(values: np.ndarray, meaning: str, colour: bool) -> np.ndarray:
    """Which values are foreground, as bool; for objects without the lines between them.

    Args:
        values: of a label, of any shape; of one of colours, packed.
        meaning: see the head of this module.
        colour: whether the label has colours.
    """
    if meaning in (NONZERO, OBJECTS):
        return values != 0
    if meaning.startswith(ABOVE):
        return values > float(meaning.removeprefix(ABOVE))
    wanted = meaning.split(";")
    if meaning.startswith("#"):
        numbers = [int(name[1:], 16) for name in wanted]
        if not colour:  # a grey value is the colour of three equal channels
            numbers = [number & 0xFF for number in numbers if number % 0x10101 == 0]
    else:
        numbers = [] if colour else [int(name) for name in wanted]
    found = np.zeros(values.shape, bool)
    for number in numbers:
        found |= values == number
    return found


def lines_between(label: np.ndarray) -> np.ndarray:
    """Where the larger of two touching objects of a label of object numbers gives up its border.

    Without these pixels, objects of different numbers share no side of a pixel. The line is one
    pixel wide, and the smaller object stays whole, however small it is.

    Args:
        label: (H, W) of integers; 0 is background.

    Returns:
        (H, W) bool. The label is looked at in bands, so nothing else is as large as it.
    """
    found = label_histogram(label)
    ranks = np.zeros(len(found.values), np.uint32)
    ranks[np.argsort(found.counts, kind="stable")] = np.arange(1, len(ranks) + 1)
    ranks[found.values == 0] = 0
    lines = np.empty(label.shape, bool)
    rows = max(1, COUNTED // label.shape[1])
    for start in range(0, len(label), rows):
        above = min(start, 1)  # a row of the next band on each side, which its objects may touch
        band = label[start - above : start + rows + 1]
        found_here = _lines(ranks[np.searchsorted(found.values, band)])
        lines[start : start + rows] = found_here[above : above + rows]
    return lines


def _lines(rank: np.ndarray) -> np.ndarray:
    """The pixels of an object that touches one of a lower rank; background has rank 0."""
    lines = np.zeros(rank.shape, bool)
    for one, other in SIDES:
        first, second = rank[one], rank[other]
        lines[one] |= (second > 0) & (first > second)
        lines[other] |= (first > 0) & (second > first)
    return lines
