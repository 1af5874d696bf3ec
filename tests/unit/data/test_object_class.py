"""Objects are the class that falls into many pieces, whichever colour it has."""

import numpy as np
import pytest
from pictures import cells

from maskmake.data.object_class import count_pieces, find_object_class


def nuclei() -> np.ndarray:
    rows, columns = np.mgrid[:96, :96]
    return (np.hypot(rows % 24 - 12, columns % 24 - 12) < 6).astype(np.uint8)


def thin_walls() -> np.ndarray:
    """Diamonds between diagonal lines of one pixel, which only their corners connect."""
    rows, columns = np.mgrid[:90, :90]
    return (((rows + columns) % 30 > 0) & ((rows - columns) % 30 > 0)).astype(np.uint8)


@pytest.mark.parametrize("label", [cells(), nuclei(), thin_walls()])
def test_objects_are_found_in_a_label_and_in_its_inverse(label):
    own, inverse = find_object_class([label]), find_object_class([1 - label])
    assert (own["objects"], inverse["objects"]) == ("foreground", "background")
    assert own["pieces"]["foreground"] == inverse["pieces"]["background"] > 10
    assert own["pieces"]["background"] == inverse["pieces"]["foreground"] < 2


def test_specks_and_pits_are_no_objects():
    label = np.kron(np.eye(2), np.ones((48, 48))).astype(np.uint8)
    label[2:40:4, 2:40:4] = 0
    label[2:40:4, 50:90:4] = 1
    for each in (label, 1 - label):
        assert find_object_class([each])["objects"] == "foreground"


def test_one_object_of_an_image_is_the_foreground_whatever_its_colour():
    label = np.zeros((32, 32), np.uint8)
    label[8:20, 8:20] = 1
    for each in (label, 1 - label):
        assert find_object_class([each])["objects"] == "foreground"


def test_labels_without_a_class_have_no_say_about_it():
    label, empty = nuclei(), np.zeros((96, 96), np.uint8)
    assert find_object_class([label, empty, empty]) == find_object_class([label])
    assert find_object_class([1 - label, 1 - empty]) == find_object_class([1 - label])
    nothing = {"objects": "foreground", "pieces": {"foreground": 0.0, "background": 1.0}}
    assert find_object_class([empty]) == nothing


def test_pieces_count_by_their_size():
    mask = np.zeros((10, 10), bool)
    assert count_pieces(mask, 1) == 0
    mask[0:3, 0:3] = mask[4:7, 4:7] = True
    assert count_pieces(mask, 1) == 2
    mask[9, 9] = True
    assert count_pieces(mask, 1) == 19**2 / (81 + 81 + 1)
    mask[3, 3] = True  # joins the two squares by its corners
    assert count_pieces(mask, 2) == 20**2 / (19**2 + 1)
