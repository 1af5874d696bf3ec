"""Scores of borders, by hand."""

import numpy as np
import pytest
from scipy import ndimage

from maskmake.scores import boundaries as scores


def test_boundary_f1_tolerates_a_shift_up_to_the_tolerance():
    label = np.zeros((40, 40), np.uint8)
    label[10:30, 10:30] = 1
    assert scores.boundary_f1(label > 0, label) == 1
    assert scores.boundary_f1(np.roll(label, 2, axis=1) > 0, label, tolerance=2) == 1
    assert scores.boundary_f1(np.roll(label, 3, axis=1) > 0, label, tolerance=2) < 1


def test_boundary_f1_by_hand():
    label = np.zeros((6, 40), np.uint8)
    label[:, :10] = 1  # border: column 9
    mask = label > 0
    mask[:, 20:30] = True  # borders: columns 9, 20 and 29
    assert scores.boundary_f1(mask, label) == pytest.approx(2 * (1 / 3) / (1 + 1 / 3))


def test_boundary_f1_without_borders():
    label = np.zeros((40, 40), np.uint8)
    label[:, :10] = 1
    empty = np.zeros_like(label)
    assert scores.boundary_f1(empty > 0, label) == 0
    assert scores.boundary_f1(label > 0, empty) == 0
    assert scores.boundary_f1(label[:, ::-1] > 0, label) == 0
    assert np.isnan(scores.boundary_f1(empty > 0, empty))
    assert np.isnan(scores.boundary_f1(np.ones_like(label) > 0, empty))


# Hausdorff distance


def square(top=10, left=10, side=20, shape=(60, 60)):
    label = np.zeros(shape, np.uint8)
    label[top : top + side, left : left + side] = 1
    return label


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_hausdorff_of_a_shifted_half_plane_is_the_shift(shift):
    label = np.zeros((40, 40), np.uint8)
    label[:, :15] = 1
    mask = np.zeros((40, 40), bool)
    mask[:, : 15 + shift] = True
    assert scores.hausdorff_95(mask, label) == shift


def test_hausdorff_leaves_five_per_cent_of_a_border_out():
    label = np.zeros((1000, 30), np.uint8)
    label[:, :10] = 1
    for rows, expected in ((35, 0), (70, 8)):
        mask = label > 0
        mask[:rows, :18] = True  # so many border pixels of about a thousand are 8 away
        assert scores.hausdorff_95(mask, label) == pytest.approx(expected, abs=0.5)


def test_hausdorff_sees_a_false_speck_and_a_missing_object():
    label = np.maximum(square(), square(40, 45, 4))
    without = square() > 0
    far = scores.hausdorff_95(without, label)
    assert far > 15
    assert scores.hausdorff_95(label > 0, without.astype(np.uint8)) == far


@pytest.mark.parametrize("seed", range(3))
def test_hausdorff_agrees_with_the_distance_of_every_pair(seed):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(2, 48, 48)), (0, 4, 4))
    label, mask = field[0] > 0, field[0] + 0.5 * field[1] > 0

    def border(values):
        inside = ndimage.binary_erosion(values, border_value=1)
        return np.argwhere(values & ~inside)

    distances = np.linalg.norm(border(mask)[:, None] - border(label)[None], axis=2)
    expected = max(np.percentile(distances.min(axis=axis), 95) for axis in (0, 1))
    assert scores.hausdorff_95(mask, label.astype(np.uint8)) == pytest.approx(expected)


def test_hausdorff_without_borders():
    label, empty = square(), np.zeros((60, 60), np.uint8)
    diagonal = np.hypot(59, 59)
    assert scores.hausdorff_95(empty > 0, label) == pytest.approx(diagonal)
    assert scores.hausdorff_95(label > 0, empty) == pytest.approx(diagonal)
    assert scores.hausdorff_95(np.ones_like(label) > 0, label) == pytest.approx(diagonal)
    assert np.isnan(scores.hausdorff_95(empty > 0, empty))
