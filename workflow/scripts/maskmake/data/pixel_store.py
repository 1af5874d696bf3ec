"""The pixel store: all images of a data set in one memory-mapped array, found by an index."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from maskmake.data.file_decoders import band_rows
from maskmake.data.image_samples import is_grey, store_type, with_channels
from maskmake.data.label_files import LabelFile
from maskmake.data.label_ignored import ignored_pixels, without_ignored
from maskmake.data.label_names import describe_files, split_files
from maskmake.data.label_values import (
    OBJECTS,
    Objects,
    foreground_mask,
    label_histogram,
    merged,
)
from maskmake.data.labels import IGNORED
from maskmake.data.object_masks import sum_of_files
from maskmake.data.pair_pixels import PairedImage, open_pair
from maskmake.data.tables import check_columns, damaged
from maskmake.data.thumbnails import thumbnail
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_array, writable_array, write_csv
from maskmake.runtime.progress import tracked

Pixels = TypeVar("Pixels", np.ndarray, LabelFile)


class PixelStore:
    """Read-only access by id to the arrays of one ``.npy`` file; nothing is loaded whole.

    Args:
        path: C-contiguous array, N x H x W (x C) or flat.
        ids: id of each image.
        shapes: shape of each image, (H, W) or (H, W, C).
        offsets: index of each image's first element in the flattened array.
        sums: SHA-256 of each image's elements, compared when it is first asked for; None: they
            are not compared.
        step: the target that made the file, for the sentence.

    Raises:
        UserError: the file is not a whole array, or not of the size that the shapes add up to.
    """

    def __init__(
        self,
        path: str | Path,
        ids: Iterable[str],
        shapes: Iterable[tuple[int, ...]],
        offsets: Iterable[int],
        sums: Iterable[str] | None = None,
        step: str = "binarize",
    ):
        whole = read_array(path, mapped=True)
        assert isinstance(whole, np.memmap)
        self._path, self._dtype, self._first_byte = path, whole.dtype, whole.offset
        self._step = step
        self._places = dict(zip(ids, zip(shapes, offsets, strict=True), strict=True))
        self._unchecked = {} if sums is None else dict(zip(self._places, sums, strict=True))
        expected = sum(int(np.prod(shape)) for shape, _ in self._places.values())
        if whole.size != expected:
            raise damaged(path, f"{whole.size} numbers instead of {expected}", step)

    @property
    def dtype(self) -> np.dtype:
        """Pixel type."""
        return self._dtype

    @property
    def ids(self) -> list[str]:
        """Ids in the order of the index."""
        return list(self._places)

    def __getitem__(self, image_id: str) -> np.ndarray:
        """Memory-mapped view of one image, (H, W) or (H, W, C).

        Raises:
            UserError: its elements are not those that were written.
        """
        shape, offset = self._places[image_id]
        # A map of its own, so that the pages that were read leave the memory with the image.
        first_byte = self._first_byte + int(offset) * self._dtype.itemsize
        # As text: of a Path, NumPy looks up every folder, which took 4 % of a training on a GPU.
        image = np.memmap(str(self._path), self._dtype, "r", first_byte, tuple(map(int, shape)))
        if image_id in self._unchecked:
            if hashlib.sha256(image.data).hexdigest() != self._unchecked[image_id]:
                raise damaged(self._path, f"other bytes (SHA-256) for '{image_id}'", self._step)
            del self._unchecked[image_id]
        return image

    def shape(self, image_id: str) -> tuple[int, ...]:
        """Shape of one image, without touching its pixels."""
        return self._places[image_id][0]

    def size(self, image_id: str) -> tuple[int, int]:
        """Height and width of one image, without touching its pixels."""
        height, width = self.shape(image_id)[:2]
        return height, width


def image_bands(image: np.ndarray) -> Iterator[np.ndarray]:
    """Bands of an image (H, W) or (H, W, C) that is in memory or mapped."""
    rows = band_rows(image.shape[1])
    return (image[start : start + rows] for start in range(0, len(image), rows))


def open_images(path: str | Path, index: pd.DataFrame) -> PixelStore:
    """Images of ``index.csv``: (H, W) when grey, (H, W, C) otherwise."""
    shapes = [
        (row.height, row.width) if row.channels == 1 else (row.height, row.width, row.channels)
        for row in index.itertuples()
    ]
    return PixelStore(path, index["id"], shapes, index["image_offset"], index.get("sha256_image"))


def open_labels(path: str | Path, index: pd.DataFrame) -> PixelStore:
    """Labels of ``index.csv``: (H, W) ``uint8``, 0, 1 or ``IGNORED``."""
    shapes = _shapes_2d(index)
    return PixelStore(path, index["id"], shapes, index["label_offset"], index.get("sha256_label"))


def open_probabilities(
    path: str | Path,
    index: pd.DataFrame,
    ids: Iterable[str],
    sums: Iterable[str] | None = None,
) -> PixelStore:
    """Probabilities written one after the other for ``ids``: (H, W) ``float16``, 0 to 1."""
    shapes = _shapes_2d(index.set_index("id", drop=False).loc[list(ids)])
    return PixelStore(path, ids, shapes, offsets_of(shapes), sums, "predict")


def _shapes_2d(index: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(index["height"], index["width"], strict=True))


def offsets_of(shapes: Iterable[tuple[int, ...]]) -> np.ndarray:
    """First element of each array when arrays of these shapes stand one after the other."""
    sizes = np.array([np.prod(shape) for shape in shapes], dtype=np.int64)
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def stacked_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Shape of the array that holds them all: N x H x W (x C) if they are equal, else flat."""
    if len(set(shapes)) == 1:
        return (len(shapes), *shapes[0])
    return (int(sum(np.prod(shape) for shape in shapes)),)


