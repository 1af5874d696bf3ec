"""Which pixels of a label are foreground: the meaning of its stored values, as a short text.

The audit settles the meaning for the whole data set and writes it into the manifest, and the pixel
store takes it from there. The text is one of

    nonzero        every value but 0
    1;255          these values
    #ff0000        these colours
    above 127.5    values above a number
    objects        every value but 0, with a line of background between objects that touch
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from maskmake.data.labels import SIDES

NONZERO, OBJECTS, ABOVE = "nonzero", "objects", "above "

COUNTED = 2**19  # pixels of a label that are looked at together, in some 20 bytes each


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
        objects = Objects(label_histogram(label))
        return objects.foreground(lambda start, stop: label[start:stop], label.shape)
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
    """The pixels of a label of object numbers, (H, W), that lie on a line; see ``Objects``."""
    return (label != 0) & ~foreground_mask(label, OBJECTS)


class Objects:
    """What is foreground in a label of object numbers, (H, W), in which 0 is background.

    Of two objects that touch, the larger one gives up its border. Then objects of different numbers
    share no side of a pixel. The line is one pixel wide, and the smaller object stays whole,
    however small it is.

    Args:
        histogram: of the label.
    """

    def __init__(self, histogram: Histogram):
        nothing = np.zeros(1, np.int64)
        whole = merged([histogram, Histogram(nothing, nothing)])  # 0 may not occur
        self._values, self._ranks = whole.values, np.zeros(len(whole.values), np.uint32)
        order = np.argsort(whole.counts, kind="stable")
        self._ranks[order] = np.arange(1, len(order) + 1)
        self._ranks[whole.values == 0] = 0

    def foreground(
        self,
        read_rows: Callable[[int, int], np.ndarray],
        shape: tuple[int, ...],
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> np.ndarray:
        """The foreground, or some rows and columns of it, as bool.

        Args:
            read_rows: gives rows of the label, from the first number to before the second.
            shape: of the label, (H, W).
            rows, columns: those that are asked for, with positive steps.
        """
        start, stop, step = rows.indices(shape[0])
        height = step * max(1, COUNTED // shape[1] // step)
        mask = np.empty(
            (len(range(start, stop, step)), len(range(*columns.indices(shape[1])))), bool
        )
        for top in range(start, stop, height):
            bottom = min(top + height, stop)
            above = max(0, top - 1)  # a row more on each side, which objects may touch
            band = read_rows(above, min(bottom + 1, shape[0]))
            inside = ~_lines(self._ranks[np.searchsorted(self._values, band)]) & (band != 0)
            place = (top - start) // step
            part = inside[top - above : bottom - above : step, columns]
            mask[place : place + len(part)] = part
        return mask


def _lines(rank: np.ndarray) -> np.ndarray:
    """The pixels of an object that touches one of a lower rank; background has rank 0."""
    lines = np.zeros(rank.shape, bool)
    for one, other in SIDES:
        first, second = rank[one], rank[other]
        lines[one] |= (second > 0) & (first > second)
        lines[other] |= (first > 0) & (second > first)
    return lines
