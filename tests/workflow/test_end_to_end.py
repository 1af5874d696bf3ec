"""The whole chain, from images and labels to masks, scores and a report."""

import hashlib
import re
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from targets import TARGETS
from workspace import CONFIG, ROOT, configure, digests, finish, half_written

from maskmake.data.images import read_pixels
from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import read_csv, read_json, write_png
from maskmake.scores.calibration import EXPECTED

SCORE_NAMES = [
    "pixel_accuracy", "majority_accuracy", "precision", "recall", "foreground_dice",
    "foreground_iou", "background_dice", "background_iou", "mean_dice",
    "average_precision", "ece", "brier", "ece_calibrated", "brier_calibrated",
    "boundary_f1", "hausdorff_95",
    "foreground_cldice", "background_cldice", "betti_0_error", "betti_1_error",
    "v_rand", "v_info", "v_split", "v_merge", "v_info_split", "v_info_merge", "object_f1",
]  # fmt: skip
METRICS = [
    "images", "foreground", "method", "threshold", "upper", "min_seed", "min_object", "min_hole",
    "objects",
    "temperature",
    *SCORE_NAMES, "seconds_train", "seconds_predict",
    *(f"{name}_{end}" for name in SCORE_NAMES for end in ("low", "high")),
]  # fmt: skip
FIGURES = {"data.png", "augmented.png", "training.svg", "threshold.svg", "scores.svg"}
FIGURES |= {"examples.png", "calibration.svg"}


# --- the files of the chain -------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(finished):
    return finished / "results/tiny"


@pytest.fixture(params=["a", "b"])
def run(request, results):
    """Folder of a run."""
    return results / "runs" / request.param


def test_audit_and_manifest_describe_every_image(results):
    audit = read_json(results / "data/audit.json")
    assert (audit["images"], audit["faults"]) == (8, [])
    assert "<html" in (results / "data/audit.html").read_text()
    manifest = read_csv(results / "data/manifest.csv")
    assert list(manifest) == [
        "id", "image", "label", "height", "width", "channels", "dtype", "label_maximum",
        "label_foreground", "label_ignored", "sha256_image", "sha256_label", "foreground",
        "ignored", "group", "role", "page", "minimum", "maximum",
    ]  # fmt: skip
    assert manifest["id"].tolist() == [f"0{i}" for i in range(8)]
    assert manifest["image"].tolist() == [f"images/0{i}.png" for i in range(8)]


def test_arrays_hold_the_pixels_of_the_files(results, finished):
    images, labels = np.load(results / "data/images.npy"), np.load(results / "data/labels.npy")
    assert (images.dtype, images.shape) == (np.uint8, (8, 96, 96))
    assert (labels.dtype, labels.shape) == (np.uint8, (8, 96, 96))
    assert images.flags.c_contiguous
    for i in range(8):
        assert (images[i] == read_pixels(finished / f"images/0{i}.png")).all()
        assert (labels[i] == (read_pixels(finished / f"labels/0{i}.png") > 127)).all()
    index = read_csv(results / "data/index.csv")
    assert list(index) == [
        "id", "height", "width", "channels", "image_offset", "label_offset",
        "sha256_image", "sha256_label",
    ]  # fmt: skip
    assert index["image_offset"].tolist() == [i * 96 * 96 for i in range(8)]


def test_splits_take_the_last_images_for_test(results):
    splits = read_csv(results / "data/splits.csv")
    assert list(splits) == ["id", "role", "fold"]
    assert splits["role"].tolist() == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    assert splits["fold"].tolist()[4:6] == [0, 0]
    assert splits["fold"].isna().sum() == 6


def test_plan_is_the_fingerprint_of_the_data(results):
    plan = read_json(results / "data/plan.json")
    assert (plan["images"], plan["channels"], plan["dtype"]) == (8, 1, "uint8")
    assert plan["height"] == plan["width"] == {"minimum": 96, "median": 96, "maximum": 96}
    seen = np.load(results / "data/images.npy")[:6]  # without the test images
    assert plan["intensity"]["mean"] == [pytest.approx(seen.mean())]
    assert plan["intensity"]["std"] == [pytest.approx(seen.std())]


def test_training_leaves_model_history_and_settings(run):
    assert zipfile.is_zipfile(run / "fold0/model.keras")
    history = pd.read_csv(run / "fold0/history.csv")
    assert list(history) == [
        "epoch", "loss", "val_loss",
        "accuracy", "correlation", "val_accuracy", "val_correlation", "val_foreground",
        "learning_rate", "images_per_second", "seconds",
    ]  # fmt: skip
    assert history["epoch"].tolist() == [1]
    training = read_json(run / "fold0/training.json")
    assert training["settings"]["seed"] == {"a": 1, "b": 2}[run.name]
    assert training["preprocessing"]["channels"] == 1
    assert training["patches"] == 6
    assert training["best_epoch"] == 1
    assert training["device"] == "CPU"
    assert sorted(p.name for p in (run / "fold0").iterdir()) == [
        "augmented.npy", "history.csv", "model.keras", "probabilities.csv", "probabilities.npy",
        "training.json",
    ]  # fmt: skip


