"""Groups, stacks and copies stay together, in every mixture."""

import re

import numpy as np
import pandas as pd
import pytest
from splitting import CHANGES, data, film, numbered, part_of, scenes, split

from maskmake.runtime.errors import UserError


def test_pages_of_stacks_are_split_in_blocks_of_whole_stacks():
    ids = [f"{stack}_{page:04d}" for stack in "abcdef" for page in range(5)]
    files = [f"images/{i[0]}.tif" for i in ids]
    arguments = data(scenes(30), ids, image=files)
    for method in ("auto", "block", "random"):
        for folds in (1, 3):
            found = split(*arguments, method=method, folds=folds)
            assert (part_of(found).groupby(files).nunique() == 1).all()
    assert split(*arguments).record["method"] == "block"


def test_one_stack_is_cut_in_blocks_and_never_mixed():
    arguments = data(scenes(10), image=["images/stack.tif"] * 10)
    found = split(*arguments)
    assert found.table["role"].tolist() == ["train"] * 5 + ["validation"] * 2 + ["test"] * 3
    with pytest.raises(UserError, match=r"10 stay together, such as '00' and '09'.*split\.method"):
        split(*arguments, method="random")


def test_frames_of_one_group_are_no_reason_for_blocks():
    # Each group is a film of its own; between them, neighbours are not alike.
    images = [frame for seed in range(10) for frame in film(5, seed)]
    groups = [f"p{place // 5}" for place in range(50)]
    found = split(*data(images, group=groups))
    assert found.record["method"] == "stratified"
    assert "Groups are drawn" in found.record["reason"]
    assert (part_of(found).groupby(groups).nunique() == 1).all()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_near_copies_stay_together_and_are_named(change):
    images = scenes(20)
    images += [change(image) for image in images[:6]]
    ids = numbered(20) + numbered(6, "{:02d}_again")
    order = np.argsort(ids)
    arguments = data([images[place] for place in order], sorted(ids))
    for settings in ({}, {"method": "random"}, {"method": "block"}, {"folds": 3}):
        found = split(*arguments, **settings)
        parts = part_of(found).set_axis(sorted(ids))
        for i in numbered(6):
            assert parts[i] == parts[f"{i}_again"], settings
        (warning,) = found.record["warnings"]
        assert warning.startswith("12 images show nearly the same as another one, such as '00' and")


def test_same_pixels_are_named_as_such():
    images = scenes(12)
    found = split(*data([*images, images[3]], method="auto"))
    assert part_of(found)[3] == part_of(found)[12]
    (warning,) = found.record["warnings"]
    assert warning.startswith("2 images have the same pixels as another one, such as '03' and '12'")


def test_empty_images_are_no_copies():
    images = scenes(20)
    images[10:] = [np.full((64, 64), 7.0)] * 10
    found = split(*data(images), method="random")
    assert len(set(part_of(found)[10:])) == 3
    assert found.record["warnings"] == []


def test_empty_fields_in_uneven_light_are_no_copies():
    light = np.mgrid[:64, :64].sum(axis=0) / 2
    rng = np.random.default_rng(3)
    images = [light + image for image in scenes(20)]
    images[10:] = [light + rng.normal(0, 3, light.shape) for _ in range(10)]
    assert split(*data(images)).record["warnings"] == []


# --- every mixture of groups, stacks and copies -----------------------------------------------


def mixture(seed):
    """Arguments of ``split_dataset`` and settings, and the kin of each image by its kind."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(20, 50))
    images, files = scenes(count, seed), numbered(count)
    groups = [f"g{group}" for group in rng.integers(0, count // 2, count)]
    for place in range(0, count - 4, int(rng.integers(6, 15))):
        files[place : place + 3] = [files[place]] * 3
    if rng.random() < 0.3:
        groups = numbered(count)
    if rng.random() < 0.3:
        files = numbered(count)
    kin = {"group": groups, "stack": files, "copy": numbered(count)}
    for first, second in rng.permutation(count)[: 2 * rng.integers(0, 5)].reshape(-1, 2):
        change = rng.choice([lambda image: image, *CHANGES.values()])
        images[second] = change(images[first])
        kin["copy"][second] = kin["copy"][first]
    settings = {
        "method": str(rng.choice(["auto", "block", "random"])),
        "folds": int(rng.choice([1, 1, 2, 3])),
        "test": float(rng.uniform(0.05, 0.4)),
        "validation": float(rng.uniform(0.05, 0.3)),
        "seed": int(seed),
    }
    return data(images, group=groups, image=files), settings, kin


@pytest.mark.parametrize("seed", range(40))
def test_no_kin_is_ever_in_two_parts(seed):
    arguments, settings, kin = mixture(seed)
    try:
        found = split(*arguments, **settings)
    except UserError as error:
        # Where nearly all images are kin there may be no split, and none is made.
        assert re.search(r"no image is left for the \w+ part.* stay together", str(error))
        return
    for kind, of_image in kin.items():
        assert (part_of(found).groupby(of_image).nunique() == 1).all(), (kind, settings)
    again = split(*arguments, **settings)
    pd.testing.assert_frame_equal(found.table, again.table)


@pytest.mark.parametrize("seed", range(10))
def test_kin_in_given_roles_or_among_named_images_is_a_fault(seed):
    (manifest, *others), _, kin = mixture(seed)
    roles = np.random.default_rng(seed).choice(["train", "validation", "test"], len(manifest))
    in_two = [pd.Series(roles).groupby(kin[kind]).nunique().max() > 1 for kind in ("group", "copy")]
    named = {part: manifest["id"][roles == part].tolist() for part in ("test", "validation")}
    for given, settings in ((manifest.assign(role=roles), {}), (manifest, named)):
        if any(in_two):
            with pytest.raises(UserError, match=r"The split has .*\n.* in one part"):
                split(given, *others, **settings)
        else:
            assert split(given, *others, **settings).table["role"].tolist() == roles.tolist()
