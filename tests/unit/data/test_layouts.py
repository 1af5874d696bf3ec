"""Every way in which people keep images and labels gives the right pairs, or one sentence."""

import os
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmake.data.audit import audit_dataset, validate_dataset
from maskmake.data.file_versions import read_record, version_of
from maskmake.data.label_names import split_files
from maskmake.data.layouts import list_new_images
from maskmake.data.pair_table import list_dataset_files
from maskmake.data.pairing import find_pairs
from maskmake.data.pixel_store import build_store, open_labels
from maskmake.data.starter import look_at
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv

SIDE = 32


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(path, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def image(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def label(left: int = SIDE // 2, right: int = SIDE) -> np.ndarray:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[8:24, left:right] = 255
    return pixels


def pairs(names) -> None:
    """One image and one label for each two paths."""
    for number, (image_path, label_path) in enumerate(names):
        save(image_path, image(number))
        save(label_path, label())


def audit(images="image", labels="label", table=None, groups=None):
    return audit_dataset(images, labels, 0.5, 0.01, "refuse", groups, table=table)


def manifest(*places, **settings):
    """The manifest of a data set without faults and warnings."""
    result = audit(*places, **settings)
    assert (result.faults, result.warnings) == ([], [])
    return result.manifest.set_index("id")


def only_fault(*places, **settings) -> str:
    (fault,) = audit(*places, **settings).faults
    return fault


# --- sub-folders of roles -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("train", "val", "test"), ("train", "validation", "test")),
        (("Training", "valid", "Test"), ("train", "validation", "test")),
        (("train", "validation", "testing"), ("train", "validation", "test")),
    ],
)
def test_the_usual_names_of_sub_folders_are_roles(names, roles):
    pairs((f"image/{name}/{i}.png", f"label/{name}/{i}.png") for i, name in enumerate(names))
    assert tuple(manifest()["role"]) == roles


def test_roles_of_the_images_are_enough():
    roles = ["train", "val", "test"]
    pairs((f"image/{role}/{i}.png", f"label/{i}.png") for i, role in enumerate(roles))
    assert list(manifest()["role"]) == ["train", "validation", "test"]


# --- patterns -------------------------------------------------------------------------------------


def test_the_id_is_the_folder():
    pairs((f"d/{name}/image.png", f"d/{name}/label.png") for name in ("b 1", "b{2}", "b10"))
    table = manifest("d/*/image.png", "d/*/label.png")
    assert dict(table["image"]) == {
        "b10": "d/b10/image.png",
        "b 1": "d/b 1/image.png",
        "b{2}": "d/b{2}/image.png",
    }


def test_the_id_is_what_differs():
    names = [("p1", "a"), ("p1", "b"), ("p2", "a")]
    pairs((f"d/{p}/img/x_{s}.png", f"d/{p}/seg/x_{s}.png") for p, s in names)
    assert list(manifest("d/*/img/x_*.png", "d/*/seg/x_*.png").index) == ["p1_a", "p1_b", "p2_a"]


def test_roles_in_a_pattern():
    pairs((f"d/{role}/i/1.png", f"d/{role}/l/1.png") for role in ("train", "val", "test"))
    table = manifest("d/*/i/*.png", "d/*/l/*.png")
    assert dict(table["role"]) == {
        "test_1": "test",
        "train_1": "train",
        "validation_1": "validation",
    }


def test_images_and_labels_in_one_folder():
    pairs((f"d/{i}.png", f"d/{i}_mask.png") for i in range(3))
    assert list(manifest("d/*.png", "d/*_mask.png")["label"]) == [
        f"d/{i}_mask.png" for i in range(3)
    ]


def test_images_in_folders_and_labels_in_one():
    pairs((f"d/{p}/{i}.png", f"label/{i}.png") for i, p in enumerate("aab"))
    assert list(manifest("d/*/*.png", "label")["label"]) == [f"label/{i}.png" for i in range(3)]


def test_folders_at_any_depth():
    pairs((f"d/{p}/i.png", f"d/{p}/l.png") for p in ("a", "b/c", "b/d"))
    assert list(manifest("d/**/i.png", "d/**/l.png").index) == ["a", "b_c", "b_d"]


def test_a_folder_whose_name_has_wildcards():
    pairs((f"d[1]/i*/{i}.png", f"d[1]/l/{i}.png") for i in range(3))
    assert len(manifest("d[1]/i*", "d[1]/l")) == 3


def test_a_pattern_takes_its_suffix_in_capital_letters_too():
    pairs(
        (f"data/{i}.{end}", f"data/{i}_mask.{end}") for i, end in enumerate(("png", "PNG", "Png"))
    )
    assert list(manifest("data/*.png", "data/*_mask.png").index) == ["0", "1", "2"]
    assert len(list_new_images("data/*_mask.PNG")) == 3


def test_a_proposed_pattern_has_the_brackets_of_its_folders():
    pairs((f"im [1]/{i}/[a.png", f"label/{i}.png") for i in range(3))
    fault = audit("im [1]").faults[0]
    assert fault.endswith("; set dataset.images to a pattern: 'im [[]1]/*/[[]a.png'.")
    assert list(manifest("im [[]1]/*/[[]a.png").index) == ["0", "1", "2"]


def test_brackets_of_a_folder_can_be_written_in_a_pattern():
    pairs((f"a [1]/{i}.png", f"b/[[*/{i}.png") for i in range(3))
    assert list(manifest("a [[]1]/*.png", "b/[[][[][*]/*.png").index) == ["0", "1", "2"]
    pairs((f"[{i}]/[x/a.png", f"[{i}]/[x/b.png") for i in range(3))
    assert list(manifest("*/[[]x/a.png", "*/[[]x/b.png").index) == ["[0]", "[1]", "[2]"]


@pytest.mark.parametrize(
    ("place", "shown", "advice"),
    [
        ("data\\images", None, "; write / between folders, not \\."),
        ("data\\*.png", None, "; write / between folders, not \\."),
        ("C:\\a b\\images", None, "; write it as Linux does, in WSL as wslpath prints it."),
        ("~/images", None, f"; write the home folder in full, {Path.home()}/images."),
        ("data\new", "'data\\new'", "; write / between folders, since \\ changes what follows it"),
    ],
)
def test_a_path_as_other_systems_write_it(place, shown, advice):
    fault = audit(place).faults[0]
    assert fault.startswith(f"{shown or place}: no ")
    assert advice in fault
    with pytest.raises(UserError, match=r"no such folder; expected one with images and labels; wr"):
        look_at(place)


def test_a_pattern_that_matches_nothing():
    pairs((f"d/{i}/i.png", f"d/{i}/l.png") for i in range(3))
    assert only_fault("d/*/i.png", "d/*/m.png").startswith(
        "d/*/m.png: no image file matches this pattern of dataset.labels; expected"
    )


def test_a_sample_without_a_label_and_one_without_any_file():
    pairs((f"d/{i}/i.png", f"d/{i}/l.png") for i in range(4))
    Path("d/2/l.png").unlink()
    Path("d/9").mkdir()
    result = audit("d/*/i.png", "d/*/l.png")
    assert result.faults == [
        "d/2/i.png: image without label; expected a file that matches d/*/l.png with '2' for the "
        "wildcards; add the label or remove the image."
    ]
    assert result.warnings == [
        "d/*/i.png: folder 9 without such a file left out.",
        "d/*/l.png: folders 2, 9 without such a file left out.",
    ]


def test_a_second_image_in_the_folder_of_a_sample():
    for number in range(12):
        pairs([(f"d/{number}/images/i{number}.png", f"d/{number}/masks/a.png")])
    save("d/3/images/copy.png", image(50))
    assert only_fault("d/*/images/*.png", "d/*/masks/*.png") == (
        "d/3/images/i3.png: has the same place among the wildcards as d/3/images/copy.png; "
        "expected one file; remove one of them, or write a pattern that matches only one."
    )


def test_folders_of_samples_are_counted_and_their_pattern_is_named():
    for number in range(300):
        Path(f"d/s{number:03}").mkdir(parents=True)
    pairs((f"d/s{i:03}/images/x{i}.png", f"d/s{i:03}/masks/y{i}.png") for i in range(3))
    fault = audit("d", "d").faults[0]
    assert fault.startswith(
        "d: no image files (found sub-folders s000, s001, s002 and 297 more); expected files"
    )
    assert fault.endswith(
        "set dataset.images to a pattern: 'd/*/images/*.png' or 'd/*/masks/*.png'."
    )


# --- several files for a label --------------------------------------------------------------------


@pytest.fixture
def objects():
    """Four images with a mask for each of two objects that touch, and one with one object."""
    for number in range(4):
        save(f"d/{number}/images/{number}.png", image(number))
        save(f"d/{number}/masks/a.png", label(2, 6))
        save(f"d/{number}/masks/b.png", label(6, 12))
    save("d/4/images/4.png", image(4))
    save("d/4/masks/c.png", label())
    return "d/*/images/*.png", "d/*/masks/*.png"


def test_objects_are_united_with_a_line_between_those_that_touch(objects):
    table = audit_dataset(*objects, 0.5, 0.01, "refuse", None).manifest
    build_store(table, "i.npy", "l.npy", "index.csv")
    united = open_labels("l.npy", read_csv("index.csv"))["0"]
    expected = label(2, 12) > 0
    expected[:, 6] = False  # of the larger object
    np.testing.assert_array_equal(united, expected)
    assert table["foreground"][0] == expected.mean()


def test_one_label_of_several_files_among_single_ones_is_a_warning():
    pairs((f"d/{i}/image.png", f"d/{i}/masks/m.png") for i in range(4))
    save("d/2/masks/old.png", label(2, 6))
    result = audit("d/*/image.png", "d/*/masks/*.png")
    assert result.faults == []
    assert result.warnings == [
        "d/*/masks/*.png: 1 of 4 labels are made of several files, one for each object (5 files in "
        "all), such as d/2/masks/m.png and 1 more; if one of them is no mask of an object, remove "
        "it."
    ]


def test_a_file_of_several_values_is_no_object(objects):
    values = label(2, 6)
    values[0, 0] = 7
    save("d/1/masks/b.png", values)
    assert only_fault(*objects).startswith("d/1/masks/b.png: the values 7 and 255 beside 0;")
    colours = np.zeros((32, 32, 3), np.uint8)
    colours[4, 4], colours[9, 9] = (255, 0, 0), (0, 255, 0)
    save("d/1/masks/b.png", colours)
    fault = only_fault(*objects)
    assert fault.startswith("d/1/masks/b.png: the colours #00ff00 and #ff0000 beside black;")


def test_objects_of_other_sizes(objects):
    save("d/1/masks/b.png", np.zeros((8, 9), np.uint8))
    assert only_fault(*objects).startswith(
        "d/1/masks/b.png: 8 x 9 pixels (height x width), but d/1/masks/a.png has 32 x 32;"
    )


def test_every_file_counts_for_a_rerun(objects):
    def version():
        images, labels = list_dataset_files(*objects, None)
        return version_of(map(str, [*images, *labels]), "record.csv")

    settings = {
        "images": objects[0], "labels": objects[1], "threshold": 0.5, "tolerance": 0.01,
        "empty_labels": "refuse", "groups": None,
    }  # fmt: skip
    out = ("audit.json", "audit.html", "manifest.csv")
    validate_dataset(settings, "record.csv", *out)
    assert all(content.sha256 for content in read_record("record.csv").values())
    assert len(read_record("record.csv")) == 5 + 9
    first, row = version(), read_csv("manifest.csv").iloc[4]
    assert version() == first
    save("d/4/masks/d.png", label(0, 3))
    assert version() != first
    validate_dataset(settings, "record.csv", *out)
    now = read_csv("manifest.csv").iloc[4]
    assert now["sha256_label"] != row["sha256_label"]
    assert split_files(now["label"]) == [Path("d/4/masks/c.png"), Path("d/4/masks/d.png")]
    assert "d/4/masks/c.png and 1 more" in Path("audit.html").read_text(encoding="utf-8")


def test_a_file_that_changed_after_the_audit_is_noticed(objects):
    table = audit_dataset(*objects, 0.5, 0.01, "refuse", None).manifest
    save("d/1/masks/b.png", label(6, 13))
    with pytest.raises(Exception, match=r"d/1/masks/a\.png and 1 more: changed since validate"):
        build_store(table, "i.npy", "l.npy", "index.csv")


# --- constant beginnings and ends -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_name", "label_name"),
    [
        ("{}.png", "{}_mask.png"),
        ("{}.ome.tif", "{}.png"),
        ("img_{}.png", "mask_{}.png"),
        ("{}_im_raw.png", "{}_im_seg_v2.png"),
        ("{}.png", "label-{}_cp_masks.png"),
    ],
)
@pytest.mark.parametrize("stems", [("07", "08", "10"), ("cell a", "cell b", "organ")])
def test_names_that_differ_by_a_constant(image_name, label_name, stems, caplog):
    pairs((f"image/{image_name.format(s)}", f"label/{label_name.format(s)}") for s in stems)
    table = manifest()
    assert [Path(path).name for path in table["image"]] == [image_name.format(s) for s in stems]
    assert [Path(path).name for path in table["label"]] == [label_name.format(s) for s in stems]


