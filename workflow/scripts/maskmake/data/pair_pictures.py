"""Small pictures of pairs, for the page of the audit."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from maskmake.data.image_samples import Sliced

# Pairs are sampled above the first number. Those with a finding are shown up to the second: with
# pictures of 4 KB the page has at most 6 MB.
SAMPLED, MOST_PICTURES = 500, 1000

PICTURE_SIDE, PICTURE_QUALITY = 128, 80
OUTLINE = (86, 180, 233)  # as on the other pages


def reduced(pixels: Sliced) -> np.ndarray:
    """Every n-th row and column of (H, W) or (H, W, C), at most 4 * 128 of each."""
    step = -(-max(pixels.shape[:2]) // (4 * PICTURE_SIDE))
    return pixels[::step, ::step]


def outlined_jpeg(image: np.ndarray, mask: np.ndarray, low: float, high: float) -> bytes:
    """A small picture of an image with the border of its label drawn on it.

    Args:
        image: (H, W) or (H, W, C), any number type, at most as large as ``reduced`` gives it.
        mask: (H, W) bool.
        low, high: values of the image that become black and white.
    """
    pixels = image.astype(np.float64)  # sums and differences of large floats are beyond float32
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        pixels = pixels.mean(axis=2)
    scaled = ((pixels - low) / ((high - low) or 1)).clip(0, 1) * 255
    picture = np.array(_thumbnail(scaled.round().astype(np.uint8)).convert("RGB"))
    label = np.asarray(_thumbnail(mask * np.uint8(255))) > 127
    picture[label & ~ndimage.binary_erosion(label, border_value=True)] = OUTLINE
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=PICTURE_QUALITY, subsampling=0)
    return buffer.getvalue()


def _thumbnail(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    return image
