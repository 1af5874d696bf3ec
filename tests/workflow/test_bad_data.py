"""A data set that a user gets wrong: one sentence, and nothing lost or half written."""

import shutil

import numpy as np
import pytest
from refusals import assert_told_once, refusal, slow
from workspace import digests, finish, planned

from maskmake.data.images import read_pixels
from maskmake.runtime.files import write_png

# Snakemake deletes the outputs of a job before it starts; the log and the page beside it are new.
VALIDATE_FILES = {
    "data/audit.json", "data/audit.html", "data/manifest.csv", "benchmarks/validate.tsv",
    "logs/validate.log",
}  # fmt: skip


def missing_image_folder(folder):
    shutil.rmtree(folder / "images")


def empty_image_folder(folder):
    shutil.rmtree(folder / "images")
    (folder / "images").mkdir()


def empty_label_folder(folder):
    shutil.rmtree(folder / "labels")
    (folder / "labels").mkdir()


def unpaired_image(folder):
    (folder / "labels/03.png").unlink()


def unpaired_label(folder):
    (folder / "images/03.png").unlink()


def unreadable_file(folder):
    (folder / "images/03.png").write_bytes(b"no image")


def truncated_png(folder):
    data = (folder / "images/03.png").read_bytes()
    (folder / "images/03.png").write_bytes(data[: len(data) // 2])


def size_mismatch(folder):
    write_png(folder / "labels/03.png", read_pixels(folder / "labels/03.png")[:90])


def three_values(folder):
    label = read_pixels(folder / "labels/03.png").copy()
    label[:, :32] = 127
    write_png(folder / "labels/03.png", label)


def one_value(folder):
    write_png(folder / "labels/03.png", np.full((96, 96), 255, np.uint8))


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        pytest.param(
            missing_image_folder, ["images: no such folder", "fix dataset.images"], marks=slow
        ),
        pytest.param(
            empty_image_folder, ["images: no image files (found nothing)", ".png"], marks=slow
        ),
        pytest.param(
            empty_label_folder, ["labels: no image files (found nothing)", ".png"], marks=slow
        ),
        (unpaired_image, ["images/03.png: image without label", "labels/03"]),
        pytest.param(
            unpaired_label, ["labels/03.png: label without image", "images/03"], marks=slow
        ),
        pytest.param(
            unreadable_file, ["images/03.png: cannot be decoded", "replace or remove"], marks=slow
        ),
        pytest.param(
            truncated_png, ["images/03.png: cannot be decoded", "replace or remove"], marks=slow
        ),
        pytest.param(
            size_mismatch,
            ["labels/03.png: 90 x 96 pixels", "images/03.png has 96 x 96"],
            marks=slow,
        ),
        (three_values, ["labels/03.png alone has the value 127", "set dataset.foreground"]),
        pytest.param(
            one_value,
            ["labels/03.png: every pixel is foreground", "dataset.empty_labels"],
            marks=slow,
        ),
    ],
)
def test_bad_data_is_refused_before_anything_else_runs(spoil, parts, finished_copy):
    results = finished_copy / "results/tiny"
    before = digests(results, "*")
    spoil(finished_copy)
    output = refusal(finished_copy)
    assert_told_once(output, *parts)
    after = digests(results, "*")
    assert {
        name for name in before | after if before.get(name) != after.get(name)
    } <= VALIDATE_FILES
    assert not (results / "data/manifest.csv").exists()


def test_of_many_faults_twenty_are_printed_and_all_are_in_the_page(folder):
    for i in range(10, 33):
        shutil.copy(folder / "labels/00.png", folder / f"labels/{i}.png")
        write_png(folder / f"images/{i}.png", np.tile(np.arange(96, dtype=np.uint8), (i + 30, 1)))
    output = refusal(folder)
    page = "results/tiny/data/audit.html"
    assert_told_once(output, "23 faults", f"{page} shows all of them", "the first 20:")
    assert "expected equal sizes" in output.splitlines()[-1]
    assert output.count("expected equal sizes") == 20
    assert (folder / page).read_text().count("equal sizes") == 23


def test_after_a_file_is_fixed_and_validated_nothing_is_trained_again(finished_copy):
    image = finished_copy / "images/03.png"
    good = image.read_bytes()
    unreadable_file(finished_copy)
    refusal(finished_copy, "validate")
    image.write_bytes(good)
    finish(finished_copy, "validate")
    assert planned(finished_copy) == set()
