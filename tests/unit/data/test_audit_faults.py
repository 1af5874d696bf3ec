"""What is wrong with a data set: one sentence for each fault, all of them in one pass."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from auditing import SIDE, audit, grey, half, save


def only_fault(**settings) -> str:
    (fault,) = audit(**settings).faults
    return fault


def test_folder_missing(four_pairs):
    Path("labels").rename("masks")
    fault = only_fault()
    assert fault.startswith(
        "labels: no such folder; expected the folder of labels; fix dataset.labels"
    )
    assert str(four_pairs) in fault


def test_folder_is_a_file(four_pairs):
    Path("labels").rename("masks")
    Path("labels").write_text("")
    assert only_fault().startswith("labels: a file; expected the folder of labels")


def test_folder_without_images(four_pairs):
    for path in Path("images").iterdir():
        path.rename(path.with_suffix(".czi"))
    Path("images/other").mkdir()
    Path("images/.DS_Store").write_text("")
    assert only_fault().startswith("images: no image files (found sub-folder other, 4 .czi files);")


def test_empty_folders_are_both_named(four_pairs):
    for path in [*Path("images").iterdir(), *Path("labels").iterdir()]:
        path.unlink()
    faults = audit().faults
    assert [fault.split("(")[0] for fault in faults] == [
        "images: no image files ",
        "labels: no image files ",
    ]
    assert "(found nothing)" in faults[0] and ".png" in faults[0]


def test_image_without_label(four_pairs):
    Path("labels/2.png").unlink()
    assert only_fault().startswith("images/2.png: image without label; expected labels/2 with")


def test_label_without_image(four_pairs):
    save(Path("labels/extra.png"), half())
    assert only_fault().startswith("labels/extra.png: label without image; expected images/extra")


def test_label_in_another_sub_folder(four_pairs):
    Path("labels/test").mkdir()
    Path("labels/2.png").rename("labels/test/2.png")
    assert [fault.split(";")[0] for fault in audit().faults] == [
        "images/2.png: image without label",
        "labels/test/2.png: label without image",
    ]


def test_no_stem_in_common_is_one_fault(four_pairs):
    for path in list(Path("labels").iterdir()):
        path.rename(path.with_stem(f"mask_of_{10 - int(path.stem)}"))
    fault = only_fault()
    assert "no label has the sub-folder and stem of an image" in fault
    assert "images such as images/0.png, labels such as labels/mask_of_7.png" in fault


def test_two_files_of_one_stem(four_pairs):
    save(Path("images/2.tif"), grey(9))
    fault = only_fault()
    assert "has the same stem as 2." in fault
    assert "expected one file for '2'" in fault


def test_one_stem_in_two_sub_folders(four_pairs):
    for kind, pixels in (("images", grey(9)), ("labels", half())):
        save(Path(kind, "test/2.png"), pixels)
    result = audit()
    (fault,) = result.faults
    assert fault.startswith(
        "images/test/2.png: has the same stem as images/2.png; expected stems that"
    )
    assert result.manifest["id"].is_unique


def test_too_few_pairs(four_pairs):
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
def test_file_that_cannot_be_decoded(four_pairs, kind, content):
    path = Path(kind, "1.png")
    path.write_bytes(content(path.read_bytes()) if callable(content) else content)
    fault = only_fault()
    assert fault.startswith(f"{path}: cannot be decoded (")
    assert fault.endswith("replace or remove the file.")


def test_truncated_tiff(four_pairs):
    Path("images/1.png").unlink()
    path = save(Path("images/1.tif"), grey(1, side=64))
    path.write_bytes(path.read_bytes()[:200])
    assert only_fault().startswith("images/1.tif: ")


def test_sizes_differ(four_pairs):
    save(Path("images/1.png"), grey(1, side=40))
    assert only_fault() == (
        "labels/1.png: 32 x 32 pixels (height x width), but images/1.png has 40 x 40; expected "
        "equal sizes; export the label at the size of the image."
    )


def test_sides_below_32_pixels(four_pairs):
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


def test_pixel_type(four_pairs):
    Path("images/1.png").unlink()
    tifffile.imwrite("images/1.tif", grey(1).astype(np.int64))
    assert only_fault().startswith("images/1.tif: pixel type int64; expected 8 to 32 bits")


def test_jpeg_label(four_pairs):
    Path("labels/1.png").unlink()
    save(Path("labels/1.jpg"), half())
    assert only_fault().startswith("labels/1.jpg: a JPEG label;")


def test_three_valued_label(four_pairs):
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
def test_tolerance_accepts_a_three_valued_label(four_pairs, tolerance):
    label = half()
    label[0, :16] = 127
    save(Path("labels/1.png"), label)
    assert audit(tolerance=tolerance).faults == []


@pytest.mark.parametrize(("value", "side"), [(0, "background"), (255, "foreground")])
def test_label_of_one_value(four_pairs, value, side):
    save(Path("labels/1.png"), np.full((SIDE, SIDE), value, np.uint8))
    assert only_fault() == (
        f"labels/1.png: every pixel is {side} (the value {value}); expected background and "
        "foreground; remove the pair, or, where other labels have both, set "
        "dataset.empty_labels to accept."
    )


def test_empty_labels_can_be_accepted(four_pairs):
    save(Path("labels/1.png"), np.zeros((SIDE, SIDE), np.uint8))
    result = audit(empty_labels="accept")
    assert result.faults == []
    assert result.warnings == [
        "1 of 4 labels hold only background or only foreground, such as labels/1.png; "
        "dataset.empty_labels accepts them."
    ]


def test_a_data_set_without_foreground_is_never_accepted(four_pairs):
    for number in range(4):
        save(Path(f"labels/{number}.png"), np.zeros((SIDE, SIDE), np.uint8))
    assert only_fault(empty_labels="accept").startswith(
        "labels/0.png and 3 more labels: every pixel is background (the value 0); expected"
    )


def test_label_of_another_range_than_the_others(four_pairs):
    save(Path("labels/1.png"), half(value=1))
    assert only_fault() == (
        "labels/1.png alone has the value 1, in 512 pixels; 4 labels together have 0 (50 %), "
        "1 (12.5 %), 255 (37.5 %); expected two values, the higher one foreground; set "
        "dataset.foreground to the value or the list of values that is foreground, such as 255, "
        "or to nonzero for all but 0, or convert the labels."
    )


def test_a_threshold_in_the_configuration_is_a_share_of_the_range_of_all_labels(four_pairs):
    save(Path("labels/1.png"), half(value=1))
    assert only_fault(threshold=0.5) == (
        "labels/1.png: every pixel is background (the values 0 and 1), since the labels of the "
        "data set range from 0 to 255 and dataset.label_threshold 0.5 makes values above 127.5 "
        "foreground; expected 0 and 255; convert the label (class and instance numbers, too), fix "
        "the threshold, or set dataset.foreground in its place."
    )


def test_class_indices(four_pairs):
    for number in range(4):
        label = half(value=3)
        label[:8] = np.arange(SIDE) % 4
        save(Path(f"labels/{number}.png"), label)
    assert only_fault().startswith(
        "labels/0.png: 4 values from 0 to 3; 4 labels together have 0 (43.8 %), 1 (6.25 %), "
    )
    assert audit(foreground=[1, 3]).manifest["foreground"].tolist() == [0.5] * 4


def test_label_above_the_threshold_throughout(four_pairs):
    save(Path("labels/1.png"), half(value=250, background=200))
    text = "every pixel is foreground (the values 200 and 250), since"
    assert text in only_fault(threshold=0.5)
    assert "labels/1.png alone has the value 250" in only_fault()


def test_id_without_group(four_pairs):
    assert [fault.split(";")[0] for fault in audit(groups="^([0-2])$").faults] == [
        "images/3.png: dataset.groups '^([0-2])$' finds no group in '3'"
    ]


def test_faults_of_all_kinds_in_one_pass(four_pairs):
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
