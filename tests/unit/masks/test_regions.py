"""Pictures of regions: neighbours differ, and the same mask gives the same picture."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from pictures import cells
from scipy import ndimage
from skimage import measure
from skimage.color import rgb2lab
from skimage.segmentation import watershed

from maskmake.masks.regions import PALETTE, region_picture

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"


def colours_of(mask: np.ndarray, picture: np.ndarray) -> tuple[np.ndarray, list[tuple]]:
    """The regions, and the one colour of each."""
    regions, count = ndimage.label(mask)
    colours = []
    for region in range(1, count + 1):
        (colour,) = np.unique(picture[regions == region], axis=0)
        colours.append(tuple(colour.tolist()))
    return regions, colours


def test_background_is_black_and_each_region_has_one_colour():
    mask = cells(size=128, count=30) > 0
    picture = region_picture(mask)
    assert (picture.dtype, picture.shape) == (np.uint8, (128, 128, 3))
    assert (picture[~mask] == 0).all()
    _, colours = colours_of(mask, picture)
    assert set(colours) <= set(map(tuple, PALETTE.tolist()))


@pytest.mark.parametrize(("size", "count", "seed"), [(128, 60, 0), (128, 300, 1), (300, 900, 2)])
def test_regions_on_both_sides_of_a_wall_differ(size, count, seed):
    mask = cells(size, count, seed) > 0
    regions, colours = colours_of(mask, region_picture(mask))
    assert len(set(colours)) > 5
    # The walls are six pixels wide at most: seven pixels away is the other side, or the same one.
    colour_at = np.array([-1, *(hash(colour) for colour in colours)])[regions]
    for shift in (1, 2, 3, 4, 5, 6):
        here, there = regions[:, :-shift], regions[:, shift:]
        between = sum(regions[:, k : regions.shape[1] - shift + k] for k in range(1, shift))
        across = (here > 0) & (there > 0) & (here != there) & (between == 0)
        assert (colour_at[:, :-shift][across] != colour_at[:, shift:][across]).all()


def test_a_region_with_more_neighbours_than_colours_differs_from_all():
    mask = np.zeros((200, 200), bool)
    mask[95:105] = True  # a thin bar, smaller than the forty blocks beside it together
    for left in range(0, 200, 10):
        mask[60:94, left : left + 9] = mask[106:140, left : left + 9] = True
    picture = region_picture(mask)
    bar = tuple(picture[100, 100])
    blocks = {tuple(picture[row, left]) for row in (80, 120) for left in range(0, 200, 10)}
    assert bar not in blocks and len(blocks) > 5


def test_the_same_mask_gives_the_same_picture_in_any_process():
    mask = cells(size=96, count=40) > 0
    code = (
        "import sys, numpy as np; from maskmake.masks.regions import region_picture\n"
        "mask = np.frombuffer(sys.stdin.buffer.read(), bool).reshape(96, 96)\n"
        "sys.stdout.buffer.write(region_picture(mask).tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=mask.tobytes(),
        stdout=subprocess.PIPE,
        cwd=SCRIPTS,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        check=True,
    )
    assert done.stdout == region_picture(mask).tobytes()


def painted_by_networkx(mask: np.ndarray) -> np.ndarray:
    """The picture as networkx orders the regions."""
    regions = measure.label(mask, connectivity=1)
    grown = watershed(ndimage.distance_transform_edt(regions == 0), regions, connectivity=1)
    graph = nx.Graph()
    graph.add_nodes_from(range(1, regions.max() + 1))
    for a, b in ((grown[:-1], grown[1:]), (grown[:, :-1], grown[:, 1:])):
        meet = a != b
        graph.add_edges_from(np.unique(np.stack([a[meet], b[meet]], axis=1), axis=0).tolist())
    colours, used = {}, [0] * len(PALETTE)
    for region in nx.coloring.strategy_smallest_last(graph, colours):
        taken = {colours.get(neighbour) for neighbour in graph[region]}
        free = (colour for colour in range(len(PALETTE)) if colour not in taken)
        colours[region] = min(free, key=used.__getitem__)
        used[colours[region]] += 1
    return np.array([(0, 0, 0), *(PALETTE[colours[i]] for i in sorted(colours))], np.uint8)[regions]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.6, 0.9])
def test_the_pictures_are_those_of_networkx(share):
    rng = np.random.default_rng(0)
    for shape in ((150, 150), (1, 70), (90, 1), (37, 64)):
        mask = rng.random(shape) < share
        np.testing.assert_array_equal(region_picture(mask), painted_by_networkx(mask))
        smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1)
        mask = smooth > np.quantile(smooth, share)
        np.testing.assert_array_equal(region_picture(mask), painted_by_networkx(mask))


def test_colours_are_clearly_different():
    lab = rgb2lab(np.vstack([PALETTE, (0, 0, 0)]).astype(np.uint8)[np.newaxis])[0]
    distances = [np.linalg.norm(a - b) for a, b in combinations(lab, 2)]
    # In CIELAB, where eyes see a difference from about 2 on; the nearest two of Okabe and Ito's
    # colours, which colour-blind people can tell apart, are 26 apart.
    assert min(distances) > 25


def test_masks_without_a_region_and_of_one():
    assert not region_picture(np.zeros((9, 9), bool)).any()
    assert (region_picture(np.ones((9, 9), bool)) == PALETTE[0]).all()
