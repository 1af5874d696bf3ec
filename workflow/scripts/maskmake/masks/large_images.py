"""A decision applied to an image that is too large for memory.

Objects and holes are labelled band by band and joined where bands meet, so their sizes are those of
the whole image, and so are the seeds of two levels. The watershed between seeds works in windows,
each a block of the image with a margin around it. So the mask equals that of
``decision.apply_decision``, except for pixels whose path to their seed is longer than the margin.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maskmake.data.file_decoders import band_rows
from maskmake.data.images import WHOLE_PIXELS
from maskmake.data.labels import HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY
from maskmake.masks.decision import (
    Decision,
    apply_decision,
    draw_lines,
    grow,
    object_mask,
    object_probability,
)

# Side of the block that one watershed decides, and how far it looks beyond, in pixels.
BLOCK, MARGIN = 1024, 256

# Values of the objects on disk. For the next window a pixel on a line is still part of an object.
MASK, LINE = 1, 2

# What is on disk for each pixel of a large image: probability, mask, and number of the component.
STORED = np.float16, np.uint8, np.int32

Rows = slice


class DiskArray:
    """A two-dimensional array of zeros in a file without a name, which ends with the process.

    Args:
        folder: where the file is created.
        shape: (H, W).
        dtype: of a pixel.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], dtype):
        folder.mkdir(parents=True, exist_ok=True)
        self.shape, self._dtype = shape, np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (close closes it)
        size = shape[0] * shape[1] * self._dtype.itemsize
        if hasattr(os, "posix_fallocate"):  # or a full disk would kill the process with a signal
            os.posix_fallocate(self._file.fileno(), 0, size)
        else:
            self._file.truncate(size)

    def rows(self, start: int, stop: int) -> np.memmap:
        """Rows to read or change. Each call maps them alone, so that they can leave memory."""
        width = self.shape[1]
        first_byte = start * width * self._dtype.itemsize
        return np.memmap(self._file, self._dtype, "r+", first_byte, (stop - start, width))

    def close(self) -> None:
        self._file.close()


def temporary_bytes(shape: tuple[int, int]) -> int:
    """Bytes of the temporary files that ``masked`` needs for an image (H, W)."""
    pixels = shape[0] * shape[1]
    return 0 if pixels <= WHOLE_PIXELS else pixels * sum(dtype().itemsize for dtype in STORED)


