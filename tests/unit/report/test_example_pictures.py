"""The images that are shown as examples, and how they are drawn."""

import numpy as np
import pandas as pd
import pytest

from maskmake.report import pictures
from maskmake.report.pictures import count_components, select_examples


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ([0.5], [("Only", 0)]),
        ([0.5, 0.7], [("Best", 1), ("Worst", 0)]),
        ([0.5, 0.7, 0.6], [("Best", 1), ("Worst", 0)]),
        ([0.5, 0.7, 0.6, 0.9], [("Best", 3), ("Best", 1), ("Worst", 2), ("Worst", 0)]),
        ([0.5, np.nan, 0.6], [("Best", 2), ("Worst", 0)]),
        ([np.nan], [("Only", 0)]),
    ],
)
def test_examples_are_the_best_and_the_worst_without_duplicates(dice, expected):
    table = pd.DataFrame({"id": range(len(dice)), "mean_dice": dice})
    assert [(verdict, row["id"]) for verdict, row in select_examples(table)] == expected


def test_components_are_4_connected():
    assert count_components(np.eye(3, dtype=np.uint8)) == 3
    assert count_components(np.eye(3, dtype=np.uint8), "background") == 2


def test_error_map_colours():
    label = np.zeros((8, 8), np.uint8)
    label[:, :4] = 1
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    errors = pictures.error_map(np.full((8, 8), 9, np.uint16), label, mask)
    assert tuple(errors[7, 0]) == pictures.MISSED
    assert tuple(errors[0, 7]) == pictures.FALSE
    for row, column in ((0, 0), (7, 7)):
        red, green, blue = errors[row, column]
        assert red == green == blue


def test_a_large_image_is_sampled_before_it_is_converted():
    picture = pictures.stretched(np.zeros((2, 5 * pictures.SAMPLED_SIDE), np.uint16))
    assert picture.dtype == np.uint8 and picture.shape == (1, pictures.SAMPLED_SIDE)
