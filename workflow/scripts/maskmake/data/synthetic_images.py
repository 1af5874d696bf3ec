"""What the kinds of synthetic images have in common: random fields, places and a camera."""

from collections import defaultdict
from itertools import product

import numpy as np
from scipy import ndimage

COARSE = 4.0  # pixels; a smoother field is drawn at a lower resolution and enlarged


def smooth_field(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Random (size, size) field, mean about 0, std about 1, correlated over ``scale``."""
    # The margin is cut off: without it opposite borders of the image would be alike.
    margin = int(2 * scale)
    noise = rng.standard_normal((size + 2 * margin,) * 2)
    field = ndimage.gaussian_filter(noise, scale, mode="wrap")
    field = (field - field.mean()) / field.std()
    return field[margin : margin + size, margin : margin + size]


def quick_field(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Like ``smooth_field``, in a time that does not grow with ``scale``; other values."""
    if scale < COARSE:
        return smooth_field(rng, size, scale)
    step = scale / 2
    side = int(np.ceil(size / step)) + 4
    coarse = smooth_field(rng, side, 2)
    start = rng.uniform(1, 2, 2)
    return ndimage.affine_transform(
        coarse, np.full(2, 1 / step), start, (size, size), order=3, mode="nearest"
    )


def between(field: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map a field of mean 0 and standard deviation 1 to the range from ``low`` to ``high``."""
    return low + (high - low) / (1 + np.exp(-1.5 * field))


def mixed(easy: float, hard: float, difficulty: float) -> float:
    """The number between ``easy`` and ``hard`` that belongs to a difficulty from 0 to 1."""
    return easy + (hard - easy) * difficulty


class CentreGrid:
    """Centres of things in an image, of which those near a place are found without all others.

    Args:
        reach: pixels; centres up to so far away are found, and some that are farther.
    """

    def __init__(self, reach: float):
        # Numbers are rounded by far less than this.
        self._side = reach + 1e-6
        self._numbers: defaultdict[tuple[int, int], list[int]] = defaultdict(list)

    def add(self, number: int, centre: np.ndarray) -> None:
        """Add a centre (row, column) under a number."""
        self._numbers[self._square(centre)].append(number)

    def near(self, centre: np.ndarray) -> list[int]:
        """The numbers of all centres that are near."""
        row, column = self._square(centre)
        squares = product(range(row - 1, row + 2), range(column - 1, column + 2))
        return [number for square in squares for number in self._numbers.get(square, ())]

    def _square(self, centre: np.ndarray) -> tuple[int, int]:
        return int(centre[0] // self._side), int(centre[1] // self._side)


def record(
    rng: np.random.Generator, intensity: np.ndarray, quanta: float, blur: float
) -> np.ndarray:
    """What a camera makes of an intensity: blur, shot noise and noise of reading.

    Args:
        rng: source of the noise.
        intensity: (H, W), 1 where the image is to be white.
        quanta: mean count of a pixel of intensity 1; fewer give more noise.
        blur: standard deviation in pixels.

    Returns:
        (H, W) ``uint8``.
    """
    counts = rng.poisson(ndimage.gaussian_filter(intensity, blur).clip(0) * quanta)
    signal = counts / quanta + rng.normal(0, 0.01, intensity.shape)
    return (signal * 255).round().clip(0, 255).astype(np.uint8)
