"""What a user can get wrong: one sentence, an exit code, and nothing lost or half written."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from workspace import CONFIG, configure, digests, finish, half_written, planned, snakemake

from maskmake.data.images import read_pixels
from maskmake.runtime.files import write_png

# Snakemake deletes the outputs of a job before it starts; the log and the page beside it are new.
VALIDATE_FILES = {
    "data/audit.json", "data/audit.html", "data/manifest.csv", "benchmarks/validate.tsv",
    "logs/validate.log",
}  # fmt: skip


def refusal(folder, *arguments, **options) -> str:
    """The output of a run that has to fail without a traceback and without half-written files."""
    code, output = snakemake(folder, *arguments, **options)
    assert code != 0, output
    assert "Traceback (most recent call last)" not in output
    assert half_written(folder) == []
    return output


def assert_told_once(output, *parts):
    """Exactly one line has all the parts, apart from its repetition at the end of a run."""
    lines = [line for line in output.splitlines() if all(part in line for part in parts)]
    said = {re.sub(r"^\w+( \(.*?\))?: ", "", line) for line in lines}
    assert len(said) == 1, output


# Each sentence is tested to the letter where it is made, by the unit tests of the audit, of the
# configuration and of the splits. Of the runs that are refused with one, a few stand for all.
slow = pytest.mark.slow


# --- data ---------------------------------------------------------------------------------------


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


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "parts"),
    [
        pytest.param(
            {"train": {"encoder": "resnet35"}},
            ["train.encoder: found 'resnet35'", "the nearest:", "resnet34"],
            id="unknown encoder",
        ),
        pytest.param(
            {"train": {"learning_rate": 2}},
            ["train.learning_rate: found 2", "above 0 and at most 1"],
            id="setting out of range",
            marks=slow,
        ),
        pytest.param(
            {"split": {"test": 0}},
            ["split.test: found 0", "a share above 0"],
            id="no test image",
            marks=slow,
        ),
        pytest.param(
            {"train": {"epoch": 3}},
            ["train.epoch: unknown key", "did you mean 'epochs'?"],
            id="misspelt key",
        ),
        pytest.param(
            {"trian": {"epochs": 3}},
            ["trian: unknown key", "did you mean 'train'?"],
            id="misspelt section",
            marks=slow,
        ),
        pytest.param(
            {"dataset": {"images": "images"}},
            ["dataset.labels: missing", "dataset.images names one"],
            id="no folder of labels",
            marks=slow,
        ),
        pytest.param(
            {"segment": {"run": "c"}},
            ["segment.run: found 'c'", "one of the runs: a or b"],
            id="unknown run",
            marks=slow,
        ),
    ],
)
def test_bad_setting_is_refused_before_anything_runs(sections, parts, finished_copy):
    before = digests(finished_copy / "results", "*")
    configure(finished_copy, **sections)
    output = refusal(finished_copy)
    assert_told_once(output, *parts)
    assert "[1/" not in output
    assert digests(finished_copy / "results", "*") == before


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        pytest.param(
            {"test": ["0-5"], "validation": ["6-7"]},
            ["split: no image is left for the train part (8 images in all)"],
            id="no training image",
            marks=slow,
        ),
        pytest.param(
            {"test": ["99"]},
            ["split.test: '99' names no image", "from '00' to '07'"],
            id="unknown id",
            marks=slow,
        ),
        pytest.param(
            {"test": ["6-7"], "validation": ["5-6"]},
            ["split.validation: '06' is a test image too"],
            id="id in two parts",
            marks=slow,
        ),
        pytest.param(
            {"method": "folders"},
            ["split.method: folders, but image '00' (8 in all)"],
            id="no sub-folders",
        ),
    ],
)
def test_bad_split_is_refused(split, parts, folder):
    configure(folder, split=split)
    output = refusal(folder, "split")
    assert_told_once(output, *parts)
    assert not (folder / "results/tiny/data/splits.csv").exists()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU")
def test_a_gpu_that_was_asked_for_and_is_not_there_is_refused_before_any_job(folder):
    configure(folder, train={**CONFIG["train"], "gpu": 1}, runs={"a": {}})
    output = refusal(folder, "train", gpu=1)
    found = "train.gpu: 1 in run 'a', but nvidia-smi lists none on this machine"
    assert_told_once(output, found, "set train.gpu to auto, add --resources gpu=0")
    assert not (folder / "results/tiny/data").exists()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU")
def test_without_a_gpu_the_processor_is_taken_and_the_log_says_so(finished_copy):
    folder = finished_copy
    shutil.rmtree(folder / "results/tiny/runs/a/fold0")
    configure(folder, runs={"a": {}})
    finish(folder, "results/tiny/runs/a/fold0/probabilities.npy", gpu=1)
    for job in ("train", "predict"):
        log = (folder / f"results/tiny/logs/a-fold0-{job}.log").read_text()
        assert "train.gpu: auto; nvidia-smi lists no GPU here, so the processor is used" in log
    training = json.loads((folder / "results/tiny/runs/a/fold0/training.json").read_text())
    assert training["device"] == "CPU"
    configure(folder, train={**CONFIG["train"], "gpu": 0}, runs={"a": {}})
    assert "a-fold0-train" not in planned(folder), "another device trains nothing again"


def test_fewer_gpus_than_a_run_asks_for_are_refused_before_anything_runs(folder):
    configure(folder, train={"backend": "jax", "gpu": 2})
    output = refusal(folder, gpu=1)
    assert_told_once(output, "train.gpu: 2 in run 'a'", "--resources gpu=1", "--resources gpu=2")
    assert not (folder / "results").exists()


# --- the configuration file ---------------------------------------------------------------------
# Snakemake reads it before the workflow does, so these sentences are its own.


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("- a\n- b\n", "with keys at top level", id="a list"),
        pytest.param("train: {epochs: 1\nruns: [", "not valid JSON or YAML", id="no YAML"),
    ],
)
def test_configuration_that_is_no_set_of_sections_is_refused(text, part, folder):
    (folder / "config.yaml").write_text(text)
    assert_told_once(refusal(folder), part)
    assert not (folder / "results").exists()


def test_section_that_stands_twice_is_refused(folder):
    with (folder / "config.yaml").open("a") as file:
        file.write("train: {epochs: 2}\n")
    output = refusal(folder)
    assert_told_once(output, "config.yaml: 'train' stands twice", "put what belongs to it into one")
    assert not (folder / "results").exists()


def test_missing_configuration_is_named(folder):
    code, output = snakemake(folder, config="nowhere.yaml")
    assert code != 0
    assert "No such file or directory" in output
    assert "nowhere.yaml" in output
    assert not (folder / "results").exists()


def test_other_data_under_the_same_name_is_refused(finished_copy):
    before = digests(finished_copy / "results", "*")
    (finished_copy / "others").symlink_to("labels")
    configure(finished_copy, dataset={"name": "tiny", "images": "others", "labels": "images"})
    output = refusal(finished_copy, "train")
    assert_told_once(output, "results/tiny: made from the images in images", "set dataset.name")
    assert digests(finished_copy / "results", "*") == before


# --- segment ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exists", [False, True], ids=["missing", "empty"])
def test_folder_without_images_to_segment_is_refused(exists, finished_copy):
    if exists:
        (finished_copy / "new").mkdir()
    configure(finished_copy, segment={"images": "new"})
    output = refusal(finished_copy, "segment")
    assert_told_once(output, "segment.images: found no image in 'new'", "pattern of PNG")


def test_model_folder_without_a_fold_is_refused(folder):
    configure(folder, segment={"images": "images", "model": "labels"})
    output = refusal(folder, "segment")
    assert_told_once(output, "segment.model: found no folder fold0 in 'labels'")


@pytest.mark.parametrize("file", ["fold0/training.json", "fold0/model.keras", "decision.json"])
def test_model_folder_without_one_of_its_files_is_refused(file, folder):
    for name in {"fold0/training.json", "fold0/model.keras", "decision.json"} - {file}:
        (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "model" / name).write_text("{}")
    configure(folder, segment={"images": "images", "model": "model"})
    output = refusal(folder, "segment")
    assert_told_once(output, f"segment.model: model/{file} is missing", "copy the whole folder")


# --- the disk -----------------------------------------------------------------------------------


def test_file_in_place_of_the_results_folder_is_named(folder):
    (folder / "results").write_text("notes")
    output = refusal(folder, "validate")
    assert_told_once(output, "results: ")
    assert (folder / "results").read_text() == "notes"


def test_results_folder_that_is_a_link_to_nothing_is_named(folder):
    (folder / "results").symlink_to(folder / "disk")
    output = refusal(folder, "validate")
    assert_told_once(output, f"results: a link to {folder}/disk, which is not there", "mount")


def test_folder_without_permission_to_write_is_named(folder):
    prefix = ()
    if os.geteuid() == 0:  # permissions do not bind root unless it gives up a privilege
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv to bind root by permissions")
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    (folder / "results/tiny/data").mkdir(mode=0o500, parents=True)
    output = refusal(folder, "validate", prefix=prefix)
    assert_told_once(output, "results/tiny/data/", "Permission denied", "fix the permissions")
    assert digests(folder / "results", "*.csv", "*.json") == {}


@pytest.fixture
def small_disk(folder):
    """Mounts a file system of so many kilobytes as the results folder."""
    results = folder / "results"
    results.mkdir()

    def mount(kilobytes):
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", results]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")

    yield mount
    if results.is_mount():
        subprocess.run(["umount", results], check=True)


@pytest.mark.parametrize(
    ("target", "kilobytes"), [("validate", 8), ("binarize", 160)], ids=["text", "array"]
)
def test_full_disk_is_named(target, kilobytes, small_disk, folder):
    small_disk(kilobytes)
    output = refusal(folder, target)
    assert_told_once(output, "No space left on device", "free space")
    audited = [".contents.csv", ".source.json", "audit.html", "audit.json", "manifest.csv"]
    earlier = {"validate": [], "binarize": audited}
    assert sorted(path.name for path in (folder / "results/tiny/data").glob("*")) == earlier[target]


def test_a_damaged_record_of_images_is_named(folder):
    record = folder / "results/tiny/data/.contents.csv"
    record.parent.mkdir(parents=True)
    record.write_text("images/0.png,1")
    assert_told_once(refusal(folder, "--dry-run"), "data/.contents.csv, line 1: damaged; expected")


def test_damaged_records_of_new_images_are_named(finished_copy):
    shutil.copytree(finished_copy / "images", finished_copy / "new")
    configure(finished_copy, segment={"images": "new", "run": "a"})
    record = finished_copy / "results/tiny/segment/a/new/.shards/attempts.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"0": ')
    code, output = snakemake(finished_copy, "segment", "--dry-run")
    assert code != 0
    assert "Traceback" not in output
    assert "new/.shards/attempts.json: not a whole JSON document" in output
    record.unlink()
    record.with_name("0.contents.csv").write_text("new/0.png,1")
    code, output = snakemake(finished_copy, "segment", "--dry-run")
    assert code != 0
    assert "new/.shards/0.contents.csv, line 1: damaged; expected" in output
