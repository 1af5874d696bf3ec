"""The sample of a package: a square part of a test image, with what the network gives for it."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maskmake.network.settings import ENCODER_STRIDE
from maskmake.runtime.files import write_bytes, write_png

LARGEST = 256  # pixels on a side


class Sample(NamedTuple):
    """A square part of an image.

    Attributes:
        pixels: (S, S) or (S, S, C), as they are in the pixel store.
        probability: (S, S) float16.
        mask: (S, S) bool.
    """

    pixels: np.ndarray
    probability: np.ndarray
    mask: np.ndarray


def square(image: np.ndarray, bound: int | None) -> np.ndarray:
    """The middle of an image, as large as a network takes at once; mirrored if it is too small.

    Args:
        image: (H, W) or (H, W, C).
        bound: the side that the network is bound to, if it is.
    """
    shortest = min(image.shape[:2])
    fits = max(ENCODER_STRIDE, min(LARGEST, shortest) // ENCODER_STRIDE * ENCODER_STRIDE)
    side = bound or fits
    top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
    part = np.asarray(image[top : top + side, left : left + side])
    missing = [(0, side - length) for length in part.shape[:2]] + [(0, 0)] * (image.ndim - 2)
    return np.pad(part, missing, mode="symmetric")


def write_sample(sample: Sample, folder: Path) -> None:
    """Write the parts of a sample to ``folder/sample``, and ``folder/cover.png`` of image and mask.

    The image and the probability are arrays, so that nothing is rounded.
    """
    write_array(folder / "sample" / "image.npy", sample.pixels)
    write_array(folder / "sample" / "probability.npy", sample.probability)
    write_png(folder / "sample" / "mask.png", sample.mask)
    grey = sample.mask.astype(np.uint8) * 255
    left = _visible(sample.pixels)
    right = grey if left.ndim == 2 else np.repeat(grey[..., None], 3, axis=2)
    write_png(folder / "cover.png", np.concatenate([left, right], axis=1))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a ``.npy`` file."""
    # To a file itself NumPy writes by way of C, which loses the end of an array on a full disk
    # without an error, or has an error without a number.
    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())


def _visible(pixels: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 255: grey (S, S), or colours (S, S, 3) of the first three channels."""
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        pixels = pixels[..., 0]
    if pixels.dtype == np.uint8:
        return pixels
    low, high = np.percentile(pixels, [1, 99])
    stretched = (pixels.astype(np.float64) - low) / max(high - low, 1e-9)
    return (255 * np.clip(stretched, 0, 1)).round().astype(np.uint8)
