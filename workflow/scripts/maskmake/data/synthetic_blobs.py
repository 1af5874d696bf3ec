"""Blobs that touch each other, such as nuclei in fluorescence."""

import numpy as np
from scipy import ndimage

from maskmake.data.label_values import OBJECTS, foreground_mask
from maskmake.data.synthetic_images import CentreGrid, mixed, quick_field, record

RADIUS_MEAN, RADIUS_STD, RADIUS_RANGE = 8.5, 1.8, (5.0, 14.0)  # pixels
STRETCH_MAXIMUM = 1.35  # of the long radius, and of the short one by its inverse
COVERED_RANGE = (0.14, 0.32)  # share of the image
NEIGHBOURS = 0.65  # share of the blobs that are placed at the side of another one
NEAREST = 0.8  # distance of two centres, as a share of the sum of their radii
SMALLEST_PART = 12  # pixels; less of a blob, where others or the border cut it, is left out


def draw_blobs(
    rng: np.random.Generator, size: int, difficulty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw nuclei.

    A harder image has nuclei of more unequal brightness, more light of what is out of focus, bright
    debris, less even illumination and more noise.

    Returns:
        Image, (size, size) ``uint8``; what is foreground, (size, size) bool, with a line of
        background between nuclei that touch, as ``dataset.foreground: objects`` draws it.
    """
    centres, radii = _placed(rng, size)
    objects, depth = _shapes(rng, size, centres, radii)
    label = foreground_mask(objects, OBJECTS)
    brightness = 0.5 * np.exp(rng.normal(0, mixed(0.1, 0.8, difficulty), objects.max() + 1))
    chromatin = 1 + 0.12 * quick_field(rng, size, 1.6)
    # A nucleus is thinner at its border.
    nuclei = brightness[objects].clip(0.15, 0.95) * chromatin * (0.6 + 0.4 * depth) * (objects > 0)
    haze = _out_of_focus(rng, size, difficulty)
    background = 0.07 + mixed(0.01, 0.03, difficulty) * quick_field(rng, size, 25)
    light = 1 + mixed(0.04, 0.16, difficulty) * quick_field(rng, size, size / 2)
    intensity = (nuclei + haze + _debris(rng, size, difficulty) + background) * light
    return record(
        rng, intensity, mixed(600, 60, difficulty), blur=mixed(0.7, 1.1, difficulty)
    ), label


def _placed(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and radii (n,), many of them side by side."""
    wanted = rng.uniform(*COVERED_RANGE) * size**2
    most = int(20 * wanted / RADIUS_MEAN**2) + 20
    centres, radii = np.empty((most, 2)), np.empty(most)
    count, covered = 0, 0.0
    placed = CentreGrid(2 * NEAREST * RADIUS_RANGE[1])
    for _ in range(most):
        radius = float(np.clip(rng.normal(RADIUS_MEAN, RADIUS_STD), *RADIUS_RANGE))
        centre = rng.uniform(0, size, 2)
        if count and rng.random() < NEIGHBOURS:
            beside, angle = rng.integers(count), rng.uniform(0, 2 * np.pi)
            reach = rng.uniform(NEAREST, 1.05) * (radius + radii[beside])
            centre = centres[beside] + reach * np.array([np.sin(angle), np.cos(angle)])
        near = placed.near(centre)
        distances = np.hypot(*(centres[near] - centre).T)
        free = (distances > (NEAREST - 1e-6) * (radii[near] + radius)).all()
        if not free or (centre < 0).any() or (centre >= size).any():
            continue
        centres[count], radii[count] = centre, radius
        placed.add(count, centre)
        count, covered = count + 1, covered + np.pi * radius**2
        if covered >= wanted:
            break
    return centres[:count], radii[:count]


def _shapes(
    rng: np.random.Generator, size: int, centres: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Uneven ellipses; where two meet, each pixel belongs to the one it lies deeper in.

    Returns:
        Number of the blob of each pixel, (size, size) ``int32``, 0 for none; how deep the pixel
        lies in it, (size, size), 0 at the border and 1 in the middle.
    """
    y, x = np.mgrid[:size, :size] + 1.3 * np.stack([quick_field(rng, size, 5) for _ in range(2)])
    objects, nearest = np.zeros((size, size), np.int32), np.ones((size, size))
    for number, ((row, column), radius) in enumerate(zip(centres, radii, strict=True), 1):
        stretch, angle = rng.uniform(1, STRETCH_MAXIMUM), rng.uniform(0, np.pi)
        reach = int(radius * stretch) + 6
        box = tuple(slice(max(int(at) - reach, 0), int(at) + reach + 1) for at in (row, column))
        down, right = y[box] - row, x[box] - column
        along = (down * np.sin(angle) + right * np.cos(angle)) / stretch
        across = (down * np.cos(angle) - right * np.sin(angle)) * stretch
        distance = np.hypot(along, across) / radius
        closer = distance < nearest[box]
        objects[box][closer] = number
        nearest[box][closer] = distance[closer]
    areas = np.bincount(objects.ravel(), minlength=len(radii) + 1)
    objects[areas[objects] < SMALLEST_PART] = 0
    return objects, np.sqrt(1 - nearest**2)


def _out_of_focus(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Light of blobs above and below the plane that is in focus."""
    light = np.zeros((size, size))
    for blur in (5, 9):
        count = rng.poisson(mixed(0.3, 2, difficulty) * size**2 / 6000)
        spots = np.zeros((size, size))
        rows, columns = rng.integers(0, size, (2, count))
        strengths = rng.uniform(0.2, 1, count) * mixed(0.15, 0.8, difficulty)
        np.add.at(spots, (rows, columns), strengths * 2 * np.pi * blur**2)
        light += ndimage.gaussian_filter(spots, blur, mode="constant")
    return light


def _debris(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Small bright dots that are no nuclei."""
    spots = np.zeros((size, size))
    rows, columns = rng.integers(0, size, (2, rng.poisson(1.5 * difficulty * size**2 / 3000)))
    np.add.at(spots, (rows, columns), rng.uniform(2, 6, len(rows)))
    return ndimage.gaussian_filter(spots, 1.1, mode="constant")
