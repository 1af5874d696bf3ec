"""A configuration that a user gets wrong: one sentence before anything runs."""

import json
import shutil

import pytest
from refusals import assert_told_once, refusal, slow
from workspace import CONFIG, configure, digests, finish, planned, snakemake

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
