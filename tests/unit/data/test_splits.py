"""Which images train, validate and test; what the data set implies; whose probabilities count."""

import hashlib
import re
import time

import numpy as np
import pandas as pd
import pytest

from maskmake.data.fingerprint import fingerprint
from maskmake.data.splits import expand_ids, fold_ids, fold_of_network, split_images
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, write_csv


def manifest_of(ids, groups=None):
    return pd.DataFrame({"id": ids, "group": groups or ids, "role": "", "foreground": 0.5})


# Results of an earlier version keep their random parts.
OF_VERSION_0_1 = {
    "one part": (["02", "03", "05", "06", "09", "10"], ["00", "01"], ["04", "07", "08", "11"]),
    "folds of groups": [["02", "03", "07", "08"], ["01", "06", "11"]],
}


def numbered(count):
    return [f"{number:02d}" for number in range(count)]


def split(manifest, method="block", test=0.3, validation=0.15, folds=1, seed=1):
    return split_images(manifest, method, test, validation, folds, seed)


def parts(table, fold=0):
    """Train, validation and test ids."""
    return tuple(fold_ids(table, fold))


# --- one validation part ----------------------------------------------------------------------


def test_block_takes_the_last_images_and_the_last_of_the_rest():
    ids = numbered(20)
    table = split(manifest_of(ids))
    assert table.columns.tolist() == ["id", "role", "fold"]
    assert parts(table) == (ids[:11], ids[11:14], ids[14:])
    assert table["fold"].dropna().tolist() == [0, 0, 0]


def test_every_image_has_one_part():
    for method in ("block", "random", "stratified"):
        ids = numbered(23)
        found = [image_id for part in parts(split(manifest_of(ids), method)) for image_id in part]
        assert sorted(found) == ids


def test_a_random_split_follows_from_its_seed():
    manifest = manifest_of(numbered(40))
    first, again = (split(manifest, "random", seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert parts(first) != parts(split(manifest, "random", seed=4))
    assert [len(part) for part in parts(first)] == [22, 6, 12]


def test_a_small_share_is_still_one_image():
    table = split(manifest_of(numbered(3)), test=0.1, validation=0.1)
    assert parts(table) == (["00"], ["01"], ["02"])


def test_a_random_split_is_that_of_earlier_versions():
    found = parts(split(manifest_of(numbered(12)), "random", seed=1))
    assert found == OF_VERSION_0_1["one part"]
    groups = [f"g{number % 5}" for number in range(12)]
    found = split(manifest_of(numbered(12), groups), "random", folds=2, seed=1)
    assert [parts(found, fold)[1] for fold in range(2)] == OF_VERSION_0_1["folds of groups"]


@pytest.mark.parametrize("folds", [1, 3])
def test_a_random_split_never_separates_a_group(folds):
    groups = [f"patient {number}" for number in np.random.default_rng(2).integers(0, 12, 60)]
    manifest = manifest_of(numbered(60), groups)
    for seed in range(5):
        table = split(manifest, "random", folds=folds, seed=seed).assign(group=groups)
        table["part"] = table["role"] + table["fold"].fillna(-1).astype(str)
        assert (table.groupby("group")["part"].nunique() == 1).all()


def test_parts_may_be_named():
    ids = numbered(10)
    table = split(manifest_of(ids), test=["07-09"], validation=["02"])
    assert parts(table) == (["00", "01", "03", "04", "05", "06"], ["02"], ids[7:])


def test_an_image_in_two_parts_is_named():
    with pytest.raises(UserError, match=r"split\.validation: '07' is a test image too"):
        split(manifest_of(numbered(10)), test=["07-09"], validation=["05-08"])


@pytest.mark.parametrize(("key", "part"), [("test", "07-09"), ("validation", "02")])
def test_an_unknown_id_is_named_with_its_key(key, part):
    known = {"test": ["07-09"], "validation": ["02"], key: [part, "99"]}
    with pytest.raises(UserError, match=rf"split\.{key}: '99' names no image.*'00' to '09'"):
        split(manifest_of(numbered(10)), **known)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"test": 0.0}, "test"),
        ({"validation": 0.0}, "validation"),
        ({"test": 0.9, "validation": 0.1}, "train"),
        ({"test": 0.5, "validation": 0.7}, "train"),
        ({"test": ["00-09"]}, "train"),
        ({"test": ["00-07"], "validation": ["08", "09"]}, "train"),
    ],
)
@pytest.mark.parametrize("method", ["block", "random", "stratified"])
def test_an_empty_part_is_named(method, settings, part):
    with pytest.raises(UserError, match=f"no image is left for the {part} part"):
        split(manifest_of(numbered(10)), method, **settings)