def to_pixel_type(
    pixels: np.ndarray, dtype: np.dtype, channels: int, value_range: int | None = None
) -> np.ndarray:
    """One image in the pixel type and with the channels of the whole set.

    Args:
        pixels: (H, W) or (H, W, C).
        dtype: of the set.
        channels: of the set; grey becomes RGB, and three equal channels become one.
        value_range: which value of 16 bits is 255 of 8 bits; None: values stay as they are.

    Raises:
        UserError: see ``with_channels``.
    """
    if pixels.dtype == np.uint8 and dtype == np.uint16 and value_range is not None:
        levels = np.rint(np.arange(256) * (value_range / 255)).astype(np.uint16)
        pixels = levels[pixels]
    return with_channels(pixels.astype(dtype, copy=False), channels)


def build_store(
    manifest: pd.DataFrame,
    images_path: str | Path,
    labels_path: str | Path,
    index_path: str | Path,
    selection: Sequence[int] | None = None,
    value_range: int | None = None,
) -> np.ndarray:
    """Write ``images.npy``, ``labels.npy`` and ``index.csv`` of a checked data set.

    Args:
        manifest: table of ``manifest.csv``.
        images_path: output, of the type that holds those of all files, see ``store_type``.
        labels_path: output, ``uint8``, 0, 1 or ``IGNORED``.
        index_path: output; shape, offsets and SHA-256 of each image and label.
        selection: ``dataset.channels``, which channels are used, counted from 1.
        value_range: ``dataset.range``, see ``to_pixel_type``.

    Returns:
        The thumbnail of each image, (N, 16, 16) ``float32``.

    Raises:
        UserError: a file cannot be read, or is not the one that was audited.
    """
    check_columns("manifest.csv", manifest, ["label_foreground", "label_ignored"], "validate")
    channels = int(manifest["channels"].max())
    dtype = store_type(manifest["dtype"])
    label_shapes = _shapes_2d(manifest)
    image_shapes = [shape if channels == 1 else (*shape, channels) for shape in label_shapes]
    index = pd.DataFrame(
        {
            "id": manifest["id"],
            "height": manifest["height"],
            "width": manifest["width"],
            "channels": channels,
            "image_offset": offsets_of(image_shapes),
            "label_offset": offsets_of(label_shapes),
        }
    )
    convert = partial(to_pixel_type, dtype=dtype, channels=channels, value_range=value_range)
    stored: list[_Stored] = []
    places = index.itertuples()
    with (
        writable_array(images_path, stacked_shape(image_shapes), dtype) as images,
        writable_array(labels_path, stacked_shape(label_shapes), np.uint8) as labels,
    ):
        for _, of_files in groupby(
            tracked(manifest.itertuples(), "stored", len(manifest)),
            key=attrgetter("image", "label"),
        ):
            rows = list(of_files)
            with _unchanged(rows[0]):
                parts = open_pair(rows[0].id, Path(rows[0].image), rows[0].label, selection)
                for row, part in zip(rows, parts, strict=True):
                    stored.append(_store_pair(row, part, convert, next(places), images, labels))
    _, sums_of_images, sums_of_labels = zip(*stored, strict=True)
    write_csv(index_path, index.assign(sha256_image=sums_of_images, sha256_label=sums_of_labels))
    return np.stack([one.thumbnail for one in stored])