def masked(
    probability: Iterator[np.ndarray], shape: tuple[int, int], decision: Decision, folder: Path
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Apply a decision to an image whose probability comes in bands.

    Args:
        probability: bands of consecutive rows, (h, W) float16, 0 to 1.
        shape: (H, W) of the image.
        decision: what to apply.
        folder: for temporary files, ``temporary_bytes`` in all.

    Yields:
        Bands of consecutive rows: probability (h, W) float16 and mask (h, W) bool.
    """
    if shape[0] * shape[1] <= WHOLE_PIXELS:
        whole = np.concatenate(list(probability))
        yield whole, apply_decision(whole, decision)
        return
    with ExitStack() as stack:
        kept, mask, labels = (
            stack.enter_context(closing(DiskArray(folder, shape, dtype))) for dtype in STORED
        )
        start = 0
        for band in probability:
            kept.rows(start, start + len(band))[:] = band
            start += len(band)
        _decide(kept, mask, labels, decision)
        for rows in _bands(shape):
            yield _read(kept, rows), object_mask(_read(mask, rows) == MASK, decision.objects)


def _decide(probability: DiskArray, mask: DiskArray, labels: DiskArray, decision: Decision) -> None:
    """Fill the array of the objects; the steps are those of ``apply_decision``."""

    def seen(rows: Rows, columns: slice = np.s_[:]) -> np.ndarray:
        return object_probability(_read(probability, rows, columns), decision.objects)

    objects = _BandedComponents(
        lambda rows: seen(rows) > decision.threshold, labels, OBJECT_CONNECTIVITY
    )
    has_object = False
    for rows in _bands(mask.shape):
        kept = objects.at_least(decision.min_object, rows)
        has_object |= bool(kept.any())
        mask.rows(rows.start, rows.stop)[:] = kept
    if decision.min_hole and has_object:
        holes = _BandedComponents(lambda rows: _read(mask, rows) == 0, labels, HOLE_CONNECTIVITY)
        for rows in _bands(mask.shape):
            mask.rows(rows.start, rows.stop)[:] = ~holes.at_least(decision.min_hole, rows)
    if decision.upper is not None:
        seeds = _BandedComponents(
            lambda rows: (_read(mask, rows) > 0) & (seen(rows) > decision.upper),
            labels,
            OBJECT_CONNECTIVITY,
        )
        _mark_lines(seen, mask, seeds, decision.min_seed)


class _BandedComponents:
    """Connected components of a mask of any size, numbered from 1; 0 is no component.

    Args:
        mask: gives rows of the mask, (h, W) bool.
        labels: array of int32 to overwrite.
        connectivity: 1 joins pixels by their sides, 2 by their corners too.
    """

    def __init__(self, mask: Callable[[Rows], np.ndarray], labels: DiskArray, connectivity: int):
        self._labels = labels
        structure = ndimage.generate_binary_structure(2, connectivity)
        count, sizes, pairs = 0, [np.zeros(1, np.int64)], [np.zeros((2, 0), np.int32)]
        above = np.zeros(labels.shape[1], np.int32)
        for rows in _bands(labels.shape):
            found, new = ndimage.label(mask(rows), structure, output=np.int32)
            sizes.append(np.bincount(found.reshape(-1), minlength=new + 1)[1:])
            found[found > 0] += count
            pairs.append(_touching_labels(above, found[0], connectivity))
            labels.rows(rows.start, rows.stop)[:] = found
            above, count = found[-1].copy(), count + new
        a, b = np.concatenate(pairs, axis=1)
        joined = coo_array((np.ones(len(a), bool), (a, b)), (count + 1, count + 1))
        self._number = connected_components(joined, directed=False)[1].astype(np.int32)
        self._sizes = np.bincount(self._number, np.concatenate(sizes)).astype(np.int64)

    def at_least(self, size: int, rows: Rows, columns: slice = np.s_[:]) -> np.ndarray:
        """True in components of at least ``size`` pixels, (h, w) bool."""
        return self.numbers(size, rows, columns) > 0

    def numbers(self, size: int, rows: Rows, columns: slice = np.s_[:]) -> np.ndarray:
        """Number of each pixel's component, (h, w) int32; 0 for fewer than ``size`` pixels."""
        kept = np.where(self._sizes[self._number] >= size, self._number, 0)
        kept[0] = 0
        return kept[self._labels.rows(rows.start, rows.stop)[:, columns]]


def _touching_labels(above: np.ndarray, below: np.ndarray, connectivity: int) -> np.ndarray:
    """Pairs of labels, (2, n), that touch across the seam of two rows."""
    shifts = [(above, below)]
    if connectivity == 2:
        shifts += [(above[1:], below[:-1]), (above[:-1], below[1:])]
    pairs = np.concatenate([np.stack(shift) for shift in shifts], axis=1)
    return np.unique(pairs[:, (pairs > 0).all(axis=0)], axis=1)


def _mark_lines(
    probability: Callable[[Rows, slice], np.ndarray],
    mask: DiskArray,
    seeds: _BandedComponents,
    min_seed: int,
) -> None:
    """Mark the pixels of the lines between touching objects, block by block."""
    height, width = mask.shape
    for top in range(0, height, BLOCK):
        rows = slice(max(0, top - MARGIN), min(height, top + BLOCK + MARGIN))
        for left in range(0, width, BLOCK):
            columns = slice(max(0, left - MARGIN), min(width, left + BLOCK + MARGIN))
            window_mask = _read(mask, rows, columns) > 0
            window = probability(rows, columns)
            objects = grow(seeds.numbers(min_seed, rows, columns), window_mask, window)
            lines = window_mask & ~draw_lines(window_mask, objects, window)
            own = lines[top - rows.start :, left - columns.start :][:BLOCK, :BLOCK]
            bottom, right = top + own.shape[0], left + own.shape[1]
            mask.rows(top, bottom)[:, left:right][own] = LINE


def _bands(shape: tuple[int, int]) -> Iterator[Rows]:
    rows = band_rows(shape[1])
    for start in range(0, shape[0], rows):
        yield slice(start, min(shape[0], start + rows))


def _read(array: DiskArray, rows: Rows, columns: slice = np.s_[:]) -> np.ndarray:
    """A copy, after which the pages that were read can leave memory."""
    return np.array(array.rows(rows.start, rows.stop)[:, columns])
