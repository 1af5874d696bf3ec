"""Membranes of cells as an electron microscope shows them.

A larger image shows more cells, not larger ones: every length below is in pixels.
"""

from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.draw import ellipse
from skimage.morphology import remove_small_holes, remove_small_objects

from maskmake.data.synthetic_images import CentreGrid, between, smooth_field

# Cells: log-normal radii, so that a few large cells lie among many small ones.
CELL_RADIUS_MEDIAN = 10.0
CELL_RADIUS_LOG_STD = 0.6
CELL_RADIUS_RANGE = (6.0, 36.0)
CELL_ELONGATION_MAXIMUM = 2.5
OVERLAP = 0.9  # least distance of two centres, as a share of the sum of the radii
SMALLEST_PART = 16  # pixels; a smaller scrap of a cell or of membrane is dropped

# Membranes: half of the width in pixels, darkness as a share of the intensity range.
MEMBRANE_HALF_WIDTH_RANGE = (1.3, 2.5)
MEMBRANE_DARKNESS_RANGE = (0.24, 0.5)

# Each block of so many pixels a side has its own cells, so that the time grows with the area.
BLOCK = 32
LONGEST = CELL_ELONGATION_MAXIMUM**0.5  # an ellipse's longer half axis, of a circle of radius 1
ROUNDING = 1e-6  # pixels, far more than numbers are rounded by

CYTOPLASM_BRIGHTNESS = 0.66
BLUR = 0.7
ELECTRONS = 110  # mean count of a pixel of intensity 1; fewer give more shot noise


