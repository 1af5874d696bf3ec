"""Labels that several test files make."""

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries, watershed


def cells(size: int = 256, count: int = 60, seed: int = 0) -> np.ndarray:
    """A label of cells, 1, with walls of three pixels between them, 0."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((size, size), np.int32)
    seeds[tuple(rng.integers(0, size, (2, count)))] = np.arange(count) + 1
    walls = find_boundaries(watershed(np.zeros_like(seeds), seeds), mode="thick")
    return (~ndimage.binary_dilation(walls)).astype(np.uint8)