def test_it_is_said_how_names_differ(caplog):
    pairs((f"image/{i}.png", f"label/{i}_mask.png") for i in range(3))
    with caplog.at_level("INFO"):
        audit()
    assert "Names of labels: the image '<name>' has the label '<name>_mask'." in caplog.text


def test_an_image_without_label_where_names_differ():
    pairs((f"image/{i}.png", f"label/{i}_mask.png") for i in range(5))
    Path("label/2_mask.png").unlink()
    save("label/9_mask.png", label())
    assert [fault.split(";")[:2] for fault in audit().faults] == [
        [
            "image/2.png: image without label",
            " expected label/2_mask with the suffix of an image file",
        ],
        [
            "label/9_mask.png: label without image",
            " expected image/9 with the suffix of an image file",
        ],
    ]


def test_a_number_is_never_cut():
    pairs((f"image/{i}.png", f"label/{10 + i}.png") for i in range(1, 5))
    assert "no label has the sub-folder and stem" in only_fault()


# --- names ----------------------------------------------------------------------------------------


def test_long_names_that_do_not_fit_are_refused_soon():
    for folder, name in {
        "image": "Experiment_2021_03_04_sample_well_A1_field_{}_channel_brightfield_processed_v2",
        "label": "Annotation_2021_03_04_sample_well_A1_masks_9{}_channel_segmentation_processed_v3",
    }.items():
        Path(folder).mkdir()
        for number in range(10, 14):
            Path(folder, f"{name.format(number)}.png").touch()
    faults: list[str] = []
    start = time.process_time()
    assert find_pairs("image", "label", None, faults, []) == []
    assert time.process_time() - start < 5  # 30 s and more, were all beginnings tried with all ends
    assert [fault.partition(",")[0] for fault in faults] == [
        "label: no label has the sub-folder and stem of an image"
    ]


