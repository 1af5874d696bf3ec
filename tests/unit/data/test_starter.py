"""A folder as people have it gives a configuration whose pairs are right."""

import errno
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from maskmake.data import starter
from maskmake.data.audit import audit_dataset
from maskmake.data.starter import configuration, describe, look_at
from maskmake.runtime.errors import UserError

LAYOUTS = {
    "two folders": ("imgs/{}.png", "masks/{}.png", 4),
    "one folder": ("{}.png", "{}_mask.png", 4),
    "a folder a sample": ("s{}/image.png", "s{}/label.png", 4),
    "a folder a sample, with folders": ("s{0}/images/s{0}.png", "s{0}/masks/{0}.png", 4),
    "roles above": ("{1}/images/{0}.png", "{1}/labels/{0}.png", 4),
    "roles below": ("images/{1}/{0}.png", "labels/{1}/{0}.png", 4),
    "suffixes": ("x/{}_ch0.png", "y/{}_ch0_seg.png", 4),
    "one folder, other types": ("{}.jpg", "{}.png", 4),
    "one folder, beginnings": ("img_{}.png", "mask_{}.png", 4),
    "one folder, a beginning": ("{}.png", "label{}.png", 4),
    "a folder with brackets": ("scan [2]/{}.png", "scan [2]/{}_mask.png", 4),
    "samples below brackets": ("scan [2]/s{}/image.png", "scan [2]/s{}/label.png", 4),
    "brackets and two folders": ("[1]/im/{}.png", "[1]/gt/{}_gt.png", 4),
    "two samples": ("{2}/images/{0}.png", "{2}/masks/{0}.png", 4),
    "two classes": ("images/{2}/{0}.png", "labels/{2}/{0}.png", 4),
    "two folders without a word": ("x/{1}/{0}.png", "y/{1}/{0}.png", 4),
    "two classes, one folder": ("{2}/{0}.png", "{2}/{0}_mask.png", 4),
}


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(path: str, seed: int | None = None) -> None:
    pixels = np.zeros((32, 32), np.uint8)
    pixels[8:24, 8:24] = 255
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(("image", "label", "count"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_configuration_works(image, label, count):
    for number in range(4):
        role = ("train", "train", "val", "test")[number]
        kind = ("cat", "dog")[number % 2]
        save("data/" + image.format(number, role, kind), number)
        save("data/" + label.format(number, role, kind))
    choice = look_at("data")
    section = yaml.safe_load(configuration(choice, "mine", describe(choice)))["dataset"]
    assert section["name"] == "mine"
    audit = audit_dataset(section["images"], section["labels"], 0.5, 0.01, "refuse", None)
    assert audit.faults == []
    assert {Path(path).as_posix() for path in audit.manifest["image"]} == {
        "data/" + image.format(number, role, ("cat", "dog")[number % 2])
        for number, role in enumerate(("train", "train", "val", "test"))
    }
    assert len(audit.manifest) == count
    assert not any(line.startswith("left out") for line in describe(choice))


def test_images_of_one_sample_get_no_labels_of_another():
    for sample, missing in (("A", "masks"), ("B", "images")):
        for number in range(8):
            for kind in ("images", "masks"):
                if number < 6 or kind != missing:
                    save(f"data/{sample}/{kind}/{number}.png", number if kind == "images" else None)
    pairs = look_at("data").pairs
    assert len(pairs) == 12
    assert all(pair.image.parts[1] == Path(pair.label).parts[1] for pair in pairs)


def test_classes_may_have_equal_names():
    for number in range(8):
        save(f"data/images/{number % 2}/{number // 2}.png", number)
        save(f"data/labels/{number % 2}/{number // 2}.png")
    choice = look_at("data")
    assert choice.settings == {"images": "data/images/*/*.png", "labels": "data/labels/*/*.png"}
    assert len(choice.pairs) == 8


def test_image_files_that_are_left_out_are_counted():
    for number in range(4):
        save(f"data/images/{number}.png", number)
        save(f"data/labels/{number}.png")
    save("data/views/a.png", 7)
    save("data/views/b.png", 8)
    assert "left out: 2 other image files, such as data/views/a.png" in describe(look_at("data"))


def test_colours_are_printed_as_colours():
    write_labels((255, 0, 0), (0, 255, 0))
    assert "values of the labels: #000000, #00ff00, #ff0000" in describe(look_at("data"))


def make_new(*arguments: str) -> None:
    """What ``make new`` calls."""
    script = Path(__file__).parents[3] / "workflow/new.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [str(script), *arguments])
        runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize(
    ("name", "written"),
    [("cells", "cells"), ("cells.yaml", "cells"), ("my cells", "my_cells"), ("x" * 200, "x" * 100)],
)
def test_the_name_is_that_of_the_file_and_of_the_data_set(name, written):
    save("data/image/1.png", 1)
    save("data/label/1.png")
    make_new("data", name)
    (file,) = Path("config").iterdir()
    assert file.name == f"{written}.yaml"
    assert yaml.safe_load(file.read_text())["dataset"]["name"] == written


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Write .venv/bin/python workflow/new.py FOLDER [NAME], or make new DATA=FOLDER"),
        (["my", "data", "mine"], "Write .venv/bin/python workflow/new.py FOLDER [NAME], or make"),
        (["data"], "config/data.yaml: No space left on device; free space or fix the permissions"),
    ],
)
def test_what_make_new_refuses(arguments, sentence, monkeypatch):
    save("data/image/1.png", 1)
    save("data/label/1.png")
    Path("config").mkdir()

    def fill(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fill)
    with pytest.raises(SystemExit) as end:
        make_new(*arguments)
    assert str(end.value).startswith(sentence)
    assert list(Path("config").iterdir()) == []