def draw_membranes(
    rng: np.random.Generator, size: int, difficulty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a section of tissue.

    Organelles are as dark as membrane but belong to the inside of a cell; the easiest image has
    none. A harder image has fainter membranes, more grain and more noise.

    Returns:
        Image, (size, size) ``uint8``; the inside of cells, (size, size) bool.
    """
    cells, border_distance = _partition(rng, size)
    inside = _inside(rng, border_distance)
    # Each factor is 1 at a difficulty of 0.5, for which the constants above are chosen.
    organelles = np.maximum(_mitochondria(rng, cells, inside), _vesicles(rng, inside))
    organelles *= min(1, 2 * difficulty)
    cytoplasm = _cytoplasm(rng, cells, grain=0.5 + difficulty)
    membrane = (1.25 - 0.5 * difficulty) * _membrane(rng, inside)
    specimen = cytoplasm - membrane - organelles
    return _expose(rng, specimen, ELECTRONS * 4 ** (1 - 2 * difficulty)), inside


def _pack_cells(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and radii (n,) of circles that hardly overlap, the largest placed first.

    Random sequential addition: a circle that would overlap those before it is dropped.
    """
    margin = CELL_RADIUS_RANGE[1]
    extent = size + 2 * margin
    tries = int(2 * extent**2 / CELL_RADIUS_MEDIAN**2)
    radii = rng.lognormal(np.log(CELL_RADIUS_MEDIAN), CELL_RADIUS_LOG_STD, tries)
    radii = np.sort(radii.clip(*CELL_RADIUS_RANGE))[::-1]
    centres = rng.uniform(-margin, size + margin, (tries, 2))
    kept: list[int] = []
    placed = CentreGrid(2 * OVERLAP * CELL_RADIUS_RANGE[1])
    for i in range(tries):
        near = placed.near(centres[i])
        distances = np.hypot(*(centres[near] - centres[i]).T)
        if (distances > OVERLAP * (radii[near] + radii[i])).all():
            kept.append(i)
            placed.add(i, centres[i])
    return centres[kept], radii[kept]


def _partition(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the plane among cells.

    An additively weighted Voronoi diagram (curved borders, cells of varied size), each cell with
    an elliptic distance of its own, on a smoothly displaced plane.

    Returns:
        Number of the cell of each pixel, (size, size) integers; distance to the nearest border
        between two cells in pixels, approximately, (size, size) float.
    """
    centres, radii = _pack_cells(rng, size)
    elongations = np.sqrt(rng.uniform(1, CELL_ELONGATION_MAXIMUM, len(radii)))
    angles = rng.uniform(0, np.pi, len(radii))
    y, x = np.mgrid[:size, :size].astype(float)
    for scale, amplitude in ((14, 4.5), (4, 1.0)):
        y += amplitude * smooth_field(rng, size, scale)
        x += amplitude * smooth_field(rng, size, scale)

    cells = np.zeros((size, size), int)
    nearest = np.full((size, size), np.inf)
    second = nearest.copy()
    close_cells = _CloseCells(centres, radii)
    for top, left in product(range(0, size, BLOCK), repeat=2):
        block = np.s_[top : top + BLOCK, left : left + BLOCK]
        down, right = y[block], x[block]
        for i in close_cells.of_block(down, right):
            (cy, cx), radius = centres[i], radii[i]
            along = (down - cy) * np.sin(angles[i]) + (right - cx) * np.cos(angles[i])
            across = (down - cy) * np.cos(angles[i]) - (right - cx) * np.sin(angles[i])
            distance = np.hypot(along / elongations[i], across * elongations[i]) - radius
            second[block] = np.minimum(second[block], np.maximum(nearest[block], distance))
            cells[block][distance < nearest[block]] = i
            nearest[block] = np.minimum(nearest[block], distance)
    return cells, (second - nearest) / 2


class _CloseCells:
    """Finds the cells that can be the nearest or the second nearest one of a pixel.

    Args:
        centres, radii: of the cells, of ``_pack_cells``.
    """

    def __init__(self, centres: np.ndarray, radii: np.ndarray):
        self._centres, self._radii = centres, radii
        self._tree = cKDTree(centres)

    def of_block(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Numbers of the cells, ascending, that are close to a pixel of these places (h, w)."""
        low, high = (np.array([end(y), end(x)]) for end in (np.min, np.max))
        middle, half = (low + high) / 2, (high - low) / 2
        reach = np.hypot(*half)
        # An elliptic distance is at most the distance times the elongation, and at least the
        # distance over it. So no pixel is farther than this from its two nearest cells.
        away, number = self._tree.query(middle, k=min(2, len(self._radii)))
        farthest = np.max(LONGEST * (away + reach) - self._radii[number])
        around = LONGEST * (farthest + CELL_RADIUS_RANGE[1]) + reach + ROUNDING
        near = np.array(sorted(self._tree.query_ball_point(middle, around)))
        gap = np.hypot(*(np.abs(self._centres[near] - middle) - half).clip(0).T)
        return near[gap / LONGEST - self._radii[near] <= farthest + ROUNDING]


def _inside(rng: np.random.Generator, border_distance: np.ndarray) -> np.ndarray:
    """Pixels that lie in a cell and not on a membrane, whose width varies along its course."""
    size = len(border_distance)
    half_width = between(smooth_field(rng, size, 12), *MEMBRANE_HALF_WIDTH_RANGE)
    inside = remove_small_objects(border_distance > half_width, max_size=SMALLEST_PART)
    return remove_small_holes(inside, max_size=SMALLEST_PART)


def _membrane(rng: np.random.Generator, inside: np.ndarray) -> np.ndarray:
    """Darkness of the membranes, which varies along their course."""
    darkness = between(smooth_field(rng, len(inside), 10), *MEMBRANE_DARKNESS_RANGE)
    return darkness * ndimage.gaussian_filter((~inside).astype(float), 0.7)


def _cytoplasm(rng: np.random.Generator, cells: np.ndarray, grain: float) -> np.ndarray:
    """Brightness of the cells: their own shade, shadows, and grains of two sizes."""
    size = len(cells)
    shade = rng.normal(0, 0.03, cells.max() + 1)[cells]
    shadow = 0.05 * smooth_field(rng, size, 9)
    grains = 0.045 * smooth_field(rng, size, 1.8) + 0.05 * smooth_field(rng, size, 0.9)
    return CYTOPLASM_BRIGHTNESS + ndimage.gaussian_filter(shade, 1) + shadow + grain * grains


def _mitochondria(rng: np.random.Generator, cells: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Darkness of ellipses with a darker outline and stripes (cristae), in the larger cells."""
    size = len(cells)
    depth = ndimage.distance_transform_edt(inside)
    y, x = np.mgrid[:size, :size] + 2.0 * smooth_field(rng, size, 4)
    darkness = np.zeros((size, size))
    for cell, box in enumerate(ndimage.find_objects(cells + 1)):
        if box is None:
            continue
        cell_depth = np.where(cells[box] == cell, depth[box], 0)
        radius = min(rng.uniform(0.4, 0.7) * cell_depth.max(), 11)
        if radius < 4 or rng.random() < 0.4:
            continue
        corner = np.array([side.start for side in box])
        row, column = corner + rng.choice(np.argwhere(cell_depth >= radius))
        elongation, angle = rng.uniform(1, 2.2), rng.uniform(0, np.pi)
        rows, columns = ellipse(row, column, radius, elongation * radius, cells.shape, angle)
        body = np.zeros_like(cell_depth, bool)
        places = np.stack([rows, columns], axis=1) - corner
        places = places[((places >= 0) & (places < body.shape)).all(axis=1)]
        body[tuple(places.T)] = True
        body &= cell_depth > 2.5
        direction = angle + rng.normal(0, 0.3)
        wave = y[box] * np.cos(direction) - x[box] * np.sin(direction)
        stripes = np.sin(2 * np.pi * wave / rng.uniform(4, 5.5))
        outline = body & ~ndimage.binary_erosion(body)
        darkness[box] += body * (0.3 + 0.09 * stripes) + 0.12 * outline
    return ndimage.gaussian_filter(darkness, 0.5)


def _vesicles(rng: np.random.Generator, inside: np.ndarray) -> np.ndarray:
    """Darkness of small rings in clusters, and of dots such as microtubules cut across."""
    depth = ndimage.distance_transform_edt(inside)
    far_inside = depth > 4
    clusters = smooth_field(rng, len(inside), 12) > 0.3
    rings = _scatter(rng, far_inside & clusters, density=1 / 55, radius=(1.8, 3.0))
    dots = _scatter(rng, far_inside, density=1 / 130, radius=(0.0, 0.5))
    return np.maximum(0.36 * rings, 0.4 * dots)


def _scatter(
    rng: np.random.Generator, where: np.ndarray, density: float, radius: tuple[float, float]
) -> np.ndarray:
    """Rings of strength 1 around random pixels of ``where``; a ring of radius 0 is a dot."""
    candidates = np.argwhere(where)
    if len(candidates) == 0:
        return np.zeros(where.shape)
    centres = rng.choice(candidates, int(np.ceil(density * len(candidates))), replace=False)
    radii = rng.uniform(*radius, len(centres))
    strengths = rng.uniform(0.4, 1, len(centres))
    distances, nearest = cKDTree(centres).query(np.indices(where.shape).transpose(1, 2, 0))
    return strengths[nearest] * np.exp(-(((distances - radii[nearest]) / 0.8) ** 2))


def _expose(rng: np.random.Generator, specimen: np.ndarray, electrons: float) -> np.ndarray:
    """What the camera records: uneven illumination, blur, shot noise; (H, W) ``uint8``."""
    illumination = 1 + 0.07 * smooth_field(rng, len(specimen), 60)
    intensity = ndimage.gaussian_filter(specimen * illumination, BLUR).clip(0.02)
    counts = rng.poisson(intensity * electrons)
    # The scintillator spreads each electron's light over neighbouring pixels.
    signal = ndimage.gaussian_filter(counts / electrons, 0.6)
    return (signal * 255).round().clip(0, 255).astype(np.uint8)