def test_names_in_two_unicode_forms():
    names = [f"Schliff_Ä_{i}" for i in range(3)]
    pairs((f"image/{unicodedata.normalize('NFD', n)}.png", f"label/{n}.png") for n in names)
    assert list(manifest().index) == names


def test_a_folder_in_a_pattern_whose_name_is_no_utf8():
    pairs((f"d/{i}/i.png", f"d/{i}/l.png") for i in range(4))
    Path("d/3").rename(os.fsdecode(b"d/\xfc"))
    faults = audit("d/*/i.png", "d/*/l.png").faults
    assert faults[0] == (
        r"d/\udcfc/i.png: a name with control characters or bytes that are no UTF-8; expected "
        "printable characters; rename the file or its folder."
    )


def test_links_that_lead_nowhere_are_one_fault():
    pairs((f"image/{i}.png", f"label/{i}.png") for i in range(3))
    for number in range(4, 9):
        Path(f"image/{number}.png").symlink_to("/disk/gone")
        Path(f"label/{number}.png").symlink_to("/disk/gone")
    Path("image/val").symlink_to("/disk/val")
    faults = audit().faults
    assert [fault.split(":")[1] for fault in faults] == [
        " 6 links lead nowhere",
        " 5 links lead nowhere",
    ]
    assert "image/4.png (to /disk/gone)" in faults[0]
    assert "and 3 more" in faults[0]