def test_a_name_that_is_no_text_can_be_shown(capfdbinary):
    folder = os.fsdecode(b"d\xff")
    save(f"{folder}/image/1.png", 1)
    save(f"{folder}/label/1.png")
    make_new(folder, "mine")
    assert rb"images: d\udcff/image" in capfdbinary.readouterr().out


def test_a_table_is_taken():
    rows = []
    for number in range(3):
        save(f"data/a{number}.png", number)
        save(f"data/b{number}.png")
        rows.append(f"a{number}.png;b{number}.png\n")
    Path("data/pairs.csv").write_text("image;label\n" + "".join(rows))
    assert look_at("data").settings == {"table": "data/pairs.csv"}


def test_what_was_found_is_said():
    for number in range(3):
        save(f"data/im/{number}.png", number)
        save(f"data/gt/{number}.png")
    Path("data/gt/1.png").unlink()
    lines = describe(look_at("data"))
    assert lines[:3] == [
        "images: data/im",
        "labels: data/gt",
        "2 image files with labels, such as data/im/0.png",
    ]
    assert "image: 32 x 32 pixels, grey, uint8 (.png)" in lines
    assert "values of the labels: 0, 255" in lines
    assert any(line.startswith("missing: data/im/1.png: image without label") for line in lines)


def test_nothing_that_belongs_together():
    for name in ("a/ten", "a/six"):
        save(f"data/{name}.png", 1)
    for name in ("b/four", "b/two"):
        save(f"data/{name}.png")
    assert look_at("data") is None


def test_a_folder_without_images():
    Path("data").mkdir()
    with pytest.raises(UserError, match="data: no image file at any depth"):
        look_at("data")


@pytest.mark.parametrize("folder", ["data", "../../in/data", ".cache/data"])
def test_folders_behind_links_and_below_any_folder_are_found(folder, tmp_path, monkeypatch):
    Path("in/a/b").mkdir(parents=True)
    monkeypatch.chdir("in/a/b")
    for number in range(3):
        save(f"{tmp_path}/disk/images/{number}.png", number)
        save(f"{tmp_path}/disk/labels/{number}.png")
    Path(folder).mkdir(parents=True)
    for name in ("images", "labels"):
        Path(folder, name).symlink_to(tmp_path / "disk" / name)
    Path(folder, "back").symlink_to(Path(folder).resolve())  # which a walk would follow for ever
    Path(folder, "notes.csv").mkdir()
    choice = look_at(folder)
    assert choice.settings == {"images": f"{folder}/images", "labels": f"{folder}/labels"}
    assert len(choice.pairs) == 3


