"""How the split is chosen, what it keeps together, and what it refuses or warns of."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from maskmake.data.auto_split import split_dataset
from maskmake.data.splits import fold_ids
from maskmake.data.thumbnails import thumbnail
from maskmake.runtime.errors import UserError

SETTINGS = {
    "method": "auto",
    "test": 0.3,
    "validation": 0.15,
    "folds": 1,
    "near_copies": "refuse",
    "seed": 1,
}


def scenes(count, seed=0, size=64):
    """Images (size, size) that have nothing in common, of blobs."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.standard_normal((count, size, size)), (0, 3, 3))
    return list(128 + 400 * fields)


def film(count, seed=0, size=64, speed=1.0):
    """Images of a scene that changes, each like the next one."""
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((count + 40, size, size))
    fields = ndimage.gaussian_filter(fields, (1.5 / speed, 3, 3))
    return list(128 + 400 * fields[20 : 20 + count] / fields.std())


def numbered(count, form="{:02d}"):
    return [form.format(number) for number in range(count)]


def data(images, ids=None, foreground=None, **columns):
    """Arguments of ``split_dataset``: manifest, index, thumbnails."""
    ids = ids or numbered(len(images))
    manifest = pd.DataFrame({"id": ids, "group": ids, "role": ""})
    manifest["image"] = [f"images/{i}.png" for i in ids]
    # Shares of foreground that differ a little.
    shares = np.linspace(0.2, 0.3, len(ids)) if foreground is None else foreground
    manifest = manifest.assign(foreground=shares, **columns)
    sums = [f"{hash(np.asarray(image).tobytes()):x}" for image in images]
    sizes = np.array([np.shape(image)[:2] for image in images])
    index = pd.DataFrame({"id": ids, "height": sizes[:, 0], "width": sizes[:, 1]})
    index["sha256_image"] = sums
    return manifest, index, np.stack([thumbnail(np.asarray(image)) for image in images])


def split(*arguments, **settings):
    return split_dataset(*arguments, SETTINGS | settings)


def parts(found, fold=0):
    return tuple(map(set, fold_ids(found.table, fold)))


def part_of(found):
    """The part of each image: its role, or the fold in whose validation part it is."""
    return found.table["role"] + found.table["fold"].fillna(-1).astype(str)


# --- which method -----------------------------------------------------------------------------


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


# --- what stays together ----------------------------------------------------------------------


def test_frames_of_one_group_are_no_reason_for_blocks():
    # Each group is a film of its own; between them, neighbours are not alike.
    images = [frame for seed in range(10) for frame in film(5, seed)]
    groups = [f"p{place // 5}" for place in range(50)]
    found = split(*data(images, group=groups))
    assert found.record["method"] == "stratified"
    assert "Groups are drawn" in found.record["reason"]
    assert (part_of(found).groupby(groups).nunique() == 1).all()


CHANGES = {
    "brighter": lambda image: 1.2 * image + 10,
    "noisy": lambda image: image + np.random.default_rng(0).normal(0, 10, image.shape),
    "smaller": lambda image: image[::2, ::2],
    "flipped": lambda image: image[:, ::-1],
    "turned": lambda image: np.rot90(image),
}


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


ROLES = ["train"] * 8 + ["validation"] * 2 + ["test"] * 4


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