def test_a_folder_of_a_pattern_that_is_a_link_to_nothing():
    pairs((f"d/{i}/i.png", f"d/{i}/l.png") for i in range(3))
    Path("d/4").symlink_to("/disk/gone")
    faults = audit("d/*/i.png", "d/*/l.png").faults
    assert faults[0].startswith("d/*/i.png: a link leads nowhere: d/4 (to /disk/gone);")


# --- new images -----------------------------------------------------------------------------------


def test_new_images_of_a_folder_a_pattern_and_a_list():
    for path in ("new/a/image.png", "new/b/image.png", "flat/x.png"):
        save(path, image(1))
    ids = {"new/a/image.png": "a", "new/b/image.png": "b"}
    assert list_new_images("flat") == {"flat/x.png": "x"}
    assert list_new_images("new/*/image.png") == ids
    assert list_new_images(list(ids)) == ids
    assert list_new_images(["flat", "gone.png"]) == {"flat/x.png": "x", "gone.png": "gone"}
    twice = ["new/*/image.png", "./new/a/image.png", str(Path("new/b/image.png").absolute())]
    assert list_new_images(twice) == ids
    mixed = list_new_images(["flat", "new/*/image.png"])
    assert mixed == {
        "flat/x.png": "flat_x",
        "new/a/image.png": "a_image",
        "new/b/image.png": "b_image",
    }
