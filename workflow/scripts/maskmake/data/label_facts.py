"""What one label looks like, in the numbers from which the audit settles what its values mean."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label as number_pieces

from maskmake.data.image_samples import sampled
from maskmake.data.label_files import LabelFile
from maskmake.data.label_ignored import NONE, ignored_pixels, occurring, without_ignored
from maskmake.data.label_values import (
    COUNTED,
    OBJECTS,
    Histogram,
    Objects,
    is_foreground,
    label_histogram,
    packed,
)

# A value forms regions if at least so many squares of 2 x 2 pixels have it, for each of its pixels.
# A square object of 2 x 2 pixels has 0.25; the blurred border of an object is a line and has none.
REGION_SQUARES = 0.2

# Share of the values but 0 that have to form regions, for the pieces to be counted. Few values of
# blurred borders do; small objects that are cut by others may not either.
REGION_VALUES = 0.5

# With so many colours, some may be shades that compression with loss or blur has left.
MANY_SHADES = 16

# Object numbers: at least so many in one label, nearly all of them one piece, and none in many.
MANY_OBJECTS, BROKEN_OBJECTS, MOST_PIECES = 10, 0.1, 5


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What one label looks like.

    Attributes:
        histogram: its values; colours as ``label_histogram`` counts them.
        colour: whether it has colours.
        regions: the values that form regions; looked for if there are three values or more, or
            many colours.
        pieces: how many pieces each of ``regions`` but 0 falls into, counted if the values may be
            object numbers, and otherwise empty.
        line_pixels: pixels of the lines between objects that touch, if every value is an object.
        ignored: pixels that are ignored; nothing above or below counts them.
        ignored_by: what of the text of ``label_ignored`` they are.
        clear: whether pixels are transparent.
        nodata: what the file says is no data.
        contrast: mean of the image where the label is in the upper half of its range, less the
            mean elsewhere, in standard deviations of the image; NaN where there is nothing.
    """

    histogram: Histogram
    colour: bool
    regions: tuple[int, ...]
    pieces: tuple[int, ...]
    line_pixels: int
    contrast: float
    ignored: int = 0
    ignored_by: tuple[str, ...] = ()
    clear: bool = False
    nodata: float | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels that are not ignored."""
        return int(self.histogram.counts.sum())

    @property
    def has_object_numbers(self) -> bool:
        """Whether this label alone shows that its values number objects."""
        return len(self.pieces) >= MANY_OBJECTS and self.may_have_object_numbers

    @property
    def may_have_object_numbers(self) -> bool:
        """Whether nothing in this label speaks against object numbers."""
        found = self.histogram.values
        if not self.pieces:
            # Too few values to tell: background and at most a region for each of two numbers.
            return found[0] >= 0 and len(found[found != 0]) < 3
        broken = sum(count > 1 for count in self.pieces)
        return broken <= BROKEN_OBJECTS * len(self.pieces) and max(self.pieces) <= MOST_PIECES

    def share(self, meaning: str) -> float:
        """Share of foreground, for a meaning of ``label_values``."""
        found = self.histogram
        inside = is_foreground(found.values, meaning, self.colour)
        lines = self.line_pixels if meaning == OBJECTS else 0
        return float((found.counts[inside].sum() - lines) / self.pixels)


def label_facts(file: LabelFile, sample: np.ndarray | None, text: str = NONE) -> LabelFacts:
    """Look at one label.

    Args:
        file: as ``read_label`` gives it.
        sample: ``sampled`` of the image, of equal size; None where it cannot be read.
        text: of ``label_ignored``, what is ignored.
    """
    ignored = ignored_pixels(file, text)
    label = without_ignored(file, ignored)
    whole, count = label_histogram(label), 0 if ignored is None else int(ignored.sum())
    histogram = _less(whole, count)
    colour = label.ndim == 3
    values = histogram.values
    regions: tuple[int, ...] = ()
    pieces: tuple[int, ...] = ()
    line_pixels = 0
    if colour and len(values) >= MANY_SHADES:
        regions = _regions(label, whole)
    if len(values) > 2 and not colour:
        regions = _regions(label, whole)
        objects = values[values != 0]
        if (
            objects[0] > 0
            and len(objects) > 2
            and len(set(regions) - {0}) >= REGION_VALUES * len(objects)
        ):
            pieces = _pieces(label)
    if np.count_nonzero(values) > 1 and not colour:
        line_pixels = _line_pixels(label, histogram)
    contrast = np.nan
    if sample is not None and len(values) > 1 and not colour:
        contrast = _contrast(sample, label, (float(values[0]) + float(values[-1])) / 2, ignored)
    return LabelFacts(
        histogram=histogram,
        colour=colour,
        regions=regions,
        pieces=pieces,
        line_pixels=line_pixels,
        contrast=contrast,
        ignored=count,
        ignored_by=tuple(occurring(file, text)),
        clear=file.clear is not None,
        nodata=file.nodata if file.told_nodata is None else file.told_nodata,
    )


def _less(histogram: Histogram, ignored: int) -> Histogram:
    """A histogram without the ignored pixels, which are 0 in it."""
    counts = histogram.counts - ignored * (histogram.values == 0)
    return Histogram(histogram.values[counts > 0], counts[counts > 0])


def _regions(label: np.ndarray, histogram: Histogram) -> tuple[int, ...]:
    squares = np.zeros(len(histogram.values), np.int64)
    rows = max(1, COUNTED // label.shape[1])
    for start in range(0, len(label) - 1, rows):
        band = packed(label[start : start + rows + 1])
        corner = band[:-1, :-1]
        same = (corner == band[1:, :-1]) & (corner == band[:-1, 1:]) & (corner == band[1:, 1:])
        found, counts = np.unique(corner[same], return_counts=True)
        squares[np.searchsorted(histogram.values, found)] += counts
    return tuple(histogram.values[squares >= REGION_SQUARES * histogram.counts].tolist())


def _line_pixels(label: np.ndarray, histogram: Histogram) -> int:
    objects, count = Objects(histogram), int(histogram.counts[histogram.values != 0].sum())
    rows = max(1, COUNTED // label.shape[1])
    for start in range(0, len(label), rows):
        band = slice(start, start + rows)
        inside = objects.foreground(lambda top, end: label[top:end], label.shape, band)
        count -= int(np.count_nonzero(inside))
    return count


def _pieces(label: np.ndarray) -> tuple[int, ...]:
    """How many pieces, connected by sides and corners, each value but 0 falls into.

    Pieces are numbered band by band, since numbers take 16 bytes a pixel, and then those are one
    that touch across the border of two bands.
    """
    rows = max(1, COUNTED // label.shape[1])
    values, touching = [np.zeros(1, label.dtype)], [np.zeros((2, 0), np.int64)]
    count, above = 1, np.zeros(0, np.int64)  # number 0 is the background
    for start in range(0, len(label), rows):
        band = label[start : start + rows]
        numbers = number_pieces(band, background=0, connectivity=2)
        value = np.zeros(int(numbers.max()) + 1, label.dtype)
        value[numbers.reshape(-1)] = band.reshape(-1)
        first, last = (np.where(row > 0, row + count - 1, 0) for row in numbers[[0, -1]])
        if start:
            touching.extend(_touching(label[start - 1 : start + 1], above, first))
        values.append(value[1:])
        count, above = count + len(value) - 1, last
    value_of, (one, other) = np.concatenate(values), np.concatenate(touching, axis=1)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(count, count))
    _, whole = connected_components(graph, directed=False)
    _, places = np.unique(whole, return_index=True)
    found, counts = np.unique(value_of[places], return_counts=True)
    return tuple(counts[found != 0].tolist())


def _touching(rows: np.ndarray, above: np.ndarray, below: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers (2, M) of pieces of one value that touch across the border of two bands.

    Args:
        rows: (2, W), the values above and below the border.
        above, below: (W,), the numbers of their pieces.
    """
    width = rows.shape[1]
    for shift in (-1, 0, 1):  # by sides and corners
        here = slice(max(0, -shift), width - max(0, shift))
        there = slice(max(0, shift), width - max(0, -shift))
        same = (rows[0, here] == rows[1, there]) & (rows[0, here] != 0)
        yield np.unique([above[here][same], below[there][same]], axis=1)


def _contrast(
    sample: np.ndarray, label: np.ndarray, middle: float, ignored: np.ndarray | None
) -> float:
    pixels = sample.astype(np.float64)  # squares and sums of large floats are beyond float32
    if pixels.ndim == 3:
        pixels = pixels.mean(axis=2)
    upper = sampled(label) > middle
    if ignored is not None:
        counted = ~sampled(ignored)
        pixels, upper = pixels[counted], upper[counted]
    deviation = pixels.std() if pixels.size else 0
    if not deviation or not upper.any() or upper.all():
        return np.nan
    return float((pixels[upper].mean() - pixels[~upper].mean()) / deviation)
