"""What the audit finds of a data set: its manifest, and what a user should know."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from auditing import RESULTS, SETTINGS, SIDE, audit, grey, half, save

from maskmake.data.audit import MANIFEST_COLUMNS, audit_dataset, validate_dataset
from maskmake.data.file_versions import read_record
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_json, sha256
from maskmake.runtime.log import logger

SHARED = Path(__file__).parents[4] / "shared" / "data"


# --- a right data set -----------------------------------------------------------------------


def test_a_right_data_set_has_no_faults_and_a_manifest(four_pairs):
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


def test_rows_are_in_natural_order(four_pairs):
    for name in ("10", "9"):
        save(Path(f"images/{name}.png"), grey(int(name)))
        save(Path(f"labels/{name}.png"), half())
    assert list(audit().manifest["id"]) == ["0", "1", "2", "3", "9", "10"]


def test_image_and_label_may_differ_in_file_type(four_pairs):
    save(Path("images/t.bmp"), grey(7))
    save(Path("labels/t.tif"), half())
    result = audit()
    assert result.faults == []
    assert result.manifest.set_index("id").loc["t", "label"] == "labels/t.tif"


@pytest.mark.parametrize(
    ("value", "dtype"), [(1, np.uint8), (255, np.uint8), (65535, np.uint16), (1, np.uint16)]
)
def test_labels_of_any_range(four_pairs, value, dtype):
    for number in range(4):
        Path(f"labels/{number}.png").unlink()
        save(Path(f"labels/{number}.tif"), half(value, dtype=dtype))
    result = audit()
    assert result.faults == []
    assert list(result.manifest["foreground"]) == [0.5] * 4


def test_nearly_black_and_white_is_right(four_pairs):
    save(Path("labels/0.png"), half(value=240, background=9))
    assert audit().faults == []


def test_sub_folders_give_roles(four_pairs):
    for kind in ("images", "labels"):
        for number, role in enumerate(["train", "train", "validation", "test"]):
            Path(kind, role).mkdir(exist_ok=True)
            Path(f"{kind}/{number}.png").rename(f"{kind}/{role}/{number}.png")
    result = audit()
    assert result.faults == []
    assert list(result.manifest["role"]) == ["train", "train", "validation", "test"]
    assert result.manifest["image"][3] == "images/test/3.png"


def test_groups_are_searched_in_the_id(four_pairs):
    for kind in ("images", "labels"):
        for number in range(4):
            Path(f"{kind}/{number}.png").rename(f"{kind}/p{number // 2}_{number}.png")
    assert list(audit(groups=r"^p(\d+)_").manifest["group"]) == ["0", "0", "1", "1"]


# --- what a training needs ---------------------------------------------------------------------


def test_images_that_no_training_can_take_are_faults(four_pairs):
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


# --- warnings -------------------------------------------------------------------------------


def test_grey_among_colours_is_a_warning_and_grey_saved_as_colours_is_grey(four_pairs):
    save(Path("images/0.png"), np.dstack([grey(0)] * 3))
    assert audit().warnings == []
    save(Path("images/1.png"), np.dstack([grey(0), grey(1), grey(2)]))
    result = audit()
    assert result.faults == []
    assert [warning.split(";")[0] for warning in result.warnings] == ["3 grey and 1 RGB images"]
    assert result.manifest["channels"].tolist() == [1, 3, 1, 1]


def test_copies_are_a_warning(four_pairs):
    save(Path("images/3.png"), grey(1))
    (warning,) = audit().warnings
    assert warning.startswith("images/1.png, images/3.png are copies of one image;")


def test_files_left_out_are_a_warning(four_pairs):
    Path("images/notes.txt").write_text("")
    Path("images/other").mkdir()
    (warning,) = audit().warnings
    assert warning.startswith("images: sub-folder other, 1 .txt file left out;")


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


def test_a_valid_data_set_is_recorded_with_the_bytes_that_were_audited(four_pairs):
    validate_dataset(SETTINGS, "record.csv", *RESULTS)
    assert read_json("audit.json")["images"] == 4
    record = read_record("record.csv")
    assert {file: content.sha256 for file, content in record.items()} == {
        file: sha256(file) for i in range(4) for file in (f"images/{i}.png", f"labels/{i}.png")
    }


def test_a_data_set_with_faults_leaves_its_page_alone(four_pairs):
    Path("labels/0.png").unlink()
    with pytest.raises(UserError, match=r"^3 pairs, 1 fault, no warning; audit\.html shows it:"):
        validate_dataset(SETTINGS, "record.csv", *RESULTS)
    assert "images/0.png" in Path("audit.html").read_text()
    others = ("record.csv", "audit.json", "manifest.csv")
    assert not any(Path(name).exists() for name in others)


def test_the_last_line_is_the_verdict_with_the_page(four_pairs, monkeypatch):
    lines = []
    monkeypatch.setattr(logger, "info", lambda form, *values: lines.append(form % values))
    Path("images/notes").mkdir()
    save(Path("images/notes/x.png"), grey(1))
    validate_dataset(SETTINGS, "record.csv", *RESULTS)
    assert lines[-1] == "4 pairs, no fault, 1 warning: audit.html"
