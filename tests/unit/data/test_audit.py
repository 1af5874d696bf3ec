"""What is wrong with a data set: one sentence for each fault, all of them in one pass."""

import re
from io import StringIO
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from maskmake.data.audit import (
    MANIFEST_COLUMNS,
    Audit,
    audit_dataset,
    fault_error,
    validate_dataset,
    write_audit,
    write_page,
)
from maskmake.data.audit_page import LISTED
from maskmake.data.file_versions import read_record
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, read_json, sha256
from maskmake.runtime.log import logger

SHARED = Path(__file__).parents[4] / "shared" / "data"
PAGES = Path(__file__).parents[3] / "workflow/scripts/maskmake/pages/templates"
SIDE = 32
KINDS = ("svg", "csv")


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


def grey(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def half(value: int = 255, background: int = 0, dtype=np.uint8) -> np.ndarray:
    """A label whose right half is foreground."""
    label = np.full((SIDE, SIDE), background, dtype)
    label[:, SIDE // 2 :] = value
    return label


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Four right pairs, 0 to 3, in the folders images and labels of the working directory."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        save(Path(f"images/{number}.png"), grey(number))
        save(Path(f"labels/{number}.png"), half())
    return tmp_path


def audit(**settings) -> Audit:
    return audit_dataset("images", "labels", **settings)


# --- a right data set -----------------------------------------------------------------------


def test_a_right_data_set_has_no_faults_and_a_manifest(dataset):
    result = audit()
    assert (result.faults, result.warnings) == ([], [])
    manifest = result.manifest
    assert list(manifest.columns) == MANIFEST_COLUMNS
    assert manifest.iloc[0].to_dict() == {
        "id": "0",
        "image": "images/0.png",
        "label": "labels/0.png",
        "height": SIDE,
        "width": SIDE,
        "channels": 1,
        "dtype": "uint8",
        "label_maximum": 255,
        "label_foreground": "255",
        "label_ignored": "none",
        "sha256_image": sha256("images/0.png"),
        "sha256_label": sha256("labels/0.png"),
        "foreground": 0.5,
        "ignored": 0.0,
        "group": "0",
        "role": "",
        "page": None,
        "minimum": 0.0,
        "maximum": 255.0,
    }


def test_rows_are_in_natural_order(dataset):
    for name in ("10", "9"):
        save(Path(f"images/{name}.png"), grey(int(name)))
        save(Path(f"labels/{name}.png"), half())
    assert list(audit().manifest["id"]) == ["0", "1", "2", "3", "9", "10"]


def test_image_and_label_may_differ_in_file_type(dataset):
    save(Path("images/t.bmp"), grey(7))
    save(Path("labels/t.tif"), half())
    result = audit()
    assert result.faults == []
    assert result.manifest.set_index("id").loc["t", "label"] == "labels/t.tif"


@pytest.mark.parametrize(
    ("value", "dtype"), [(1, np.uint8), (255, np.uint8), (65535, np.uint16), (1, np.uint16)]
)
def test_labels_of_any_range(dataset, value, dtype):
    for number in range(4):
        Path(f"labels/{number}.png").unlink()
        save(Path(f"labels/{number}.tif"), half(value, dtype=dtype))
    result = audit()
    assert result.faults == []
    assert list(result.manifest["foreground"]) == [0.5] * 4


def test_nearly_black_and_white_is_right(dataset):
    save(Path("labels/0.png"), half(value=240, background=9))
    assert audit().faults == []


def test_sub_folders_give_roles(dataset):
    for kind in ("images", "labels"):
        for number, role in enumerate(["train", "train", "validation", "test"]):
            Path(kind, role).mkdir(exist_ok=True)
            Path(f"{kind}/{number}.png").rename(f"{kind}/{role}/{number}.png")
    result = audit()
    assert result.faults == []
    assert list(result.manifest["role"]) == ["train", "train", "validation", "test"]
    assert result.manifest["image"][3] == "images/test/3.png"


def test_groups_are_searched_in_the_id(dataset):
    for kind in ("images", "labels"):
        for number in range(4):
            Path(f"{kind}/{number}.png").rename(f"{kind}/p{number // 2}_{number}.png")
    assert list(audit(groups=r"^p(\d+)_").manifest["group"]) == ["0", "0", "1", "1"]


# --- what a training needs ---------------------------------------------------------------------


def test_images_that_no_training_can_take_are_faults(dataset):
    for number in range(4):
        Path(f"images/{number}.png").unlink()
        pixels = np.repeat(grey(number)[..., None], 4, axis=-1).astype("float32")
        kind = {"photometric": "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(f"images/{number}.tif", pixels, **kind)
    plain = {"normalization": "standard", "encoder_weights": None}
    trainings = [
        plain,
        plain | {"normalization": "unit"},
        plain | {"encoder_weights": "imagenet"},
        plain | {"encoder_weights": "imagenet"},
    ]
    assert audit(trainings=[plain]).faults == []
    kept, channels = audit(trainings=trainings).faults
    assert "train.normalization: unit, but the images are kept as float32" in kept
    assert "train.encoder_weights: imagenet, but the images have 4 channels" in channels


# --- one sentence for each fault ------------------------------------------------------------


def only_fault(**settings) -> str:
    (fault,) = audit(**settings).faults
    return fault


def test_folder_missing(dataset):
    Path("labels").rename("masks")
    fault = only_fault()
    assert fault.startswith(
        "labels: no such folder; expected the folder of labels; fix dataset.labels"
    )
    assert str(dataset) in fault


def test_folder_is_a_file(dataset):
    Path("labels").rename("masks")
    Path("labels").write_text("")
    assert only_fault().startswith("labels: a file; expected the folder of labels")


def test_folder_without_images(dataset):
    for path in Path("images").iterdir():
        path.rename(path.with_suffix(".czi"))
    Path("images/other").mkdir()
    Path("images/.DS_Store").write_text("")
    assert only_fault().startswith("images: no image files (found sub-folder other, 4 .czi files);")


def test_empty_folders_are_both_named(dataset):
    for path in [*Path("images").iterdir(), *Path("labels").iterdir()]:
        path.unlink()
    faults = audit().faults
    assert [fault.split("(")[0] for fault in faults] == [
        "images: no image files ",
        "labels: no image files ",
    ]
    assert "(found nothing)" in faults[0] and ".png" in faults[0]


def test_image_without_label(dataset):
    Path("labels/2.png").unlink()
    assert only_fault().startswith("images/2.png: image without label; expected labels/2 with")


def test_label_without_image(dataset):
    save(Path("labels/extra.png"), half())
    assert only_fault().startswith("labels/extra.png: label without image; expected images/extra")


def test_label_in_another_sub_folder(dataset):
    Path("labels/test").mkdir()
    Path("labels/2.png").rename("labels/test/2.png")
    assert [fault.split(";")[0] for fault in audit().faults] == [
        "images/2.png: image without label",
        "labels/test/2.png: label without image",
    ]


def test_no_stem_in_common_is_one_fault(dataset):
    for path in list(Path("labels").iterdir()):
        path.rename(path.with_stem(f"mask_of_{10 - int(path.stem)}"))
    fault = only_fault()
    assert "no label has the sub-folder and stem of an image" in fault
    assert "images such as images/0.png, labels such as labels/mask_of_7.png" in fault


def test_two_files_of_one_stem(dataset):
    save(Path("images/2.tif"), grey(9))
    fault = only_fault()
    assert "has the same stem as 2." in fault
    assert "expected one file for '2'" in fault


def test_one_stem_in_two_sub_folders(dataset):
    for kind, pixels in (("images", grey(9)), ("labels", half())):
        save(Path(kind, "test/2.png"), pixels)
    result = audit()
    (fault,) = result.faults
    assert fault.startswith(
        "images/test/2.png: has the same stem as images/2.png; expected stems that"
    )
    assert result.manifest["id"].is_unique


def test_too_few_pairs(dataset):
    for kind in ("images", "labels"):
        for number in (2, 3):
            Path(f"{kind}/{number}.png").unlink()
    assert only_fault().startswith("images: 2 images with labels; expected at least 3")
    for kind in ("images", "labels"):
        Path(f"{kind}/1.png").unlink()
    assert only_fault().startswith("images: 1 image with labels; expected at least 3")


@pytest.mark.parametrize(
    "content",
    [b"", b"this is no picture", lambda whole: whole[: len(whole) // 2], lambda whole: whole[:30]],
    ids=["empty", "text", "truncated", "header only"],
)
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_file_that_cannot_be_decoded(dataset, kind, content):
    path = Path(kind, "1.png")
    path.write_bytes(content(path.read_bytes()) if callable(content) else content)
    fault = only_fault()
    assert fault.startswith(f"{path}: cannot be decoded (")
    assert fault.endswith("replace or remove the file.")


def test_truncated_tiff(dataset):
    Path("images/1.png").unlink()
    path = save(Path("images/1.tif"), grey(1, side=64))
    path.write_bytes(path.read_bytes()[:200])
    assert only_fault().startswith("images/1.tif: ")


def test_sizes_differ(dataset):
    save(Path("images/1.png"), grey(1, side=40))
    assert only_fault() == (
        "labels/1.png: 32 x 32 pixels (height x width), but images/1.png has 40 x 40; expected "
        "equal sizes; export the label at the size of the image."
    )


def test_sides_below_32_pixels(dataset):
    """A patch or a tile may be larger than an image, but not the stride of the network."""
    for number, shape in {0: (32, 40), 1: (31, 200), 2: (90, 8)}.items():
        label = np.zeros(shape, np.uint8)
        label[:, : shape[1] // 2] = 255
        save(Path(f"images/{number}.png"), grey(number, 200)[: shape[0], : shape[1]])
        save(Path(f"labels/{number}.png"), label)
    result = audit()
    assert result.faults == [
        "images/2.png and 1 more image: 90 x 8 pixels (height x width); expected at least 32 on "
        "each side, which the network needs; remove the image and its label."
    ]
    (finding,) = (finding for finding in result.findings if finding.level == "fault")
    assert finding.ids == ("2", "1")


def test_pixel_type(dataset):
    Path("images/1.png").unlink()
    tifffile.imwrite("images/1.tif", grey(1).astype(np.int64))
    assert only_fault().startswith("images/1.tif: pixel type int64; expected 8 to 32 bits")


def test_jpeg_label(dataset):
    Path("labels/1.png").unlink()
    save(Path("labels/1.jpg"), half())
    assert only_fault().startswith("labels/1.jpg: a JPEG label;")


def test_three_valued_label(dataset):
    label = half()
    label[0, :16] = 127
    save(Path("labels/1.png"), label)
    assert only_fault() == (
        "labels/1.png: 1.562 % of the pixels are neither background nor foreground (most often "
        "the value 127); expected at most 1 % between 63.75 and 191.25, the middle of the range "
        "0-255; give each pixel 0 or 255, or set dataset.label_tolerance to 1 to cut at "
        "dataset.label_threshold 0.5."
    )


@pytest.mark.parametrize("tolerance", [0.02, 1])
def test_tolerance_accepts_a_three_valued_label(dataset, tolerance):
    label = half()
    label[0, :16] = 127
    save(Path("labels/1.png"), label)
    assert audit(tolerance=tolerance).faults == []


@pytest.mark.parametrize(("value", "side"), [(0, "background"), (255, "foreground")])
def test_label_of_one_value(dataset, value, side):
    save(Path("labels/1.png"), np.full((SIDE, SIDE), value, np.uint8))
    assert only_fault() == (
        f"labels/1.png: every pixel is {side} (the value {value}); expected background and "
        "foreground; remove the pair, or, where other labels have both, set "
        "dataset.empty_labels to accept."
    )


def test_empty_labels_can_be_accepted(dataset):
    save(Path("labels/1.png"), np.zeros((SIDE, SIDE), np.uint8))
    result = audit(empty_labels="accept")
    assert result.faults == []
    assert result.warnings == [
        "1 of 4 labels hold only background or only foreground, such as labels/1.png; "
        "dataset.empty_labels accepts them."
    ]


def test_a_data_set_without_foreground_is_never_accepted(dataset):
    for number in range(4):
        save(Path(f"labels/{number}.png"), np.zeros((SIDE, SIDE), np.uint8))
    assert only_fault(empty_labels="accept").startswith(
        "labels/0.png and 3 more labels: every pixel is background (the value 0); expected"
    )


def test_label_of_another_range_than_the_others(dataset):
    save(Path("labels/1.png"), half(value=1))
    assert only_fault() == (
        "labels/1.png alone has the value 1, in 512 pixels; 4 labels together have 0 (50 %), "
        "1 (12.5 %), 255 (37.5 %); expected two values, the higher one foreground; set "
        "dataset.foreground to the value or the list of values that is foreground, such as 255, "
        "or to nonzero for all but 0, or convert the labels."
    )


def test_a_threshold_in_the_configuration_is_a_share_of_the_range_of_all_labels(dataset):
    save(Path("labels/1.png"), half(value=1))
    assert only_fault(threshold=0.5) == (
        "labels/1.png: every pixel is background (the values 0 and 1), since the labels of the "
        "data set range from 0 to 255 and dataset.label_threshold 0.5 makes values above 127.5 "
        "foreground; expected 0 and 255; convert the label (class and instance numbers, too), fix "
        "the threshold, or set dataset.foreground in its place."
    )


def test_class_indices(dataset):
    for number in range(4):
        label = half(value=3)
        label[:8] = np.arange(SIDE) % 4
        save(Path(f"labels/{number}.png"), label)
    assert only_fault().startswith(
        "labels/0.png: 4 values from 0 to 3; 4 labels together have 0 (43.8 %), 1 (6.25 %), "
    )
    assert audit(foreground=[1, 3]).manifest["foreground"].tolist() == [0.5] * 4


def test_label_above_the_threshold_throughout(dataset):
    save(Path("labels/1.png"), half(value=250, background=200))
    text = "every pixel is foreground (the values 200 and 250), since"
    assert text in only_fault(threshold=0.5)
    assert "labels/1.png alone has the value 250" in only_fault()


def test_id_without_group(dataset):
    assert [fault.split(";")[0] for fault in audit(groups="^([0-2])$").faults] == [
        "images/3.png: dataset.groups '^([0-2])$' finds no group in '3'"
    ]


def test_faults_of_all_kinds_in_one_pass(dataset):
    save(Path("images/lonely.png"), grey(5))
    Path("images/0.png").write_bytes(b"")
    save(Path("labels/0.png"), np.full((SIDE, SIDE), 127, np.uint8))
    save(Path("images/1.png"), grey(1, side=40))
    save(Path("labels/2.png"), np.zeros((SIDE, SIDE), np.uint8))
    text = "\n".join(audit(groups="^([0-2])$").faults)
    for part in (
        "images/lonely.png: image without label",
        "images/0.png: cannot be decoded",
        "labels/0.png alone has the value 127, in 1024 pixels",
        "labels/1.png: 32 x 32 pixels",
        "labels/2.png: every pixel is background",
        "images/3.png: dataset.groups",
    ):
        assert part in text


# --- warnings -------------------------------------------------------------------------------


def test_grey_among_colours_is_a_warning_and_grey_saved_as_colours_is_grey(dataset):
    save(Path("images/0.png"), np.dstack([grey(0)] * 3))
    assert audit().warnings == []
    save(Path("images/1.png"), np.dstack([grey(0), grey(1), grey(2)]))
    result = audit()
    assert result.faults == []
    assert [warning.split(";")[0] for warning in result.warnings] == ["3 grey and 1 RGB images"]
    assert result.manifest["channels"].tolist() == [1, 3, 1, 1]


def test_copies_are_a_warning(dataset):
    save(Path("images/3.png"), grey(1))
    (warning,) = audit().warnings
    assert warning.startswith("images/1.png, images/3.png are copies of one image;")


def test_files_left_out_are_a_warning(dataset):
    Path("images/notes.txt").write_text("")
    Path("images/other").mkdir()
    (warning,) = audit().warnings
    assert warning.startswith("images: sub-folder other, 1 .txt file left out;")


# --- the error and the files ----------------------------------------------------------------


def refused(count: int) -> list[str]:
    """The lines that refuse a data set with so many faults."""
    faults = [f"file {number}: wrong." for number in range(count)]
    error = fault_error(Audit(faults, [], pd.DataFrame(index=range(60))), "audit.html")
    assert isinstance(error, UserError)
    return str(error).splitlines()


def test_few_faults_are_all_in_the_error_and_the_last_line_is_one():
    assert refused(1) == [
        "60 pairs, 1 fault, no warning; audit.html shows it:",
        "  file 0: wrong.",
    ]
    assert refused(2) == [
        "60 pairs, 2 faults, no warning; audit.html shows all of them:",
        "  file 0: wrong.",
        "  file 1: wrong.",
    ]


def test_the_page_lists_all_files_of_a_fault_that_they_have_alike(dataset):
    for name in ("1", "2"):
        Path(f"images/{name}.png").write_bytes(b"no image")
    result = audit()
    (fault,) = [text for text in result.faults if "cannot be decoded" in text]
    assert fault.startswith("images/1.png and 1 more file: ")
    write_page(result, "audit.html")
    assert "images/1.png, images/2.png" in Path("audit.html").read_text(encoding="utf-8")


def third_values():
    for name in ("1", "3"):
        label = half()
        label[0, :2] = 7
        save(Path(f"labels/{name}.png"), label)
    return "labels/1.png and 1 more label have the value 7", "labels/1.png, labels/3.png"


def empty_labels():
    for name in ("0", "2"):
        save(Path(f"labels/{name}.png"), half(0))
    return "labels/0.png and 1 more label: every pixel is background", "labels/0.png, labels/2.png"


def constant_images():
    for name in ("1", "2"):
        save(Path(f"images/{name}.png"), np.full((SIDE, SIDE), 9, np.uint8))
    return "images/1.png and 1 more image: every pixel has one value", "images/1.png, images/2.png"


def dead_links():
    names = [f"images/{number}.png" for number in range(5, 10)]
    for name in names:
        Path(name).symlink_to("nowhere")
    return "images/7.png (to nowhere) and 2 more", ", ".join(names)


@pytest.mark.parametrize("plant", [third_values, empty_labels, constant_images, dead_links])
def test_the_page_lists_all_files_where_a_sentence_names_the_first(
    plant, dataset, caplog, monkeypatch
):
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level("INFO", "maskmake")
    named, files = plant()
    with pytest.raises(UserError) as error:
        validate_dataset({**SETTINGS, "empty_labels": "refuse"}, "record.csv", *RESULTS)
    lines = str(error.value).splitlines()
    assert any(named in line for line in lines)
    told = "Where only the first of several files is named, audit.html lists all."
    assert told in caplog.messages
    assert f"</summary>{files}</details>" in Path("audit.html").read_text(encoding="utf-8")


def test_a_label_of_several_files_is_named_by_its_first(dataset):
    for number in range(4):
        Path(f"labels/{number}.png").unlink()
        for name in "ab":
            save(Path(f"labels/{number}/{name}.png"), half(255 if number else 0))
    (fault,) = audit_dataset("images", "labels/*/*.png").faults
    assert fault.startswith("labels/0/a.png and 1 more: every pixel is background")


def test_of_many_faults_twenty_are_printed_and_the_page_is_named():
    head, *faults = refused(57)
    assert head.endswith("audit.html shows all of them, and these are the first 20:")
    assert faults == [f"  file {number}: wrong." for number in range(20)]


def test_of_more_faults_than_the_page_lists_its_number_is_said():
    head, *_ = refused(LISTED + 1)
    assert head.endswith(
        f"audit.html shows the first {LISTED} of them, and these are the first 20:"
    )


def test_files_of_the_audit(dataset):
    save(Path("images/<b>.png"), grey(8))
    save(Path("labels/<b>.png"), half())
    save(Path("images/0.png"), grey(0, side=40))
    result = audit()
    write_audit(result, "out/audit.json", "out/audit.html", "out/manifest.csv")
    summary = read_json("out/audit.json")
    assert summary == {
        "images": 5,
        "manifest": sha256("out/manifest.csv"),
        "faults": result.faults,
        "warnings": [],
        "height": {"minimum": 32, "median": 32, "maximum": 40},
        "width": {"minimum": 32, "median": 32, "maximum": 40},
        "dtypes": {"uint8": 5},
        "channels": {"1": 5},
        "label_foreground": "255",
        "foreground": {"minimum": 0.5, "mean": 0.5, "maximum": 0.5},
    }
    assert list(read_csv("out/manifest.csv")["id"]) == list(result.manifest["id"])
    page = Path("out/audit.html").read_text(encoding="utf-8")
    assert "labels/0.png</h3>" in page
    assert "<dt>found</dt><dd>32 x 32 pixels" in page
    assert "images/&lt;b&gt;.png" in page
    assert "<b>" not in page
    style = (PAGES / "style.html.j2").read_text(encoding="utf-8")
    assert style.strip() in page  # it looks like the other pages


def test_files_of_an_audit_that_read_nothing(dataset):
    Path("images").rename("elsewhere")
    result = audit()
    write_audit(result, "out/audit.json", "out/audit.html", "out/manifest.csv")
    summary = read_json("out/audit.json")
    assert (summary["images"], summary["label_foreground"]) == (0, None)
    assert summary["height"]["minimum"] is None
    assert "no such folder" in Path("out/audit.html").read_text(encoding="utf-8")


def test_each_histogram_can_be_saved_as_a_drawing_and_with_its_data(dataset):
    save(Path("labels/3.png"), half() * 0)
    result = audit(empty_labels="accept")
    write_page(result, "audit.html")
    section = Path("audit.html").read_text(encoding="utf-8").split('<section id="histograms">')[1]
    saves = re.findall(r'<a href="data:([^,]+),([^"]+)" download="([\w.]+)"', section)
    names = [f"{name}.{kind}" for name in ("foreground", "size", "brightness") for kind in KINDS]
    assert [name for _, _, name in saves] == names
    files = {name: (kind, unquote(text)) for kind, text, name in saves}
    kind, text = files["foreground.csv"]
    table = pd.read_csv(StringIO(text))
    assert kind == "text/csv" and list(table) == ["from", "to", "pairs"]
    assert table["from"].tolist() == list(range(0, 100, 5)) and table["to"].iloc[-1] == 100
    assert table["pairs"].sum() == len(result.manifest) == 4 and table["pairs"][0] == 1
    kind, text = files["foreground.svg"]
    assert kind == "image/svg+xml"
    drawn = ElementTree.fromstring(text)
    bars = [bar[0].text for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert sorted(bars) == ["1", "3"]


def test_the_page_is_cut_at_500_rows(dataset):
    manifest = audit().manifest
    many = manifest.loc[np.arange(2000) % len(manifest)]
    write_audit(Audit([], [], many), "audit.json", "audit.html", "manifest.csv")
    page = Path("audit.html").read_text(encoding="utf-8")
    assert page.split('<section id="images">')[1].count('<tr><th scope="row">') == 500
    assert "The first 500 of 2000" in page


# --- real data sets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "labels", "images", "least", "most"),
    [
        ("isbi2012", "label", 30, 0.73, 0.84),
        ("dsb2018_fluo256", "label", 60, 0.007, 0.37),
        ("axon_sem", "label", 10, 0.27, 0.41),
        # As drawn: a few stray pixels of other values, far below the tolerance.
        ("axon_sem", "label_myelin", 10, 0.27, 0.41),
    ],
)
def test_real_data_sets_have_no_faults(name, labels, images, least, most):
    if not (SHARED / name).is_dir():
        pytest.skip(f"{name} is not here")
    folder = SHARED / name
    result = audit_dataset(str(folder / "image"), str(folder / labels))
    assert result.faults == []
    assert len(result.manifest) == images
    assert result.manifest["foreground"].between(least, most).all()


# --- the stage as a whole ---------------------------------------------------------------------

SETTINGS = {
    "images": "images",
    "labels": "labels",
    "foreground": "auto",
    "threshold": None,
    "tolerance": 0.1,
    "empty_labels": "accept",
    "groups": None,
    "ignore": None,
}
RESULTS = ("audit.json", "audit.html", "manifest.csv")


def test_a_valid_data_set_is_recorded_with_the_bytes_that_were_audited(dataset):
    validate_dataset(SETTINGS, "record.csv", *RESULTS)
    assert read_json("audit.json")["images"] == 4
    record = read_record("record.csv")
    assert {file: content.sha256 for file, content in record.items()} == {
        file: sha256(file) for i in range(4) for file in (f"images/{i}.png", f"labels/{i}.png")
    }


def test_a_data_set_with_faults_leaves_its_page_alone(dataset):
    Path("labels/0.png").unlink()
    with pytest.raises(UserError, match=r"^3 pairs, 1 fault, no warning; audit\.html shows it:"):
        validate_dataset(SETTINGS, "record.csv", *RESULTS)
    assert "images/0.png" in Path("audit.html").read_text()
    others = ("record.csv", "audit.json", "manifest.csv")
    assert not any(Path(name).exists() for name in others)


def test_the_last_line_is_the_verdict_with_the_page(dataset, monkeypatch):
    lines = []
    monkeypatch.setattr(logger, "info", lambda form, *values: lines.append(form % values))
    Path("images/notes").mkdir()
    save(Path("images/notes/x.png"), grey(1))
    validate_dataset(SETTINGS, "record.csv", *RESULTS)
    assert lines[-1] == "4 pairs, no fault, 1 warning: audit.html"
