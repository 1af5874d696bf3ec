"""Pictures of the pages: brightness, thumbnails with outlines, and transparent layers."""

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

# Colours of Okabe and Ito, which the colour-blind can tell apart.
OUTLINE = (86, 180, 233)
Colour = tuple[int, int, int]

JPEG_QUALITY = 85

# The difference of two large numbers is beyond float32, and that of their quarters is not. A power
# of two changes no digit.
QUARTER = 0.25


def grey_range(pixels: np.ndarray) -> tuple[float, float]:
    """The percentiles 0.5 and 99.5 of an image (H, W) or (H, W, C) of any type."""
    shown = _shown_channels(pixels)
    if shown.dtype.kind != "f":
        low, high = np.percentile(shown, [0.5, 99.5])
        return float(low), float(high)
    low, high = np.percentile(QUARTER * shown, [0.5, 99.5])
    return float(low) / QUARTER, float(high) / QUARTER


def grey_levels(pixels: np.ndarray, ends: tuple[float, float] | None = None) -> np.ndarray:
    """An image with its percentiles 0.5 and 99.5 as black and white.

    Args:
        pixels: (H, W) or (H, W, C), any type.
        ends: the numbers that become black and white, where the pixels are a part of an image.

    Returns:
        ``uint8``, (H, W) or (H, W, 3); colours keep their proportions. Two channels are red and
        green; of more than three, the first three are shown.
    """
    low, high = ends or grey_range(pixels)
    shown = QUARTER * _shown_channels(pixels).astype(np.float32)
    scaled = (shown - QUARTER * low) / (QUARTER * ((high - low) or 1))
    return (scaled.clip(0, 1) * 255).round().astype(np.uint8)


def _shown_channels(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3:
        return np.pad(pixels[:, :, :3], [(0, 0), (0, 0), (0, max(0, 3 - pixels.shape[2]))])
    return pixels


def write_jpeg(path: Path, picture: np.ndarray) -> None:
    """Write a ``uint8`` picture (H, W) or (H, W, 3) into a folder that is not final yet."""
    Image.fromarray(picture).save(path, quality=JPEG_QUALITY)


def write_layer(path: Path, kinds: np.ndarray, colours: Sequence[Colour]) -> None:
    """Write a picture that is transparent where ``kinds`` (H, W) is 0, and else of its colour."""
    image = Image.fromarray(kinds.astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, *(part for colour in colours for part in colour)])
    buffer = io.BytesIO()
    # Runs of one colour alone: half the time of the usual search for repetitions, and no larger.
    image.save(buffer, "PNG", bits=2, transparency=0, compress_type=zlib.Z_RLE)
    path.write_bytes(buffer.getvalue())


def outlined_thumbnail(picture: np.ndarray, mask: np.ndarray | None, side: int) -> np.ndarray:
    """A picture (H, W) or (H, W, 3) made small, with the border of a mask (H, W) drawn on it."""
    image = Image.fromarray(picture).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.BOX)
    small = np.array(image)
    if mask is not None:
        size = (small.shape[1], small.shape[0])
        white = Image.fromarray(mask.astype(np.uint8) * 255)
        inside = np.asarray(white.resize(size, Image.Resampling.BOX)) > 127
        small[inside & ~ndimage.binary_erosion(inside, border_value=1)] = OUTLINE
    return small
