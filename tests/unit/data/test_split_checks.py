"""What a finished split is refused for, and what it warns of."""

import re

import numpy as np
import pytest
from splitting import ROLES, data, film, numbered, parts, scenes, split

from maskmake.runtime.errors import UserError


def test_copies_in_two_sub_folders_are_a_fault_that_says_what_to_do():
    images = scenes(14)
    images[11] = images[2]
    images[13] = images[4]
    with pytest.raises(UserError) as caught:
        split(*data(images, role=ROLES))
    assert str(caught.value) == (
        "The split has a fault:\n  '02' (train) and '11' (test) (and 1 more pair) have the same "
        "pixels; expected copies in one part, since the score of an image that was trained on says "
        "nothing; remove one of each pair, or give both one role, or set split.method to random, "
        "which keeps them together."
    )
    split(*data(images, role=ROLES), method="random")


def test_near_copies_in_two_sub_folders_are_a_fault_unless_accepted():
    images = scenes(14)
    images[11] = 0.9 * images[2][:, ::-1] + 5
    arguments = data(images, role=ROLES)
    sentence = r"'02' \(train\) and '11' \(test\) show nearly the same; .*split\.near_copies to acc"
    with pytest.raises(UserError, match=sentence):
        split(*arguments)
    found = split(*arguments, near_copies="accept")
    assert any("'02' (train) and '11' (test) show nearly" in w for w in found.record["warnings"])


def test_groups_in_two_parts_that_a_user_named_are_a_fault():
    arguments = data(scenes(10), group=[f"p{place // 2}" for place in range(10)])
    with pytest.raises(UserError, match=r"'06' \(train\) and '07' \(test\) belong to one group; "):
        split(*arguments, test=["07-09"])
    assert parts(split(*arguments, test=["06-09"]))[2] == {"06", "07", "08", "09"}


def test_all_faults_are_named_at_once():
    images = scenes(14)
    images[11] = images[2]
    images[12] = images[3] + 1
    groups = numbered(14)
    groups[8] = groups[1]
    arguments = data(images, role=ROLES, group=groups, foreground=[0.2] * 8 + [0.0] * 6)
    with pytest.raises(UserError, match="5 faults") as caught:
        split(*arguments)
    assert len(str(caught.value).splitlines()) == 6


@pytest.mark.parametrize("method", ["auto", "block"])
def test_a_slow_film_is_cut_with_a_warning(method):
    found = split(*data(film(40, speed=0.1)), method=method)
    assert found.table["role"].tolist() == ["train"] * 22 + ["validation"] * 6 + ["test"] * 12
    assert any("at a border of two parts" in warning for warning in found.record["warnings"])


def test_a_slow_film_is_cut_within_a_sub_folder_but_not_between_two():
    roles = ["train"] * 40 + ["test"] * 8
    apart = [*film(40, speed=0.1), *film(8, seed=1)]
    found = split(*data(apart, role=roles), validation=0.25)
    assert found.table["role"].tolist() == ["train"] * 28 + ["validation"] * 12 + ["test"] * 8
    with pytest.raises(UserError, match=r"\(test\).* show nearly the same.*give both one role"):
        split(*data(film(48, speed=0.1), role=roles), validation=0.25)


# --- parts of one class -----------------------------------------------------------------------


@pytest.mark.parametrize("share, found", [(0.0, "background"), (1.0, "foreground")])
@pytest.mark.parametrize(
    "part, key, images",
    [
        ("training", "split", slice(0, 11)),
        ("validation", "split.validation", slice(11, 14)),
        ("test", "split.test", slice(14, 20)),
    ],
)
def test_a_part_whose_labels_have_one_class_is_refused(share, found, part, key, images):
    manifest, *others = data(scenes(20))
    manifest.loc[manifest.index[images], "foreground"] = share
    sentence = f"  {re.escape(key)}: every pixel of the {part} labels is {found}"
    with pytest.raises(UserError, match=sentence):
        split(manifest, *others, method="block")
    manifest.loc[manifest.index[images][0], "foreground"] = 0.01
    split(manifest, *others, method="block")


def test_each_fold_needs_an_object_in_its_validation_and_its_training_part():
    manifest, *others = data(scenes(9), foreground=[0.2, *[0.0] * 7, 0.2])
    with pytest.raises(UserError) as caught:
        split(manifest, *others, method="block", folds=3)
    assert [line.split(";")[0] for line in str(caught.value).splitlines()[1:]] == [
        "  split: every pixel of the training labels of fold 0 is background",
        "  split.validation: every pixel of the validation labels of fold 1 is background",
        "  split.validation: every pixel of the validation labels of fold 2 is background",
    ]


def test_rare_objects_are_in_every_part_of_a_mixed_split():
    for seed in range(8):
        foreground = np.random.default_rng(seed).permutation([0.1] * 3 + [0.0] * 17)
        split(*data(scenes(20), foreground=foreground), seed=seed)


def test_sections_that_end_without_objects_are_mixed_or_refused():
    foreground = [0.2] * 5 + [0.0] * 4
    split(*data(scenes(9), foreground=foreground))
    with pytest.raises(UserError, match=r"split\.test: every pixel of the test labels is backgr"):
        split(*data(film(9), foreground=foreground), method="block")


# --- parts that differ ------------------------------------------------------------------------


def warnings_of(*arguments, **settings):
    return split(*arguments, **settings).record["warnings"]


def test_parts_that_differ_in_foreground_are_named():
    foreground = np.array([0.1, 0.11, 0.12, 0.13] * 5)
    assert not warnings_of(*data(scenes(20), foreground=foreground), method="block")
    foreground[14:] = 0.9
    (warning,) = warnings_of(*data(scenes(20), foreground=foreground), method="block")
    assert warning.startswith("The test images have 90 % foreground, the training images 11.")


def test_two_polarities_in_one_small_set_are_named():
    found = warnings_of(*data(scenes(6), foreground=[0.1, 0.9] * 3))
    assert any("% foreground" in warning for warning in found)


def test_parts_that_differ_in_brightness_are_named():
    images = scenes(20)
    assert not warnings_of(*data(images), method="block")
    images[14:] = [image + 200 for image in images[14:]]
    (warning,) = warnings_of(*data(images), method="block")
    assert re.match(r"The test images have a mean brightness of 32\d\.?\d?, the training", warning)
    large = [image * 1e35 for image in images]  # whose sum is beyond float32
    (warning,) = warnings_of(*data(large), method="block")
    assert re.match(r"The test images have a mean brightness of 3\.2\d*e\+37, the tr", warning)


def test_chance_is_no_warning():
    rng = np.random.default_rng(5)
    for seed in range(6):
        foreground = rng.uniform(0.01, 0.4, 60)
        images = [image + rng.uniform(0, 100) for image in scenes(60, seed)]
        assert not warnings_of(*data(images, foreground=foreground), seed=seed)


def test_a_form_of_names_in_the_test_part_alone_is_named():
    ids = numbered(6, "benign ({})") + numbered(3, "malignant ({})")
    (warning,) = warnings_of(*data(scenes(9), ids), method="block")
    assert warning.startswith("All 3 images named 'malignant (#)', with numbers for #, are in the")
    groups = ["one scene" if i.startswith("m") else i for i in ids]
    assert not warnings_of(*data(scenes(9), ids, group=groups), method="block")


def test_forms_of_names_that_say_the_role_are_no_warning():
    ids = numbered(8, "{}_training") + numbered(2, "{}_val") + numbered(4, "test_{}")
    assert not warnings_of(*data(scenes(14), ids, role=ROLES))
