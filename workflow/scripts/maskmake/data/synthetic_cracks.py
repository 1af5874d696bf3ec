"""Thin cracks in a rough surface such as concrete, or vessels: 0.2 to 2 % of the pixels."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from maskmake.data.synthetic_images import mixed, quick_field, record

SHARE_RANGE = (0.0045, 0.014)  # of the pixels, before branches cover each other
HALF_WIDTH_RANGE = (0.75, 1.6)  # pixels, of a whole crack; it varies along its course
THINNEST = 0.6  # half of the width; a thinner line has gaps between its pixels
STEP = 0.5  # pixels between two points of a course
FEWEST_POINTS = 16  # of a course; a shorter one looks like a pore
MOST_COURSES = 500


def draw_cracks(
    rng: np.random.Generator, size: int, difficulty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a surface with cracks.

    A harder one has fainter cracks with stretches that nearly vanish, more noise, and more of what
    is dark as well: pores, stains and straight joints, all of them wider or rounder than a crack.

    Returns:
        Image, (size, size) ``uint8``; what is crack, (size, size) bool.
    """
    points, half_widths, strengths = _network(rng, size, difficulty)
    cracks, depth = _drawn(points, half_widths, strengths, size)
    roughness = mixed(0.5, 1.2, difficulty)
    surface = (
        0.62
        + 0.04 * quick_field(rng, size, size / 3)
        + roughness * 0.035 * quick_field(rng, size, 2.5)
        + roughness * 0.04 * quick_field(rng, size, 0.8)
    )
    surface -= mixed(0.36, 0.26, difficulty) * depth
    surface -= _pores(rng, size, difficulty) + _stains(rng, size, difficulty)
    surface -= _joints(rng, size, difficulty)
    return record(rng, surface, mixed(1500, 400, difficulty), blur=0.6), cracks


def _noise(rng: np.random.Generator, count: int, scale: float) -> np.ndarray:
    """(count,) values of standard deviation 1, correlated over ``scale`` pixels of a course."""
    smooth = ndimage.gaussian_filter1d(rng.standard_normal(count), scale / STEP)
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * scale / STEP)


def _network(
    rng: np.random.Generator, size: int, difficulty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Courses of cracks and of their branches, until they cover their share of the image.

    Returns:
        Points (n, 2), half of the width there (n,) and the darkness there (n,), 1 being full.
    """
    left = np.exp(rng.uniform(*np.log(SHARE_RANGE))) * size**2
    middle = rng.uniform(*HALF_WIDTH_RANGE)
    courses: list[np.ndarray] = []
    for _ in range(MOST_COURSES):
        start, angle, thickness = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi), middle
        if courses and rng.random() < 0.6:
            trunk = courses[rng.integers(len(courses))]
            at = int(rng.integers(len(trunk)))
            start, thickness = trunk[at, :2], 0.75 * middle
            along = trunk[min(at + 1, len(trunk) - 1), :2] - trunk[max(at - 1, 0), :2]
            angle = np.arctan2(*along) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
        length = min(left / (2 * thickness), size * rng.uniform(0.3, 1.2))
        course = _course(rng, start, angle, thickness, length, difficulty)
        outside = ((course[:, :2] < 0) | (course[:, :2] > size - 1)).any(axis=1)
        course = course[: outside.argmax()] if outside.any() else course
        if len(course) < FEWEST_POINTS:
            continue
        courses.append(course)
        left -= (2 * course[:, 2]).sum() * STEP
        if left < 2 * thickness * STEP * FEWEST_POINTS:
            break
    points = np.concatenate(courses)
    return points[:, :2], points[:, 2], points[:, 3]


def _course(
    rng: np.random.Generator,
    start: np.ndarray,
    angle: float,
    thickness: float,
    length: float,
    difficulty: float,
) -> np.ndarray:
    """One course: row, column, half width and darkness of each point, (n, 4)."""
    count = max(int(length / STEP), FEWEST_POINTS)
    heading = angle + 0.35 * _noise(rng, count, 25) + 0.45 * _noise(rng, count, 2.5)
    steps = STEP * np.stack([np.sin(heading), np.cos(heading)], axis=1)
    taper = np.minimum(1, np.arange(count, 0, -1) * STEP / 12 + 0.4)
    half_widths = thickness * taper * (1 + 0.2 * _noise(rng, count, 6))
    faintest = mixed(0.8, 0.45, difficulty)
    strengths = (0.85 + 0.25 * _noise(rng, count, 12)).clip(faintest, 1.2)
    course = np.empty((count, 4))
    course[:, :2] = start + np.cumsum(steps, axis=0)
    course[:, 2] = half_widths.clip(THINNEST)
    course[:, 3] = strengths
    return course


def _drawn(
    points: np.ndarray, half_widths: np.ndarray, strengths: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """What is crack, (size, size) bool, and how dark it is, (size, size) from 0 to 1.2."""
    near = np.zeros((size, size), bool)
    near[tuple(points.round().astype(int).T)] = True
    reach = int(np.ceil(half_widths.max())) + 1
    near = ndimage.binary_dilation(near, np.ones((3, 3)), iterations=reach)
    pixels = np.argwhere(near)
    distances, nearest = cKDTree(points).query(pixels)
    beyond = distances - half_widths[nearest]
    cracks, depth = np.zeros((size, size), bool), np.zeros((size, size))
    cracks[near] = beyond <= 0
    depth[near] = strengths[nearest] * (0.5 - beyond).clip(0, 1)
    return cracks, depth


def _pores(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Darkness of round and oval holes, of which a harder image has more."""
    darkness = np.zeros((size, size))
    for _ in range(rng.poisson(mixed(0.3, 2.5, difficulty) * size**2 / 1500)):
        radius, stretch, angle = rng.uniform(0.8, 3.2), rng.uniform(1, 1.7), rng.uniform(0, np.pi)
        row, column = rng.integers(0, size, 2)
        reach = int(radius * stretch) + 2
        box = np.s_[
            max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
        ]
        y, x = np.ogrid[
            box[0].start : min(box[0].stop, size), box[1].start : min(box[1].stop, size)
        ]
        y, x = y - row, x - column
        along = (y * np.sin(angle) + x * np.cos(angle)) / stretch
        across = (y * np.cos(angle) - x * np.sin(angle)) * stretch
        hole = (radius + 0.5 - np.hypot(along, across)).clip(0, 1)
        darkness[box] = np.maximum(darkness[box], rng.uniform(0.08, 0.3) * hole)
    return darkness


def _stains(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Darkness of wet or dirty areas."""
    wet = 1 / (1 + np.exp(-6 * (quick_field(rng, size, 14) - 1.3)))
    return mixed(0.02, 0.2, difficulty) * wet * (1 + 0.2 * quick_field(rng, size, 3))


def _joints(rng: np.random.Generator, size: int, difficulty: float) -> np.ndarray:
    """Darkness of straight, wide and blurred bands such as joints and shadows."""
    y, x = np.mgrid[:size, :size] - size / 2
    darkness = np.zeros((size, size))
    for _ in range(rng.poisson(1.5 * difficulty)):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-size / 2, size / 2)
        distance = y * np.cos(angle) - x * np.sin(angle) - offset
        darkness += rng.uniform(0.06, 0.16) * np.exp(-((distance / rng.uniform(3.5, 7)) ** 2))
    return darkness
