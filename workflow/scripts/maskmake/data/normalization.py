"""Zero mean and unit variance of each image by itself."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from maskmake.data.pixel_store import PixelStore, image_bands


class Moments(NamedTuple):
    """Mean and standard deviation of each channel of an image, (C,); 1 where it is constant."""

    mean: np.ndarray
    std: np.ndarray

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (H, W) or (H, W, C) with mean 0 and standard deviation 1, ``float32``."""
        mean, std = (self.mean[0], self.std[0]) if len(self.mean) == 1 else self
        return ((pixels - mean) / std).astype(np.float32)


def moments(bands: Iterable[np.ndarray], channels: int) -> Moments:
    """Mean and standard deviation over all pixels of an image.

    Args:
        bands: of the image, (h, W) or (h, W, C).
        channels: C; 1 for grey.
    """
    count, mean, squares = 0, np.zeros(channels), np.zeros(channels)
    for band in bands:
        pixels = band.reshape(-1, channels).astype(np.float64)
        # The parts are joined by their own means, which keeps the digits of large values.
        own, total = pixels.mean(axis=0), count + len(pixels)
        squares += ((pixels - own) ** 2).sum(axis=0)
        squares += (own - mean) ** 2 * count * len(pixels) / total
        mean += (own - mean) * len(pixels) / total
        count = total
    std = np.sqrt(squares / count)
    return Moments(mean, np.where(std > 0, std, 1.0))


class StoreMoments:
    """Moments of the images of a pixel store, each read when it is first asked for."""

    def __init__(self, images: PixelStore):
        self._images = images
        self._known: dict[str, Moments] = {}

    def __getitem__(self, image_id: str) -> Moments:
        if image_id not in self._known:
            image = self._images[image_id]
            channels = 1 if image.ndim == 2 else image.shape[2]
            self._known[image_id] = moments(image_bands(image), channels)
        return self._known[image_id]