def test_probabilities_are_those_of_validation_and_test_images(run):
    probabilities = np.load(run / "fold0/probabilities.npy")
    assert (probabilities.dtype, probabilities.size) == (np.float16, 4 * 96 * 96)
    assert (probabilities >= 0).all() and (probabilities <= 1).all()


def test_decision_is_learned_on_validation_images(run, results):
    decision = read_json(run / "decision.json")
    assert decision["images"] == ["04", "05"]
    assert 0 <= decision["threshold"] <= 1
    assert decision["score"] + 0.002 >= decision["score_uncleaned"] >= decision["score_at_half"]
    assert decision["objective"] == "dice"
    assert 0.25 <= decision["temperature"] <= 10
    assert {key: len(values) for key, values in decision["validation"].items()} == {
        "foreground": 2, "expected_mean_dice": 2, "mean_dice": 2,
    }  # fmt: skip
    assert decision["method"] == ("one_level" if decision["upper"] is None else "two_level")
    assert set(decision["curve"]) == {
        "threshold", "foreground_dice", "background_dice", "objective",
    }  # fmt: skip
    assert set(decision["sizes"][0]) == {"min_object", "min_hole", "score", *decision["removed"]}
    assert decision["clean_up_reason"] in (results / f"logs/{run.name}-decide.log").read_text()


def test_specks_are_counted_and_shown(run, results):
    diagnosis, table = read_json(run / "specks.json"), read_csv(run / "specks.csv")
    assert diagnosis["images"] == ["04", "05"]
    false = table[table["false"]]
    assert diagnosis["false"] == len(false) == sum(diagnosis["causes"].values())
    assert diagnosis["components"] == len(table)  # so few that the figure draws all
    assert list(table) == [
        "id", "kind", "row", "column", "size", "mean_probability", "overlap", "threshold",
        "cleaned", "false", "cause",
    ]  # fmt: skip
    assert set(table["id"]) <= {"04", "05"} and (false["overlap"] < 0.5).all()
    log = (results / f"logs/{run.name}-diagnose.log").read_text()
    assert f"verdict {diagnosis['verdict']}: {diagnosis['false']} of" in log
    with Image.open(run / "specks.png") as picture:
        assert min(picture.size) > 300


def test_masks_and_probability_pictures_of_every_test_image(run):
    for kind in ("masks", "probability", "regions"):
        pictures = sorted((run / kind).glob("*.png"))
        assert [picture.name for picture in pictures] == ["06.png", "07.png"]
        for picture in pictures:
            with Image.open(picture) as image:
                assert image.size == (96, 96)
                assert image.mode == ("RGB" if kind == "regions" else "L")
                assert kind != "masks" or set(np.unique(image)) <= {0, 255}
    for name in ("06.png", "07.png"):
        coloured = (read_pixels(run / "regions" / name) > 0).any(axis=2)
        assert (coloured == (read_pixels(run / "masks" / name) > 0)).all()


