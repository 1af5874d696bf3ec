"""Cracks are thin structures; membranes, cells and dots are not."""

import pytest

from maskmake.plan.thin_structures import thin_structures


@pytest.mark.parametrize(
    ("foreground", "width", "area", "found", "reason"),
    [
        (0.004, 3, 600, True, "foreground is 0.4% of the pixels, in objects 3 pixels wide and 67"),
        (0.22, 6, 9000, False, "foreground is 22.0% of the pixels, more than 5%"),
        (0.02, 20, 400, False, "objects are 20 pixels wide, more than 8"),
        (0.004, 5, 25, False, "objects are 1.0 times as long as wide, less than 4"),
    ],
    ids=["cracks", "membranes", "cells", "dots"],
)
def test_what_is_a_thin_structure(foreground, width, area, found, reason):
    result = thin_structures(foreground, width, area)
    assert result.found is found
    assert result.reason.startswith(reason)
