"""Which data a results folder accepts once it was made from some."""

import json

import pytest

from maskmake.data.data_source import check_source, folder_name, name_of_images, places
from maskmake.data.file_versions import write_scan
from maskmake.runtime.errors import UserError

RECORD = "results/mine/data/.source.json"


def section(**changes):
    keys = ("images", "labels", "table", "synthesis", "download", "storage")
    return dict.fromkeys(keys) | changes


def folders(name):
    return section(images=f"{name}/image", labels=f"{name}/label")


def stored(*names):
    images = [f"s3://bucket/{name}" for name in names]
    labels = {"address": "s3://bucket/labels.zip", "sha256": "0" * 64}
    return section(storage={"images": images, "labels": labels})


def write_files(folder, content="pixels"):
    files = [f"{folder}/image/0.png", f"{folder}/label/0.png"]
    for file in files:
        path = folder.joinpath(*file.split("/")[-2:])
        path.parent.mkdir(parents=True)
        path.write_text(content + path.parent.name)
    return files


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """The working folder, with the results folder."""
    folder = tmp_path / "work"
    (folder / "results/mine/data").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def make(before, work, files=()):
    """Record what results were made from."""
    (work / RECORD).write_text(json.dumps(places(before)))
    write_scan(files, work / "results/mine/data/.contents.csv")


def check(now, files=()):
    check_source("results/mine", RECORD, places(now), list(files))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (folders("a"), folders("./a/")),
        (stored("a", "b"), stored("b", "c")),
        (section(synthesis={"seed": 1}), section(synthesis={"seed": 2})),
        (
            section(download={"url": "https://host/a"}),
            section(download={"url": "https://host/a/"}, images="a", labels="b"),
        ),
        (
            section(download={"url": "https://host/a"}, images="a", labels="b"),
            section(images="a", labels="b"),
        ),
    ],
    ids=["folders", "addresses", "synthesis", "download", "download into folders"],
)
def test_the_same_data_is_accepted(before, now, work):
    make(before, work)
    check(now)


def test_results_without_a_record_are_accepted():
    check(folders("b"))


def test_a_relative_and_an_absolute_name_of_a_folder_are_the_same(work):
    make(folders("a"), work, write_files(work / "a"))
    check(folders(work / "a"))


def test_data_that_was_moved_is_accepted_and_other_data_of_the_same_names_is_not(work):
    files = write_files(work / "a")
    make(folders(work / "a"), work, files)
    (work / "a").rename(work / "b")
    check(folders(work / "b"), [file.replace("/a/", "/b/") for file in files])
    with pytest.raises(UserError, match="made from the images in"):
        check(folders("c"), write_files(work / "c", "others"))


@pytest.mark.parametrize(
    ("before", "now", "parts"),
    [
        (
            folders("a"),
            folders("b"),
            "the images in a/image and the labels in a/label, but the configuration names b/image "
            "and b/label",
        ),
        (
            folders("a"),
            section(images="a/image", labels="other"),
            "the labels in a/label, but the configuration names other",
        ),
        (
            stored("a", "b"),
            stored("c"),
            "the images in s3://bucket/a and 1 more, but the configuration names s3://bucket/c",
        ),
        (
            section(synthesis={"seed": 1}),
            folders("a"),
            "the images in dataset.synthesis and the labels in dataset.synthesis, but the "
            "configuration names a/image and a/label",
        ),
    ],
    ids=["folders", "labels alone", "addresses", "synthesis"],
)
def test_other_data_is_refused_in_a_sentence(before, now, parts, work):
    make(before, work)
    with pytest.raises(UserError) as caught:
        check(now)
    assert str(caught.value) == (
        f"results/mine: made from {parts}; expected the same; set dataset.name to another "
        f"name, or, to replace these results, remove {RECORD}."
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"images": 3, "labels": 3}', '{"images": "a", "labels": ["a"]}']
)
def test_a_damaged_record_is_named(text, work):
    (work / RECORD).write_text(text)
    with pytest.raises(UserError, match=r"\.source\.json: damaged"):
        check(folders("a"))


def test_masks_of_other_images_or_of_another_model_are_refused(work):
    record = work / "results/mine/segment/run/new/.shards/source.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"model": ["run"], "images": ["A/new"]}))
    masks = "results/mine/segment/run/new"
    check_source(masks, str(record), {"model": ["./run"], "images": ["A/new/"]})
    with pytest.raises(UserError, match=r"made from the images in A/new, but .* names B/new;"):
        check_source(masks, str(record), {"model": ["run"], "images": ["B/new"]})
    with pytest.raises(UserError, match=r"made from the model in run, but .* names other/run;"):
        check_source(masks, str(record), {"model": ["other/run"], "images": ["A/new"]})


@pytest.mark.parametrize(
    ("images", "name"),
    [
        ("data/new", "new"),
        ("data/new/../old/", "old"),
        ("/data/day 2 {b}", "day_2_b_"),
        ("data/.hidden", "hidden"),
        ("/", "_"),
        ("Größe", "Größe"),
        (["s3://bucket/july/0.png", "s3://bucket/june/1.png"], "july"),
        (["https://host.org/0.png"], "host.org"),
    ],
)
def test_the_folder_of_masks_is_named_after_the_images(images, name):
    assert name_of_images(images) == name
    assert isinstance(images, list) or folder_name(images) == name