def test_scores_have_every_key_and_match_the_masks(run, results):
    metrics = read_json(run / "metrics.json")
    assert list(metrics) == METRICS
    assert metrics["images"] == 2
    labels = np.load(results / "data/labels.npy")[6:]
    masks = np.stack([read_pixels(run / f"masks/0{i}.png") for i in (6, 7)]) > 0
    assert metrics["pixel_accuracy"] == pytest.approx((masks == labels).mean())
    per_image = read_csv(run / "per_image.csv")
    assert per_image["id"].tolist() == ["06", "07"]
    assert list(per_image) == ["id", "group", *SCORE_NAMES, *EXPECTED]
    for name in ("pixel_accuracy", "mean_dice", "betti_0_error"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    assert len(read_csv(run / "resamples.csv")) == 2000
    assert per_image["expected_mean_dice"].between(0, 1).all()


def test_reliability_counts_every_test_pixel_before_and_after(run):
    reliability = pd.read_csv(run / "reliability.csv")
    assert list(reliability) == [
        "probabilities", "low", "high", "pixels", "mean_probability", "frequency",
    ]  # fmt: skip
    pixels = reliability.groupby("probabilities")["pixels"].sum()
    assert pixels.to_dict() == {"raw": 2 * 96 * 96, "calibrated": 2 * 96 * 96}


def test_comparison_has_one_row_a_run_the_best_first(results):
    comparison = pd.read_csv(results / "comparison.csv")
    assert list(comparison) == ["run", *METRICS]
    assert set(comparison["run"]) == {"a", "b"}
    dice = comparison[["foreground_dice", "background_dice"]].mean(axis=1)
    assert dice.is_monotonic_decreasing


def test_every_two_runs_are_compared(results):
    pairs = read_csv(results / "comparison_pairs.csv")
    assert pairs["score"].tolist() == [name for name in SCORE_NAMES if name != "majority_accuracy"]
    ranked = read_csv(results / "comparison.csv")["run"].tolist()
    assert pairs[["run", "other"]].drop_duplicates().to_numpy().tolist() == [ranked]
    assert set(pairs["verdict"]) == {"another seed"}  # there is no other difference


def test_report_is_one_page_that_names_both_runs(results):
    page = (results / "report.html").read_text()
    assert ">a<" in page and ">b<" in page
    assert 'src="http' not in page and 'href="http' not in page
    assert {path.name for path in (results / "report").iterdir()} == FIGURES | {"images"}


def test_the_report_says_which_version_trained(results):
    version = (ROOT / "workflow/scripts/maskmake/VERSION").read_text().strip()
    assert f"maskmake {version}" in (results / "report.html").read_text()


def test_each_log_says_what_was_done_and_nothing_of_a_library(results):
    logs = {log.name: log.read_text() for log in (results / "logs").glob("*.log")}
    assert len(logs) >= 12
    assert [name for name, text in logs.items() if not text.strip()] == []
    of_a_library = re.compile(r"^[IWEF]\d{4} .*|.*(?:absl|oneDNN|CUDA|cuda).*", re.MULTILINE)
    assert [line for text in logs.values() for line in of_a_library.findall(text)] == []
    assert re.search(r"^mean Dice 0\.\d{3} \(.* to .*\) on 2 test images; ", logs["a-evaluate.log"])


def test_every_job_leaves_a_benchmark_and_nothing_half_written(results):
    benchmarks = {path.stem for path in (results / "benchmarks").glob("*.tsv")}
    assert benchmarks == TARGETS["report"]
    assert half_written(results) == []


# So does test_killed_once_in_every_job, whose results are those of the finished workflow.
@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_in_another_folder(finished, folder):
    configure(folder, runs={"a": {}})
    finish(folder, "masks", "--cores", "2")
    patterns = ("splits.csv", "*.npy", "decision.json", "runs/a/masks/*.png")
    patterns += ("runs/a/regions/*.png",)
    made = digests(folder / "results", *patterns)
    assert len(made) == 11
    there = digests(finished / "results", *patterns)
    assert made == {name: there[name] for name in made}
    assert digest_of_weights(folder) == digest_of_weights(finished)


def digest_of_weights(folder):
    with zipfile.ZipFile(folder / "results/tiny/runs/a/fold0/model.keras") as archive:
        return hashlib.sha256(archive.read("model.weights.h5")).hexdigest()


# --- other data ---------------------------------------------------------------------------------


# Each mixture alone is in tests/unit/data; this is all of them in a whole workflow.
@pytest.mark.slow
def test_sizes_channels_and_pixel_types_may_be_mixed_and_cross_validated(folder):
    """Grey and RGB, 8 and 16 bits, PNG and TIFF, three sizes: one data set, in two folds."""
    shutil.rmtree(folder / "images")
    shutil.rmtree(folder / "labels")
    sizes = [96, 64, 100, 70, 96, 64, 71]
    for i, size in enumerate(sizes):
        image, label = synthesize(i, size, 1)
        label = label[: size - i]
        image = image[: size - i]
        write_png(folder / f"labels/{i}.png", label)
        match i % 3:
            case 0:
                write_png(folder / f"images/{i}.png", image)
            case 1:
                write_png(folder / f"images/{i}.png", np.stack([image, image // 2, image], axis=-1))
            case 2:
                tifffile.imwrite(folder / f"images/{i}.tif", image.astype(np.uint16) * 257)
    configure(
        folder,
        dataset={**CONFIG["dataset"], "range": 65535},
        split={"method": "block", "test": 0.25, "folds": 2},
        runs={"a": {}},
    )
    finish(folder, "--cores", "2")
    results = folder / "results/tiny"
    plan = read_json(results / "data/plan.json")
    assert (plan["channels"], plan["dtype"]) == (3, "uint16")
    pixels = [size * (size - i) for i, size in enumerate(sizes)]
    assert np.load(results / "data/images.npy").shape == (3 * sum(pixels),)
    assert read_pixels(results / "runs/a/masks/6.png").shape == (65, 71)

    splits = read_csv(results / "data/splits.csv")
    test = splits["role"] == "test"
    assert splits["id"][test].astype(int).tolist() == [5, 6]
    assert sorted(splits["fold"][~test]) == [0, 0, 0, 1, 1]
    assert read_json(results / "runs/a/decision.json")["images"] == [str(i) for i in range(5)]
    for fold in (0, 1):
        predicted = test | (splits["fold"] == fold)
        probabilities = np.load(results / f"runs/a/fold{fold}/probabilities.npy")
        assert probabilities.size == np.array(pixels)[predicted].sum()
    assert (results / "report.html").exists()


def test_snakemake_report_holds_the_figures(finished_copy):
    finish(finished_copy, "--report", "out.zip", gpu=None)
    with zipfile.ZipFile(finished_copy / "out.zip") as archive:
        names = {name.rsplit("/", 1)[-1] for name in archive.namelist()}
    assert names >= FIGURES | {"report.html", "specks.png"}
