"""Which samples of a file are the channels of an image, and in which type they are kept."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from maskmake.runtime.errors import UserError

MOST_CHANNELS = 16
SAMPLED = 2**18  # about so many pixels of an image give its brightness, values and contrast
FLOAT_TYPES = frozenset({"float16", "float32", "float64"})


class Sliced(Protocol):
    """An array, or what gives parts of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, places: Any, /) -> np.ndarray: ...


def sampled(pixels: Sliced) -> np.ndarray:
    """Every n-th row and column of (H, W) or (H, W, C), about ``SAMPLED`` points."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / SAMPLED) ** 0.5))
    return pixels[::step, ::step]


def kept_type(dtype: np.dtype) -> np.dtype:
    """The type in which pixels of a file are kept: ``uint8``, ``uint16``, ``int16``, ``float32``.

    Integers of 32 bits become floats, which the network takes: exact up to 2**24, and beyond that
    to seven digits.
    """
    if dtype in (np.uint8, np.uint16, np.int16):
        return np.dtype(dtype)
    return np.dtype({"bool": np.uint8, "int8": np.int16}.get(np.dtype(dtype).name, np.float32))


def store_type(file_types: Iterable[str]) -> np.dtype:
    """The pixel type that holds those of all files: the names ``dtype`` of ``manifest.csv``."""
    common = np.result_type(*(kept_type(np.dtype(name)) for name in set(file_types)))
    return common if common in (np.uint8, np.uint16, np.int16) else np.dtype(np.float32)


def chosen_channels(samples: int, alpha: bool, selection: Sequence[int] | None) -> list[int]:
    """Places of the samples of a pixel that are channels of the image.

    Args:
        samples: how many the file has.
        alpha: whether the last one is alpha, which is left out unless it is selected.
        selection: ``dataset.channels``, counted from 1; None takes all.

    Raises:
        UserError: a channel is not there, or there are more than 16.
    """
    if selection is not None:
        if max(selection) > samples:
            raise UserError(
                f"{samples} channel{'s' if samples > 1 else ''}, but dataset.channels selects "
                f"channel {max(selection)}; expected files with all selected channels; change "
                "dataset.channels or the file."
            )
        return [number - 1 for number in selection]
    count = samples - alpha
    if count > MOST_CHANNELS:
        raise UserError(
            f"{count} channels; expected at most {MOST_CHANNELS}; set dataset.channels to the list "
            "of those to use, counted from 1."
        )
    return list(range(count))


def finite(band: np.ndarray, first_row: int) -> np.ndarray:
    """Floats of a band (h, W, C) as ``float32``.

    Raises:
        UserError: a value is not finite, or beyond the range of ``float32``.
    """
    with np.errstate(over="ignore"):
        kept = band.astype(np.float32, copy=False)
    if not np.isfinite(kept).all():
        row, column, channel = np.argwhere(~np.isfinite(kept))[0]
        where = f"row {first_row + row}, column {column}"
        where += f", channel {channel + 1}" if band.shape[2] > 1 else ""
        raise UserError(
            f"the value {band[row, column, channel]} in {where}; expected finite numbers of "
            "at most 3.4e38, the largest of float32; replace such values in the image."
        )
    return kept


def is_grey(pixels: np.ndarray) -> bool:
    """Whether an image (H, W) or (H, W, C) has one channel, or three equal ones."""
    if pixels.ndim == 2:
        return True
    return pixels.shape[2] == 3 and all(
        (band == band[:, :, :1]).all() for band in _row_bands(pixels)
    )


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels with a number of channels: grey is repeated, and three equal ones become one.

    Args:
        pixels: (H, W) or (H, W, C).
        channels: of the result, (H, W) for 1.

    Raises:
        UserError: the pixels have another number of channels, or three that differ.
    """
    found = 1 if pixels.ndim == 2 else pixels.shape[2]
    if found == channels:
        return pixels
    if found == 1 and channels == 3:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    if channels == 1 and found == 3:
        if is_grey(pixels):
            return pixels[:, :, 0]
        raise UserError(
            "colours, where grey is expected; convert the image to grey as the training images "
            "were."
        )
    raise UserError(
        f"{found} channels, where {channels} are expected; select channels with dataset.channels."
    )


def _row_bands(pixels: np.ndarray, rows: int = 256) -> Iterator[np.ndarray]:
    return (pixels[start : start + rows] for start in range(0, len(pixels), rows))
