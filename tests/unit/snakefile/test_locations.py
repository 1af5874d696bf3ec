"""Which files make up a data set, and in which order."""

import pytest

from maskmake.data.folders import list_dataset, list_images, natural_key, synthetic_names
from maskmake.runtime.errors import UserError
from maskmake.snakefile.locations import Dataset, list_shards, names_of_pages, trained_folds


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def section(**changes):
    keys = ("images", "labels", "table", "synthesis", "download", "storage")
    return dict.fromkeys(keys) | changes


@pytest.mark.parametrize(
    "ordered",
    [
        ["2.png", "10.png", "100.png"],
        ["a1b2", "a1b10", "a2b1"],
        ["slice-9", "slice-010", "slice-11"],
        ["007", "07", "8"],
        ["1", "a"],
        ["1²", "2"],
    ],
)
def test_natural_order_counts_digits_as_numbers(ordered):
    assert sorted(ordered, key=natural_key) == ordered


def test_images_are_listed_in_natural_order_and_nothing_else_is(tmp_path):
    folder = touch(tmp_path, "10.png", "9.TIF", "b.jpeg", "1.bmp", "a.Tiff", "c.jpg")
    touch(folder, ".hidden.png", "notes.txt", "thumbs.db", "x.gif", "x.heic")
    (folder / "folder.png").mkdir()
    names = [path.name for path in list_images(folder)]
    assert names == ["1.bmp", "9.TIF", "10.png", "a.Tiff", "b.jpeg", "c.jpg", "x.gif"]


def test_a_missing_folder_has_no_images(tmp_path):
    assert list_images(tmp_path / "gone") == []


def test_a_data_set_includes_the_folders_of_the_roles_only(tmp_path):
    touch(tmp_path, "1.png")
    for folder in ("train", "validation", "test", "other"):
        touch(tmp_path / folder, f"{folder}.png")
    names = [path.stem for path in list_dataset(tmp_path)]
    assert names == ["1", "train", "validation", "test"]


def test_shards_hold_every_image_once_in_order():
    images = [f"new/{i}.png" for i in range(5)] + ["s3://b/5.png", "https://h/a/6.png?raw=1"]
    shards = list_shards(dict.fromkeys(images), 3)
    assert [len(shard) for shard in shards] == [3, 3, 1]
    assert [path for shard in shards for path in shard] == images
    assert list_shards({}, 3) == []


@pytest.mark.parametrize(("count", "last"), [(3, "02.png"), (100, "99.png"), (101, "100.png")])
def test_synthetic_names_sort_as_text(count, last):
    names = synthetic_names(count)
    assert len(names) == count
    assert names[-1] == last
    assert names == sorted(names)


def test_folders_are_taken_as_they_are(tmp_path):
    images, labels = touch(tmp_path / "i", "1.png"), touch(tmp_path / "l", "1.tif")
    found = Dataset.locate(section(images=str(images), labels=str(labels)), "made")
    assert found == (
        str(images),
        str(labels),
        [str(images / "1.png")],
        [str(labels / "1.tif")],
        "folders",
        None,
    )


def test_synthesis_names_the_files_it_will_make():
    found = Dataset.locate(section(synthesis={"images": 3}), "made")
    assert found.origin == "synthesis"
    assert (found.images, found.labels) == ("made/image", "made/label")
    assert found.image_files[:2] == ["made/image/00.png", "made/image/01.png"]
    assert len(found.image_files) == len(found.label_files) == 3


def test_a_download_is_used_only_while_the_folders_are_missing(tmp_path):
    checksums = tmp_path / "checksums"
    checksums.write_text(f"{'0' * 64}  image/0.png\n{'1' * 64}  label/0.png\n")
    images, labels = tmp_path / "i", tmp_path / "l"
    download = {"url": "https://example.org", "checksums": str(checksums)}
    settings = section(images=str(images), labels=str(labels), download=download)

    found = Dataset.locate(settings, "made")
    assert found.origin == "download"
    assert (found.image_files, found.label_files) == (["made/image/0.png"], ["made/label/0.png"])

    touch(images, "5.png")
    touch(labels, "5.png")
    found = Dataset.locate(settings, "made")
    assert found.origin == "folders"
    assert found.image_files + found.label_files == [str(images / "5.png"), str(labels / "5.png")]


def test_a_configuration_that_names_no_images_has_no_data_set():
    assert Dataset.locate(section(), "made") is None
    assert Dataset.locate(section(images="i"), "made") is None


def test_a_model_in_braces_is_refused_in_words(tmp_path):
    run = tmp_path / "{v1}" / "run"
    (run / "fold0").mkdir(parents=True)
    with pytest.raises(UserError, match="takes the braces in this path for wildcards"):
        trained_folds(str(run))


def test_a_pattern_and_a_table_are_listed(tmp_path):
    for name in "ab":
        touch(tmp_path / name, "image.png", "label.png", "notes.png")
    pattern = section(images=f"{tmp_path}/*/image.png", labels=f"{tmp_path}/*/label.png")
    (tmp_path / "pairs.csv").write_text("image,label\nb/image.png,b/label.png\n")
    found = Dataset.locate(pattern, "made")
    assert found.origin == "folders"
    assert found.files == [f"{tmp_path}/{n}/{k}.png" for k in ("image", "label") for n in "ab"]
    found = Dataset.locate(section(table=f"{tmp_path}/pairs.csv"), "made")
    assert found.files == [f"{tmp_path}/{n}" for n in ("pairs.csv", "b/image.png", "b/label.png")]


def test_names_that_a_page_of_another_image_may_have():
    images = {"p/a.tif": "p_a", "p/a_0000.png": "p_a_0000", "q/a_0000.png": "q_a_0000"}
    assert names_of_pages(images) == {"p/a.tif": {"p_a_0000": "p/a_0000.png"}}
    addresses = dict.fromkeys(["https://h/q/b.tif", "https://h/p/b_0000.png?raw=1", "s3://c/b_1"])
    assert names_of_pages(addresses) == {
        "https://h/q/b.tif": {"b_0000": "https://h/p/b_0000.png?raw=1"}
    }


def test_masks_of_one_name_are_refused():
    with pytest.raises(UserError, match=r"d/b\.png: has the same stem as d/a\.png"):
        list_shards({"d/a.png": "x", "d/b.png": "x"}, 3)
