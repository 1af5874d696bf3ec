"""Sizes of structures in labels, of shapes whose sizes are known."""

import numpy as np
import pytest

from maskmake.data.structures import LARGEST_SIDE, measure_structures


def measure(*labels, objects="foreground"):
    named = {str(place): label for place, label in enumerate(labels)}
    return measure_structures(list(named), named.__getitem__, objects)


def test_objects_are_measured_by_their_pixels():
    """Nine specks of four pixels weigh less than one object of 20 x 10."""
    label = np.zeros((100, 100), np.uint8)
    label[50:60, 50:70] = 1
    for place in range(9):
        label[10 * place : 10 * place + 2, :2] = 1
    found = measure(label)
    assert found["objects"] == 10
    assert (found["object_area"], found["object_length"]) == (200, 20)
    assert found["smallest_object"] == 4


@pytest.mark.parametrize("width", [3, 9, 31])
def test_the_width_of_lines_is_found(width):
    label = np.zeros((300, 300), np.uint8)
    label[:, 100 : 100 + width] = 1
    assert measure(label)["foreground_width"] == pytest.approx(width, rel=0.4)
    cells = measure(1 - label, objects="background")
    assert cells["background_width"] == measure(label)["foreground_width"]
    assert cells["object_length"] == 300


def test_ignored_pixels_are_of_neither_class():
    label = np.full((64, 64), 255, np.uint8)
    found = measure(label)
    assert set(found.values()) == {0}


def test_labels_of_one_class_have_no_width():
    found = measure(np.zeros((64, 64), np.uint8), np.ones((64, 64), np.uint8))
    assert found["foreground_width"] == found["background_width"] == 0


def test_empty_labels_among_others_change_no_width():
    label = np.zeros((128, 128), np.uint8)
    label[50:80, 50:80] = 1
    empty = np.zeros_like(label)
    margin = empty.copy()
    margin[:, :9] = 255
    assert measure(label, *[empty, margin] * 9) == measure(label)


def disks(side=600, radius=12):
    """Whole labels of disks, one every 50 pixels."""
    y, x = np.mgrid[:side, :side]
    return ((y % 50 - 25) ** 2 + (x % 50 - 25) ** 2 <= radius**2).astype(np.uint8)


def test_partial_labels_are_measured_where_borders_are_known():
    """Only a part is labelled, with some of its disks cut by the edge."""
    label = np.full((600, 600), 255, np.uint8)
    label[140:470, 110:430] = disks()[140:470, 110:430]
    part, whole = measure(label), measure(disks())
    for name in ("object_area", "object_length", "smallest_object"):
        assert part[name] == whole[name]
    for name in ("foreground_width", "background_width"):
        assert part[name] == pytest.approx(whole[name], rel=0.1)


@pytest.mark.parametrize("thickness", [2, 3, 8])
@pytest.mark.parametrize("apart", [0, 20])
def test_strokes_of_an_annotator_are_not_measured(thickness, apart):
    """Each stroke lies in one class; what it is a stroke of may be of any size."""
    label = np.full((200, 200), 255, np.uint8)
    label[20 : 20 + thickness, 10:50] = 1
    below = 20 + thickness + apart
    label[below : below + thickness, 10:50] = 0
    assert set(measure(label).values()) == {0}


def test_of_a_large_label_the_middle_is_measured():
    label = np.zeros((LARGEST_SIDE + 200, 64), np.uint8)
    label[:50] = 1
    assert measure(label)["objects"] == 0