class _Stored(NamedTuple):
    thumbnail: np.ndarray
    sha256_image: str
    sha256_label: str


def _store_pair(
    row,
    part: PairedImage,
    convert: Callable[[np.ndarray], np.ndarray],
    place,
    images: np.ndarray,
    labels: np.ndarray,
) -> _Stored:
    """Write the image of a row of the manifest, and then its label, which is as large."""
    pixels = convert(_of_audited_size(part.read_image(), row))
    small = thumbnail(pixels)
    sum_of_image = _store(images, place.image_offset, image_bands(pixels))
    del pixels
    label = _of_audited_size(part.read_label(), row)
    bands = binary_bands(label, str(row.label_foreground), str(row.label_ignored))
    return _Stored(small, sum_of_image, _store(labels, place.label_offset, bands))


def _store(array: np.ndarray, offset: int, bands: Iterable[np.ndarray]) -> str:
    """Write bands of an image one after the other into a mapped array; gives their SHA-256."""
    assert isinstance(array, np.memmap)
    total = hashlib.sha256()
    for band in bands:
        total.update(np.ascontiguousarray(band).data)
        # A map of its own, so that the pages that were written leave the memory with it.
        first_byte = array.offset + int(offset) * array.dtype.itemsize
        np.memmap(str(array.filename), array.dtype, "r+", first_byte, band.shape)[...] = band
        offset += band.size
    return total.hexdigest()


def binary_bands(file: LabelFile, meaning: str, ignored: str) -> Iterator[np.ndarray]:
    """A label as the pixel store has it, rows of ``uint8``: 0, 1 and ``IGNORED``.

    Args:
        file: as ``read_label`` gives it.
        meaning: text of ``label_values``.
        ignored: text of ``label_ignored``.
    """
    height, width = file.shape[:2]
    bands = [slice(start, start + band_rows(width)) for start in range(0, height, band_rows(width))]

    def values(start: int, stop: int) -> np.ndarray:
        part = file.part(slice(start, stop))
        return without_ignored(part, ignored_pixels(part, ignored))

    if meaning == OBJECTS:
        counted = (label_histogram(values(band.start, band.stop)) for band in bands)
        objects = Objects(merged(list(counted)))
    for band in bands:
        if meaning == OBJECTS:
            mask = objects.foreground(values, file.shape, band)
        else:
            mask = foreground_mask(values(band.start, band.stop), meaning)
        label = mask.view(np.uint8)
        left_out = ignored_pixels(file.part(band), ignored)
        if left_out is not None:
            label[left_out] = IGNORED
        yield label


@contextmanager
def _unchanged(first) -> Iterator[None]:
    """Compare the files of a row with those that were audited.

    They are compared after they were decoded, so that a change until then is seen, and is the
    reason of what is wrong with them.
    """
    sums = {first.image: first.sha256_image, first.label: first.sha256_label}
    try:
        yield
    finally:
        for path, audited in sums.items():
            there = all(file.is_file() for file in split_files(path))
            if there and sum_of_files(path) != audited:
                raise _changed(path)


def _of_audited_size(found: Pixels, row) -> Pixels:
    same = found.shape[:2] == (row.height, row.width)
    if same and isinstance(found, np.ndarray):
        same = row.channels == (1 if is_grey(found) else found.shape[2])
    if not same:
        raise _changed(row.image)
    return found


def _changed(path: str) -> UserError:
    return UserError(
        f"{describe_files(path)}: changed since validate read it; expected the file that was "
        "audited; run again, which audits it first."
    )
