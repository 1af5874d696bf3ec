"""Which method splits the images, and what follows from it."""

import re

import numpy as np
import pytest
from splitting import data, film, numbered, parts, scenes, split

from maskmake.runtime.errors import UserError


def test_sub_folders_give_the_roles_without_a_setting():
    roles = ["train", "test", "validation", "train"]
    found = split(*data(scenes(4), list("abcd"), role=roles))
    assert found.table["role"].tolist() == roles
    assert found.record["method"] == "folders"
    assert found.record["reason"] == (
        "Images keep the roles that the data set gives them (train, validation, test)."
    )


def test_the_part_that_no_sub_folder_gives_is_taken_from_the_training_images():
    roles = ["test" if number % 4 == 1 else "train" for number in range(8)]
    found = split(*data(scenes(8), role=roles))
    train, validation, test = parts(found)
    assert test == {"01", "05"}
    assert len(validation) == 1 and len(train) == 5
    assert (
        "(train, test); the validation images are taken from the others."
        in (found.record["reason"])
    )


def test_folds_are_made_of_all_but_the_test_images_of_a_sub_folder():
    roles = ["test", "validation", "train", "train", "train"]
    for method in ("auto", "folders"):
        found = split(*data(scenes(5), role=roles), method=method, folds=2)
        assert parts(found)[2] == {"00"}
        assert sorted([*parts(found, 0)[1], *parts(found, 1)[1]]) == numbered(5)[1:]


def test_an_empty_folder_part_is_named():
    arguments = data(scenes(3), role=["train", "train", "validation"])
    with pytest.raises(UserError, match=r"no image has the role test \(found train and valid"):
        split(*arguments, method="folders")


@pytest.mark.parametrize("method", ["auto", "folders"])
def test_an_image_outside_of_the_sub_folders_is_named(method):
    arguments = data(scenes(4), list("abcd"), role=["train", "test", "", "validation"])
    with pytest.raises(UserError, match=r"image 'c' \(1 in all\) lies in no sub-folder"):
        split(*arguments, method=method)


def test_ids_and_sub_folders_together_are_refused():
    arguments = data(scenes(4), role=["train", "test", "train", "validation"])
    with pytest.raises(
        UserError, match=r"split\.test: names images, but the data set has the role"
    ):
        split(*arguments, test=["03"])
    assert parts(split(*arguments, test=["03"], method="block"))[2] == {"03"}


def test_neighbours_that_are_alike_are_split_in_blocks():
    found = split(*data(film(30)))
    assert found.table["role"].tolist() == ["train"] * 17 + ["validation"] * 4 + ["test"] * 9
    assert "alike" in found.record["reason"]
    likeness = found.record["likeness"]
    assert likeness["pairs"] == 29
    assert likeness["neighbours"] > 0.4 > 0.1 > likeness["others"]
    stated = re.findall(r"-?\d\.\d\d", found.record["reason"])
    assert stated == [f"{likeness[key]:.2f}" for key in ("neighbours", "others")]


@pytest.mark.parametrize(
    "ids", [numbered(30), [f"{number * 7919 % 10007:x}q" for number in range(30)]]
)
def test_other_images_are_mixed_with_equal_shares_of_foreground(ids):
    shares = np.random.default_rng(1).permutation(np.linspace(0.01, 0.6, 30))
    found = split(*data(scenes(30), sorted(ids), shares))
    assert found.record["method"] == "stratified"
    table = found.table.assign(share=shares)
    means = table.groupby("role")["share"].mean()
    assert table["role"].value_counts().to_dict() == {"train": 17, "test": 9, "validation": 4}
    assert means.max() - means.min() < 0.06


def test_uneven_light_makes_no_neighbours_alike():
    images = [image + 5 * np.mgrid[:64, :64].sum(axis=0) for image in scenes(30)]
    assert split(*data(images)).record["method"] == "stratified"


def test_classes_in_names_make_no_neighbours_alike_and_are_in_every_part():
    disc = 300 * np.exp(-((np.mgrid[:64, :64] - 32) ** 2).sum(axis=0) / 200)
    images = [image + (place >= 20) * disc for place, image in enumerate(scenes(30))]
    ids = numbered(20, "benign ({})") + numbered(10, "malignant ({})")
    found = split(*data(images, ids))
    for part in parts(found):
        assert {i.split()[0] for i in part} == {"benign", "malignant"}
    assert found.record["warnings"] == []


def test_named_images_are_taken_as_they_are():
    found = split(*data(scenes(10)), test=["07-09"], validation=["02"])
    assert parts(found)[1:] == ({"02"}, {"07", "08", "09"})
    assert found.record["reason"] == "split.test and split.validation name their images."


@pytest.mark.parametrize("method", ["block", "random"])
def test_an_explicit_method_is_obeyed(method):
    found = split(*data(scenes(10)), method=method)
    assert found.record["reason"] == f"The images are split by {method}, as split.method says."
    assert (found.table["role"].tolist()[-3:] == ["test"] * 3) == (method == "block")


def test_a_random_split_of_a_film_is_obeyed_with_a_warning():
    (warning,) = split(*data(film(30)), method="random").record["warnings"]
    assert re.search(r"29 neighbours correlate with 0\.\d\d .* set split\.method to block", warning)


@pytest.mark.parametrize("method", ["auto", "random"])
def test_names_in_no_sequence_have_no_likeness(method):
    ids = ["ab1c", "b2", "c3d", "d4ef", "ee5", "f6f", "g7gg", "hh8h"]
    found = split(*data(scenes(8), ids), method=method)
    assert "likeness" not in found.record
    assert ("because no names follow each other." in found.record["reason"]) == (method == "auto")
