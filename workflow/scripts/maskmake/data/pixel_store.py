"""The pixel store: all images of a data set in one memory-mapped array, found by an index."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.data.image_samples import is_grey, kept_type, with_channels
from maskmake.data.label_files import LabelFile
from maskmake.data.label_ignored import ignored_pixels, without_ignored
from maskmake.data.label_names import describe_files, split_files
from maskmake.data.label_values import foreground_mask
from maskmake.data.labels import IGNORED
from maskmake.data.object_masks import sum_of_files
from maskmake.data.pair_pixels import open_pair
from maskmake.data.tables import check_columns, damaged
from maskmake.data.thumbnails import thumbnail
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_array, writable_array, write_csv


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
        image = np.memmap(self._path, self._dtype, "r", first_byte, tuple(map(int, shape)))
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


def store_type(file_types: Iterable[str]) -> np.dtype:
    """The pixel type that holds those of all files: the names ``dtype`` of ``manifest.csv``."""
    common = np.result_type(*(kept_type(np.dtype(name)) for name in set(file_types)))
    return common if common in (np.uint8, np.uint16, np.int16) else np.dtype(np.float32)


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
    thumbnails: list[np.ndarray] = []
    sums: dict[str, list[str]] = {"sha256_image": [], "sha256_label": []}
    with (
        writable_array(images_path, stacked_shape(image_shapes), dtype) as images,
        writable_array(labels_path, stacked_shape(label_shapes), np.uint8) as labels,
    ):
        flat_images, flat_labels = images.reshape(-1), labels.reshape(-1)
        audited = _audited_pairs(manifest, selection)
        for row, place, (pixels, file) in zip(
            manifest.itertuples(), index.itertuples(), audited, strict=True
        ):
            pixels = to_pixel_type(pixels, dtype, channels, value_range)
            thumbnails.append(thumbnail(pixels))
            label = binary_label(file, str(row.label_foreground), str(row.label_ignored))
            flat_images[place.image_offset :][: pixels.size] = pixels.reshape(-1)
            flat_labels[place.label_offset :][: label.size] = label.reshape(-1)
            sums["sha256_image"].append(_sum(pixels))
            sums["sha256_label"].append(_sum(label))
    write_csv(index_path, index.assign(**sums))
    return np.stack(thumbnails)


def binary_label(file: LabelFile, meaning: str, ignored: str) -> np.ndarray:
    """A label as the pixel store has it, (H, W) ``uint8``: 0, 1 and ``IGNORED``.

    Args:
        file: as ``read_label`` gives it.
        meaning: text of ``label_values``.
        ignored: text of ``label_ignored``.
    """
    left_out = ignored_pixels(file, ignored)
    label = foreground_mask(without_ignored(file, left_out), meaning).astype(np.uint8)
    if left_out is not None:
        label[left_out] = IGNORED
    return label


def _sum(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _audited_pairs(
    manifest: pd.DataFrame, selection: Sequence[int] | None
) -> Iterator[tuple[np.ndarray, LabelFile]]:
    """Each image and its label, of files that still have the bytes that were audited.

    They are compared after the files were decoded, so that a change until then is seen.
    """
    for _, of_files in groupby(manifest.itertuples(), key=attrgetter("image", "label")):
        rows = list(of_files)
        first = rows[0]
        sums = {first.image: first.sha256_image, first.label: first.sha256_label}
        fault: UserError | None = None
        try:
            parts = open_pair(first.id, Path(first.image), first.label, selection)
            if len(parts) != len(rows):
                _check_unchanged(sums)
            for row, part in zip(rows, parts, strict=True):
                pixels, label = part.read_image(), part.read_label()
                channels = 1 if is_grey(pixels) else pixels.shape[2]
                sizes = {pixels.shape[:2], label.shape[:2]}
                if sizes != {(row.height, row.width)} or channels != row.channels:
                    raise _changed(row.image)
                yield pixels, label
        except UserError as error:
            fault = error
        _check_unchanged(sums)
        if fault:
            raise fault


def _check_unchanged(sums: dict[str, str]) -> None:
    for path, audited in sums.items():
        there = all(file.is_file() for file in split_files(path))
        if there and sum_of_files(path) != audited:
            raise _changed(path)


def _changed(path: str) -> UserError:
    return UserError(
        f"{describe_files(path)}: changed since validate read it; expected the file that was "
        "audited; run again, which audits it first."
    )
