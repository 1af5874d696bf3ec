"""The fingerprint of a data set; a patch has to fit into every image it is cut from."""

import numpy as np
import pandas as pd
import pytest
from pictures import cells

from maskmake.data.fingerprint import check_patch, fingerprint
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
    with pytest.raises(UserError, match=f"'small' is {height} x {width} pixels.*{remedy}"):
        check_patch(128, index(height, width), SPLITS)


def test_a_patch_may_be_as_large_as_the_smallest_image_but_for_test_images():
    check_patch(128, index(128, 200), SPLITS)


def test_test_images_have_no_say_about_the_class_of_the_objects(make_stores):
    membranes = {name: 1 - cells(size=64, count=8, seed=seed) for seed, name in enumerate("ab")}
    labels = {**membranes, "c": 1 - membranes["a"], "d": 1 - membranes["b"]}
    images = {name: np.zeros((64, 64), np.uint8) for name in labels}
    index, images, labels = make_stores(images, labels)
    for seen, objects in (("ab", "background"), ("cd", "foreground")):
        roles = ["train" if name in seen else "test" for name in "abcd"]
        splits = pd.DataFrame({"id": list("abcd"), "role": roles, "fold": None})
        plan = fingerprint(index, splits, images, labels)
        assert plan["objects"] == objects
        assert plan["pieces"][objects] > 4 > 2 > min(plan["pieces"].values())
