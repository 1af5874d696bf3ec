"""A patch has to fit into every image that patches are cut from."""

import pandas as pd
import pytest

from maskmake.data.fingerprint import check_patch
from maskmake.runtime.errors import UserError

SPLITS = pd.DataFrame(
    {"id": ["large", "small", "tiny"], "role": ["train", "validation", "test"], "fold": [0, 0, 0]}
)


def index(height, width):
    shapes = {"tiny": (16, 16), "large": (128, 128), "small": (height, width)}
    return pd.DataFrame({"id": list(shapes), "height": [h for h, _ in shapes.values()]}).assign(
        width=[w for _, w in shapes.values()]
    )


@pytest.mark.parametrize(
    ("height", "width", "remedy"),
    [(70, 200, "set train.patch to 64"), (200, 31, "remove images")],
)
def test_the_smallest_image_is_named_with_a_remedy(height, width, remedy):
    with pytest.raises(UserError, match=f"'small' is {width} x {height} pixels.*{remedy}"):
        check_patch(128, index(height, width), SPLITS)


def test_a_patch_may_be_as_large_as_the_smallest_image_but_for_test_images():
    check_patch(128, index(128, 200), SPLITS)
