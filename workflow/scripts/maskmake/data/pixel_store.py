"""The pixel store: all images of a data set in one memory-mapped array, found by an index."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.data.images import read_label, read_pixels
from maskmake.data.labels import foreground, label_range
from maskmake.runtime.files import writable_array, write_csv

INDEX_COLUMNS = ["id", "height", "width", "channels", "image_offset", "label_offset"]


class PixelStore:
    """Read-only access by id to the arrays of one ``.npy`` file; nothing is loaded whole.

    Args:
        path: C-contiguous array, N x H x W (x C) or flat.
        ids: id of each image.
        shapes: shape of each image, (H, W) or (H, W, C).
        offsets: index of each image's first element in the flattened array.
    """

    def __init__(
        self,
        path: str | Path,
        ids: Iterable[str],
        shapes: Iterable[tuple[int, ...]],
        offsets: Iterable[int],
    ):
        whole = np.load(path, mmap_mode="r")
        self._path, self._dtype, self._first_byte = path, whole.dtype, whole.offset
        self._places = dict(zip(ids, zip(shapes, offsets, strict=True), strict=True))

    @property
    def dtype(self) -> np.dtype:
        """Pixel type."""
        return self._dtype

    @property
    def ids(self) -> list[str]:
        """Ids in the order of the index."""
        return list(self._places)

    def __getitem__(self, image_id: str) -> np.ndarray:
        """Memory-mapped view of one image, (H, W) or (H, W, C)."""
        shape, offset = self._places[image_id]
        # A map of its own, so that the pages that were read leave the memory with the image.
        first_byte = self._first_byte + int(offset) * self._dtype.itemsize
        return np.memmap(self._path, self._dtype, "r", first_byte, tuple(map(int, shape)))

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
    return PixelStore(path, index["id"], shapes, index["image_offset"])


def open_labels(path: str | Path, index: pd.DataFrame) -> PixelStore:
    """Labels of ``index.csv``: (H, W) ``uint8``, 0 or 1."""
    return PixelStore(path, index["id"], _shapes_2d(index), index["label_offset"])


def open_probabilities(path: str | Path, index: pd.DataFrame, ids: Iterable[str]) -> PixelStore:
    """Probabilities written one after the other for ``ids``: (H, W) ``float16``, 0 to 1."""
    shapes = _shapes_2d(index.set_index("id", drop=False).loc[list(ids)])
    return PixelStore(path, ids, shapes, offsets_of(shapes))


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


def to_pixel_type(pixels: np.ndarray, dtype: np.dtype, channels: int) -> np.ndarray:
    """One image in the pixel type of the whole set: 8 bits become 16, grey becomes RGB."""
    if pixels.dtype != dtype:
        pixels = pixels.astype(dtype) * 257  # 255 * 257 = 65535
    if channels == 3 and pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return pixels


def build_store(
    manifest: pd.DataFrame,
    threshold: float,
    images_path: str | Path,
    labels_path: str | Path,
    index_path: str | Path,
) -> None:
    """Write ``images.npy``, ``labels.npy`` and ``index.csv`` of a checked data set.

    Args:
        manifest: table of ``manifest.csv``.
        threshold: share of the label range above which a pixel is foreground.
        images_path: output, ``uint8`` or ``uint16``: the wider of the types present.
        labels_path: output, ``uint8``, 0 or 1.
        index_path: output, shape and offsets of each image.
    """
    channels = int(manifest["channels"].max())
    dtype = np.dtype(max(manifest["dtype"], key=lambda name: np.dtype(name).itemsize))
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
        },
        columns=INDEX_COLUMNS,
    )
    top = label_range(int(manifest["label_maximum"].max()))
    with (
        writable_array(images_path, stacked_shape(image_shapes), dtype) as images,
        writable_array(labels_path, stacked_shape(label_shapes), np.uint8) as labels,
    ):
        flat_images, flat_labels = images.reshape(-1), labels.reshape(-1)
        for row, place in zip(manifest.itertuples(), index.itertuples(), strict=True):
            pixels = to_pixel_type(read_pixels(row.image), dtype, channels)
            label = foreground(read_label(row.label), threshold, top)
            flat_images[place.image_offset :][: pixels.size] = pixels.reshape(-1)
            flat_labels[place.label_offset :][: label.size] = label.reshape(-1)
    write_csv(index_path, index)