def test_what_a_stack_has_is_said():
    label = np.zeros((7, 32, 40), np.uint8)
    label[2:5, 8:24, 8:24] = 200
    images = np.random.default_rng(1).integers(0, 65536, label.shape, dtype=np.uint16)
    Path("data").mkdir()
    tifffile.imwrite("data/volume.tif", images)
    tifffile.imwrite("data/volume_labels.tif", label)
    choice = look_at("data")
    assert choice.settings == {"images": "data/*.tif", "labels": "data/*_labels.tif"}
    assert describe(choice)[2:] == [
        "1 image file with labels, such as data/volume.tif",
        "image: 32 x 40 pixels, grey, uint16 (.tif, 7 in a file)",
        "values of the labels: 0, 200",
    ]


def test_labels_that_cannot_be_read_are_named():
    for number in range(3):
        save(f"data/images/{number}.png", number)
        save(f"data/labels/{number}.jpg")
    choice = look_at("data")
    assert choice.settings == {"images": "data/images", "labels": "data/labels"}
    missing = [line for line in describe(choice) if line.startswith("missing: ")]
    assert [line.partition(";")[0] for line in missing] == [
        f"missing: data/labels/{number}.jpg: a JPEG label" for number in range(3)
    ]


def write_labels(*corners):
    """Three images, and labels of 0 whose quarters have these values."""
    for number in range(3):
        save(f"data/images/{number}.png", number)
        label = np.zeros((32, 32, *np.shape(corners[0])), np.uint8)
        for place, value in enumerate(corners):
            label[8 * place : 8 * place + 6, 4:12] = value
        path = Path(f"data/labels/{number}.png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(label).save(path)


@pytest.mark.parametrize(
    ("corners", "foreground"),
    [
        ([255], None),
        ([1, 2], 1),
        ([2, 2, 1], 2),
        ([128, 255, 255], 255),
        ([(255, 0, 0), (0, 255, 0), (0, 255, 0)], "#00ff00"),
    ],
)
def test_foreground_is_proposed_where_the_labels_need_it(corners, foreground):
    write_labels(*corners)
    choice = look_at("data")
    assert choice.settings.get("foreground") == foreground
    found = describe(choice)
    guessed = [line for line in found if line.startswith(f"foreground: {foreground} (a guess ")]
    assert len(guessed) == (foreground is not None)
    text = configuration(choice, "mine", ["found"])
    section = yaml.safe_load(text)["dataset"]
    assert section.get("foreground") == foreground
    assert ("# a guess" in text) == (foreground is not None)
    audit = audit_dataset(
        section["images"], section["labels"], foreground=section.get("foreground", "auto")
    )
    assert audit.faults == []


@pytest.mark.parametrize(
    ("count", "gpus", "active", "named"),
    [(12, ["one"], True, True), (12, [], False, True), (4, ["one"], False, False)],
)
def test_few_images_get_folds_where_a_gpu_makes_them_cheap(monkeypatch, count, gpus, active, named):
    monkeypatch.setattr(starter, "visible_gpus", lambda: gpus)
    for number in range(count):
        save(f"data/image/{number}.png", number)
        save(f"data/label/{number}.png")
    text = configuration(look_at("data"), "mine", ["found"])
    assert yaml.safe_load(text).get("split") == ({"folds": 3} if active else None)
    assert ("folds: 3" in text) is named


def test_folders_that_say_the_roles_get_no_folds(monkeypatch):
    monkeypatch.setattr(starter, "visible_gpus", lambda: ["one"])
    for number in range(12):
        role = ("train", "val", "test")[number % 3]
        save(f"data/{role}/image/{number}.png", number)
        save(f"data/{role}/label/{number}.png")
    text = configuration(look_at("data"), "mine", ["found"])
    assert "split" not in yaml.safe_load(text)
    assert "folds: 3" not in text
