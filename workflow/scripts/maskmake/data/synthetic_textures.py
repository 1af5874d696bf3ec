"""Two textures of the same mean grey, such as two phases of a metal, or wood beside meadow."""

import numpy as np
from skimage.morphology import remove_small_holes, remove_small_objects

from maskmake.data.synthetic_images import mixed, quick_field, record, smooth_field

SHARE_RANGE = (0.25, 0.5)  # of the foreground, before small parts are dropped
AREA_SCALE = 16  # pixels over which the outline of an area turns
SMALLEST_PART = 150  # pixels; in fewer no texture can be recognised


def draw_textures(
    rng: np.random.Generator, size: int, difficulty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw areas of fine grain on coarse grain.

    Both grains have the same mean and the same standard deviation, so that no level of grey tells
    them apart. In a harder image they are more alike, and light and noise vary more.

    Returns:
        Image, (size, size) ``uint8``; where the grain is fine, (size, size) bool.
    """
    share = rng.uniform(*SHARE_RANGE)
    field = quick_field(rng, size, AREA_SCALE) + 0.1 * quick_field(rng, size, 4)
    area = field > np.quantile(field, 1 - share)
    area = remove_small_objects(area, max_size=SMALLEST_PART)
    area = remove_small_holes(area, max_size=SMALLEST_PART)
    fine = smooth_field(rng, size, mixed(0.7, 0.9, difficulty))
    coarse = smooth_field(rng, size, mixed(2.8, 1.6, difficulty))
    light = mixed(0.02, 0.09, difficulty) * quick_field(rng, size, 30)
    intensity = 0.5 + 0.13 * np.where(area, fine, coarse) + light
    # A blur would take contrast from the fine grain alone.
    return record(rng, intensity, mixed(1500, 120, difficulty), blur=0), area
