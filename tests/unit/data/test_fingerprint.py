"""The fingerprint of a data set."""

import numpy as np
import pandas as pd
from pictures import cells

from maskmake.data.fingerprint import fingerprint
from maskmake.data.labels import IGNORED


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


def test_a_margin_that_is_ignored_has_no_part_in_the_brightness(make_stores):
    """Mosaics of satellites have one of zeros, of another width in each image."""
    rng = np.random.default_rng(1)
    images, labels, whole = {}, {}, []
    for number, name in enumerate("abc"):
        images[name] = rng.integers(90, 110, (64, 64)).astype(np.uint8)
        labels[name] = (cells(size=64, count=8, seed=number) > 0).astype(np.uint8)
        margin = 15 * (number + 1)
        images[name][:margin], labels[name][:margin] = 0, IGNORED
        whole.append(images[name][margin:].ravel())
    labels["c"][:] = IGNORED  # nothing of it is labelled
    index, images, labels = make_stores(images, labels)
    splits = pd.DataFrame({"id": list("abc"), "role": "train", "fold": None})
    found = fingerprint(index, splits, images, labels)["intensity"]
    pixels = np.concatenate(whole[:2]).astype(float)
    np.testing.assert_allclose(found["mean"], [pixels.mean()])
    np.testing.assert_allclose(found["std"], [pixels.std()])
    assert found["between"][0] < 1 < found["inside"][0]
    assert (found["minimum"], found["maximum"]) == (0, 109)
