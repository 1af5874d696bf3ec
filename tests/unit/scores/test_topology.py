"""Topology: hand-made pictures with known numbers, and the Euler number."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import euler_number

from maskmake.scores.topology import betti_errors, betti_numbers, cldice

# Centre line


def bar(gap: int = 0, thickness: int = 5) -> np.ndarray:
    """A horizontal bar of 200 x 5 pixels, broken in the middle by a gap."""
    picture = np.zeros((40, 240), bool)
    picture[20 - thickness // 2 : 21 + thickness // 2, 20:220] = True
    picture[:, 120 : 120 + gap] = False
    return picture


def test_a_break_costs_its_share_of_the_centre_line():
    whole, broken = bar(), bar(gap=40)
    sensitivity = 1 - 40 / 196  # the centre line of the bar is about 196 long
    expected = 2 * sensitivity / (1 + sensitivity)
    assert cldice(broken, whole) == pytest.approx(expected, abs=0.01)
    assert cldice(whole, broken) == cldice(broken, whole)


def test_thickness_is_no_matter_and_a_made_up_branch_is():
    assert cldice(bar(thickness=9), bar()) > 0.98
    branched = bar()
    branched[20:40, 100:105] = True
    assert 0.9 < cldice(branched, bar()) < 0.97


def test_centre_line_beside_the_other_mask_counts_nothing():
    assert cldice(bar(), np.roll(bar(), 10, axis=0)) == 0
    assert cldice(bar(), bar()) == 1


def test_centre_line_of_nothing():
    empty = np.zeros((40, 240), bool)
    assert cldice(empty, bar()) == cldice(bar(), empty) == 0
    assert np.isnan(cldice(empty, empty))


# Betti numbers


def test_a_ring_a_dot_and_a_diagonal():
    picture = np.zeros((20, 20), bool)
    picture[2:9, 2:9] = True
    picture[4:7, 4:7] = False
    assert betti_numbers(picture) == (1, 1)
    picture[5, 5] = True
    assert betti_numbers(picture) == (2, 1)
    picture[15, 15] = picture[16, 16] = True  # 4-connected: two objects
    assert betti_numbers(picture) == (4, 1)


def test_holes_are_8_connected_and_end_at_the_edge_of_the_image():
    picture = np.ones((10, 10), bool)
    picture[3, 3] = picture[4, 4] = False
    assert betti_numbers(picture) == (1, 1)
    picture[0, 5:7] = False
    assert betti_numbers(picture) == (1, 1)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6, 0.8])
def test_objects_less_holes_are_the_euler_number(share):
    rng = np.random.default_rng(0)
    for smoothing in (0, 1, 2):
        field = ndimage.gaussian_filter(rng.normal(size=(60, 70)), smoothing)
        picture = field < np.quantile(field, share)
        objects, holes = betti_numbers(picture)
        assert objects - holes == euler_number(picture, connectivity=1)


def test_betti_errors_are_distances():
    label = np.zeros((30, 30), np.uint8)
    label[2:12, 2:12] = 1
    label[5:8, 5:8] = 0
    mask = np.zeros((30, 30), bool)
    mask[2:12, 2:12] = mask[20:22, 20:22] = mask[25:27, 2:4] = True
    assert betti_errors(mask, label) == (2, 1)
    assert betti_errors(label > 0, mask.astype(np.uint8)) == (2, 1)
    assert betti_errors(label > 0, label) == (0, 0)
    nothing, everything = np.zeros((9, 9), bool), np.ones((9, 9), np.uint8)
    assert betti_errors(nothing, everything) == (1, 0)
    assert betti_errors(nothing, nothing.astype(np.uint8)) == (0, 0)