# --- ids and ranges ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "ids", "expected"),
    [
        (["2-4"], ["1", "2", "3", "4", "5"], ["2", "3", "4"]),
        (["21-29"], [f"{i:04d}" for i in range(40)], [f"{i:04d}" for i in range(21, 30)]),
        (["8-11"], ["7", "8", "9", "10", "11", "12"], ["8", "9", "10", "11"]),
        ([3, "1"], ["1", "2", "3"], ["3", "1"]),
        (["1-2", "2-3", "3"], ["1", "2", "3"], ["1", "2", "3"]),
        (["2 - 3"], ["1", "2", "3"], ["2", "3"]),
        (["a-1"], ["a-1", "a-2"], ["a-1"]),
        (["a-2-a-10"], ["a-1", "a-2", "a-9", "a-10", "a-11"], ["a-2", "a-9", "a-10"]),
        (["1-2"], ["1", "1-2", "2"], ["1-2"]),
        (["x_01-x_02"], ["x_00", "x_01", "x_02", "y_01"], ["x_01", "x_02"]),
    ],
)
def test_ids_and_ranges_name_images(entries, ids, expected):
    assert expand_ids(entries, ids, "split.test") == expected


@pytest.mark.parametrize("entry", ["4", "4-9", "3-2", "a-b", "-", "1-", ""])
def test_an_entry_that_names_nothing_is_an_error(entry):
    with pytest.raises(UserError, match=re.escape(f"split.test: '{entry}' names no image")):
        expand_ids([entry], ["1", "2", "3"], "split.test")


def test_many_ids_are_found_soon():
    ids = [f"image-{number:06d}" for number in range(100_000)]
    start = time.process_time()
    assert expand_ids(ids[-4000:], ids, "split.test") == ids[-4000:]
    assert time.process_time() - start < 2  # 8 s and more, were each sought in a list


# --- folds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["block", "random", "stratified"])
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_partition_everything_that_is_not_test(tmp_path, method, folds):
    ids = numbered(17)
    write_csv(tmp_path / "splits.csv", split(manifest_of(ids), method, folds=folds))
    table = read_csv(tmp_path / "splits.csv")
    assert "validation" not in set(table["role"])
    test = parts(table)[2]
    assert len(test) == 5
    validated = []
    for fold in range(folds):
        train, validation, same_test = parts(table, fold)
        assert same_test == test
        assert sorted(train + validation + test) == ids
        validated += validation
    assert sorted(validated) == sorted(set(ids) - set(test))


def test_block_folds_are_contiguous():
    table = split(manifest_of(numbered(10)), test=["09"], folds=3)
    validation = [parts(table, fold)[1] for fold in range(3)]
    assert validation == [["00", "01", "02"], ["03", "04", "05"], ["06", "07", "08"]]


def test_more_folds_than_images_name_the_empty_fold():
    with pytest.raises(UserError, match="validation part of fold 2"):
        split(manifest_of(numbered(3)), test=["02"], folds=3)


def test_more_folds_than_groups_is_an_error():
    manifest = manifest_of(numbered(9), ["a"] * 4 + ["b"] * 5)
    with pytest.raises(UserError, match="no image is left"):
        split(manifest, "random", test=["00"], folds=4)


# --- plan -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "rgb"])
def test_the_plan_holds_the_statistics_of_all_but_the_test_images(make_stores, colours, dtype):
    random = np.random.default_rng(3)
    planes = {"a": (70, 130), "b": (100, 90), "c": (40, 65)}
    top = np.iinfo(dtype).max
    images = {i: random.integers(9, top - 9, (*s, *colours), dtype) for i, s in planes.items()}
    images["c"][:] = top  # a test image, which must not be seen
    labels = {i: random.integers(0, 2, plane, np.uint8) for i, plane in planes.items()}
    index, stored_images, stored_labels = make_stores(images, labels)
    splits = pd.DataFrame({"id": list("abc"), "role": ["train", "validation", "test"]})

    plan = fingerprint(index, splits, stored_images, stored_labels)

    channels = colours[0] if colours else 1
    seen = np.concatenate([images[i].reshape(-1, channels) for i in "ab"]).astype(float)
    assert plan["intensity"]["mean"] == pytest.approx(seen.mean(axis=0))
    assert plan["intensity"]["std"] == pytest.approx(seen.std(axis=0))
    assert (plan["intensity"]["minimum"], plan["intensity"]["maximum"]) == (seen.min(), seen.max())
    assert plan["foreground"] == pytest.approx(
        np.concatenate([labels[i].reshape(-1) for i in "ab"]).mean()
    )
    assert plan["images"] == 3
    assert plan["height"] == {"minimum": 40, "median": 70, "maximum": 100}
    assert plan["width"] == {"minimum": 65, "median": 90, "maximum": 130}
    assert (plan["channels"], plan["dtype"]) == (channels, np.dtype(dtype).name)


def test_the_std_of_constant_images_is_zero(make_stores):
    images = {"a": np.full((64, 64), 65535, np.uint16)}
    labels = {"a": np.zeros((64, 64), np.uint8)}
    index, *stores = make_stores(images, labels)
    plan = fingerprint(index, pd.DataFrame({"id": ["a"], "role": ["train"]}), *stores)
    assert plan["intensity"]["std"] == [0.0]


# --- probabilities of a run -------------------------------------------------------------------


