"""The fingerprint of a data set."""

import numpy as np
import pandas as pd
from pictures import cells

from maskmake.data.fingerprint import fingerprint


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