def probabilities_of(folder, splits, index, values):
    """Write ``probabilities.npy`` and ``.csv`` of each fold from its values by id."""
    paths, tables = [], []
    for fold, by_id in enumerate(values):
        ids = fold_ids(splits, fold_of_network(splits, fold))
        arrays = [by_id[i].astype(np.float16).reshape(-1) for i in ids.validation + ids.test]
        paths.append(folder / f"fold{fold}.npy")
        np.save(paths[-1], np.concatenate(arrays))
        tables.append(folder / f"fold{fold}.csv")
        sums = [hashlib.sha256(array).hexdigest() for array in arrays]
        write_csv(tables[-1], pd.DataFrame({"id": ids.validation + ids.test, "sha256": sums}))
    return RunProbabilities(paths, tables, index, splits)


def plane_index(planes):
    ids = [str(number) for number in range(len(planes))]
    return pd.DataFrame(planes, columns=["height", "width"]).assign(id=ids)


def test_the_probabilities_of_one_fold_are_given_as_they_are(tmp_path):
    index = plane_index([(4, 6), (3, 5), (2, 7), (6, 4)])
    splits = split(manifest_of(index["id"].tolist()), test=["3"], validation=["1-2"])
    planes = index.set_index("id")[["height", "width"]].to_numpy()
    values = {str(i): np.full(plane, 0.1 * (i + 1)) for i, plane in enumerate(planes)}
    run = probabilities_of(tmp_path, splits, index, [values])
    assert (run.validation_ids, run.test_ids) == (["1", "2"], ["3"])
    for image_id in ("1", "2"):
        np.testing.assert_array_equal(run.validation(image_id), values[image_id].astype(np.float16))
    assert run.test("3").shape == (6, 4)
    assert run.test("3").dtype == np.float16
    np.testing.assert_array_equal(run.test("3"), values["3"].astype(np.float16))


def test_folds_validate_their_own_images_and_average_logits_on_test(tmp_path):
    index = plane_index([(2, 3)] * 5)
    splits = split(manifest_of(index["id"].tolist()), test=["4"], folds=2)
    first, second = (dict.fromkeys("01234", np.full((2, 3), p)) for p in (0.2, 0.9))
    run = probabilities_of(tmp_path, splits, index, [first, second])
    assert run.validation_ids == ["0", "1", "2", "3"]
    assert [run.validation(i)[0, 0] for i in "0123"] == pytest.approx(
        [0.2, 0.2, 0.9, 0.9], abs=1e-3
    )
    odds = np.sqrt(0.2 / 0.8 * 0.9 / 0.1)
    np.testing.assert_allclose(run.test("4"), np.full((2, 3), odds / (1 + odds)), atol=1e-3)


@pytest.mark.parametrize("probability", [0, 1e-6, 1e-4, 3e-4, 0.5, 0.9995, 1])
def test_one_threshold_cuts_validation_and_test_images_alike(probability, tmp_path):
    """Of networks that agree; a mean of logits knows none below -8.3."""
    index = plane_index([(2, 3)] * 5)
    splits = split(manifest_of(index["id"].tolist()), test=["4"], folds=2)
    values = [dict.fromkeys("01234", np.full((2, 3), probability))] * 2
    run = probabilities_of(tmp_path, splits, index, values)
    np.testing.assert_array_equal(run.validation("0"), run.test("4"))


def test_seeds_of_a_fold_are_averaged_on_its_validation_images(tmp_path):
    """Networks 0 and 1 are those of the first seed, 2 and 3 those of the second."""
    index = plane_index([(2, 3)] * 5)
    splits = split(manifest_of(index["id"].tolist()), test=["4"], folds=2)
    values = [dict.fromkeys("01234", np.full((2, 3), p)) for p in (0.2, 0.9, 0.5, 0.5)]
    run = probabilities_of(tmp_path, splits, index, values)
    assert run.validation_ids == ["0", "1", "2", "3"]

    def mean(*probabilities):
        odds = np.prod([p / (1 - p) for p in probabilities]) ** (1 / len(probabilities))
        return odds / (1 + odds)

    found = [run.validation(i)[0, 0] for i in "0123"]
    expected = [mean(0.2, 0.5), mean(0.2, 0.5), mean(0.9, 0.5), mean(0.9, 0.5)]
    assert found == pytest.approx(expected, abs=1e-3)
    assert run.test("4")[0, 0] == pytest.approx(mean(0.2, 0.9, 0.5, 0.5), abs=1e-3)
    assert run.folds == [0, 1, 0, 1]
    each = [run.test_of_network(number, "4")[0, 0] for number in range(len(run.folds))]
    assert each == pytest.approx([0.2, 0.9, 0.5, 0.5], abs=1e-3)


def test_sure_folds_give_finite_probabilities(tmp_path):
    index = plane_index([(2, 2)] * 4)
    splits = split(manifest_of(index["id"].tolist()), test=["3"], folds=3)
    folds = [dict.fromkeys("0123", np.full((2, 2), p)) for p in (0.0, 1.0, 1.0)]
    mean = probabilities_of(tmp_path, splits, index, folds).test("3")
    assert np.isfinite(mean).all()
    assert (mean > 0.9).all()
