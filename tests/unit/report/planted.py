"""Finished results folders of planted numbers, some undefined, and of text to be escaped."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from constructed import SOURCES, SPECK_DRAWING

from maskmake.data.images import read_pixels
from maskmake.data.pixel_store import build_store
from maskmake.masks.regions import region_picture
from maskmake.masks.run_folds import list_folds
from maskmake.report.terms import SCORE_TERMS
from maskmake.runtime.files import sha256, write_csv, write_json, write_png, write_text
from maskmake.scores.calibration import EXPECTED, reliability
from maskmake.scores.comparison import PAIRED_SCORES
from maskmake.scores.probabilities import FLOAT16_LEVELS

FOLD_FILES = "model.keras", "training.json"
SCORE_KEYS = [key for group in SCORE_TERMS.values() for key in group]
TRAIN = {
    "architecture": "Unet",
    "encoder": "resnet18",
    "encoder_weights": None,
    "patch": 64,
    "batch": 4,
    "steps": 10,
    "loss": "bce_dice",
    "label_scale": 1,
    "augmentation": "default",
    "backend": "tensorflow",
}

SPECKS = {
    "verdict": "size",
    "components": 20,
    "false": 6,
    "cleaned_true": 1,
    "free_thresholds": [0.5, 0.7],
    "causes": {"threshold": 0, "size": 5, "model_or_label": 1},
    "by_cause": {
        "size": {
            "objects": 3,
            "holes": 2,
            "mean_probability": {"objects": 0.973, "holes": 0.03},
            "median_size": 3.0,
            "largest": {"image": "003", "kind": "object", "row": 1, "column": 2, "size": 9},
            "only_at_half": 0,
            "cleaned": 5,
            "large": 0,
            "true_as_small": 4,
        },
        "model_or_label": {
            "objects": 1,
            "holes": 0,
            "mean_probability": {"objects": 0.9, "holes": None},
            "median_size": 300.0,
            "largest": {"image": "<b>", "kind": "object", "row": 30, "column": 20, "size": 300},
            "only_at_half": 0,
            "cleaned": 0,
            "large": 1,
            "true_as_small": 0,
        },
    },
    "by_size": [
        {"from": 1, "objects": 2, "holes": 1, "threshold": 0, "size": 3, "model_or_label": 0},
        {"from": 4, "objects": 2, "holes": 1, "threshold": 0, "size": 2, "model_or_label": 1},
    ],
}


def make_results(
    folder: Path,
    runs: list[str],
    sizes: list[tuple[int, int]],
    test_images: int,
    folds: int = 1,
    channels: int = 1,
    epochs: int = 6,
) -> dict:
    """Write a small finished results folder; returns the resolved configuration."""
    rng = np.random.default_rng(1)
    table = _write_data(folder, rng, sizes, test_images, folds, channels)
    test = table[table["role"] == "test"]
    comparison = []
    for place, run in enumerate(runs):
        _write_training(folder / "runs" / run, rng, folds, epochs, channels)
        comparison.append(
            {"run": run, **_write_scores(folder / "runs" / run, test, 0.9 - place / 10)}
        )
    write_csv(folder / "comparison.csv", pd.DataFrame(comparison))
    _write_pairs(folder / "comparison_pairs.csv", runs, test_images)
    (folder / "benchmarks").mkdir()
    for name, seconds, memory in (
        ("plan", "0.5", "-"),
        (f"{runs[0]}-fold0-predict", "130.0", "2048.5"),
    ):
        text = f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n"
        (folder / f"benchmarks/{name}.tsv").write_text(text)
    run_settings = {run: TRAIN | {"batch": 4 + place} for place, run in enumerate(runs)}
    return {
        "dataset": SOURCES | {"name": "tiny & <odd>", "images": "images", "labels": "labels"},
        "split": {"folds": folds, "test": ["21-29"]},
        "train": TRAIN,
        "predict": {"tta": True, "tile": "auto"},
        "decide": {"objective": "dice", "sizes": [9, 30]},
        "compare": {"smallest_difference": 0.005},
        "runs": run_settings,
    }


def _write_data(folder, rng, sizes, test_images, folds, channels) -> pd.DataFrame:
    rows = []
    for place, (height, width) in enumerate(sizes):
        image_id = f"{place:03}"
        shape = (height, width, 3) if channels == 3 else (height, width)
        image_path, label_path = folder / f"in/{image_id}.tif", folder / f"in/{image_id}.png"
        label = rng.random((height, width)) < 0.3
        write_png(label_path, label)
        tifffile.imwrite(image_path, rng.integers(0, 65536, shape).astype(np.uint16))
        rows.append(
            {
                "id": image_id,
                "image": image_path,
                "label": label_path,
                "height": height,
                "width": width,
                "channels": channels,
                "dtype": "uint16",
                "label_maximum": 255,
                "label_foreground": "255",
                "label_ignored": "none",
                "ignored": 0.0,
                "sha256_image": sha256(image_path),
                "sha256_label": sha256(label_path),
                "foreground": label.mean(),
                "group": None,
                "role": None,
            }
        )
    manifest = pd.DataFrame(rows)
    data = folder / "data"
    build_store(manifest, data / "images.npy", data / "labels.npy", data / "index.csv")
    write_csv(data / "manifest.csv", manifest)
    last_train = len(sizes) - test_images - (folds == 1)
    roles = ["train"] * last_train + ["validation"] * (folds == 1) + ["test"] * test_images
    fold_column = [place % folds if folds > 1 else None for place in range(last_train)]
    fold_column += [0] * (folds == 1) + [None] * test_images
    splits = pd.DataFrame(
        {"id": manifest["id"], "role": roles, "fold": pd.array(fold_column, dtype="Int64")}
    )
    write_csv(data / "splits.csv", splits)
    write_json(data / "audit.json", {"warnings": ["000.png: <nearly> black"]})
    record = {
        "method": "block",
        "reason": "Blocks & more.",
        "warnings": ["All <b> are test images"],
    }
    write_json(data / "split.json", record)
    return manifest.assign(role=roles)


def _write_training(folder, rng, folds, epochs, channels) -> None:
    for fold in range(folds):
        history = pd.DataFrame({"epoch": np.arange(1, epochs + 1)})
        history["loss"] = 1 / history["epoch"]
        history["val_loss"] = history["loss"].clip(lower=0.2) + rng.uniform(0, 0.005, epochs)
        history["learning_rate"] = 0.001
        history["images_per_second"] = 100.0
        history["seconds"] = 1.0
        write_csv(folder / f"fold{fold}/history.csv", history)
        training = {
            "settings": TRAIN | {"augmentation": {"flip_horizontal": True}},
            "fold": fold,
            "preprocessing": {
                "channels": channels,
                "dtype": "uint16",
                "scale": [1.0] * channels,
                "offset": [0.0] * channels,
            },
            "precision": "float32",
            "device": "CPU",
            "xla": False,
            "patches": 40 * epochs,
            "seconds": 6.0,
            "best_epoch": epochs,
            "val_loss": 0.2,
            "parameters": 1_500_000,
            "versions": {"keras": "3.15.1"},
        }
        write_json(folder / f"fold{fold}/training.json", training)
        samples = rng.integers(0, 2, (6, 40, 40, channels + 1)).astype(np.uint16)
        np.save(folder / f"fold{fold}/augmented.npy", samples)
        (folder / f"fold{fold}/model.keras").write_bytes(b"is not read")
    why = {"value": 128, "reason": "the typical object is 20 pixels long"}
    auto = {
        "predict.tile": {"value": 64, "reason": "the largest image, 48 pixels long, is one tile"}
    }
    auto["decide.sizes"] = {"value": [4, 8], "reason": "is not shown, since they are set"}
    plan = {"settings": {"patch": why}, "auto": auto, "warnings": ["Labels make <i> patches."]}
    write_json(folder / "plan.json", {**plan, "needed_memory": 2**31, "device": "processor"})
    levels = [0.25, 0.5, 0.625, 0.75]
    dice = [0.7, 0.8, 0.85, None]
    curve = {"foreground_dice": dice, "background_dice": dice, "objective": dice}
    decision = {
        "method": "one_level",
        "threshold": 0.625,
        "upper": None,
        "min_seed": 0,
        "min_object": 16,
        "min_hole": 0,
        "objective": "dice",
        "score": 0.86,
        "score_at_half": 0.8,
        "score_uncleaned": 0.85,
        "threshold_uncleaned": 0.625,
        "methods": [],
        "reason": "Two levels separate objects no better than one.",
        "removed": {"objects_true": 1, "objects_false": 2, "holes_true": 0, "holes_false": 0},
        "clean_up_reason": "The clean-up pays: so it does.",
        "temperature": 1.5,
        "images": ["003"],
        "curve": {"threshold": levels, **curve},
        "sizes": [],
    }
    write_json(folder / "decision.json", decision)
    files = [[folder / f"fold{fold}" / name for fold in range(folds)] for name in FOLD_FILES]
    write_json(folder / "run.json", list_folds(*files))
    write_json(folder / "specks.json", SPECKS)
    write_png(folder / "specks.png", np.zeros((20, 30), np.uint8))
    write_text(folder / "specks.svg", SPECK_DRAWING)
    pieces = {"id": "006", "kind": ["object", "hole"], "size": [3, 900], "cleaned": False}
    pieces |= {"mean_probability": [0.97, 0.0123], "false": [True, False], "cause": ["size", ""]}
    write_csv(folder / "specks.csv", pd.DataFrame(pieces))


def _write_scores(folder, test, dice) -> dict:
    metrics = dict.fromkeys(SCORE_KEYS, dice) | {"images": len(test), "majority_accuracy": 0.7}
    metrics |= {"precision": None, "method": "one_level", "upper": None, "min_object": 16}
    metrics |= {"min_seed": 0, "min_hole": 0}
    metrics |= {"v_rand_low": dice - 0.04, "v_rand_high": dice + 0.02, "precision_low": None}
    metrics |= {"precision_high": None}
    histogram = np.zeros((2, FLOAT16_LEVELS.size), np.int64)
    histogram[:, ::500] = 10
    write_csv(folder / "reliability.csv", reliability(histogram, 1.5))
    write_json(folder / "metrics.json", metrics)
    rows = []
    for place, row in enumerate(test.itertuples()):
        mask = read_pixels(row.label) > 0
        write_png(folder / f"masks/{row.id}.png", mask)
        write_png(folder / f"probability/{row.id}.png", mask)
        write_png(folder / f"regions/{row.id}.png", region_picture(mask))
        scores = dict.fromkeys([*SCORE_KEYS, *EXPECTED], dice - place / 100)
        rows.append({"id": row.id, "group": row.id, **scores, "precision": np.nan})
    write_csv(folder / "per_image.csv", pd.DataFrame(rows))
    return metrics


def _write_pairs(path, runs, images) -> None:
    numbers = {"difference": 0.1, "low": 0.02, "high": 0.15, "share": 0.996, "images": images}
    numbers |= {"groups": images, "run_seeds": 1, "other_seeds": 1, "smallest": 0.005}
    rows = [
        {"run": run, "other": other, "score": score, **numbers, "verdict": f"{run} is better"}
        for run, other in combinations(runs, 2)
        for score in PAIRED_SCORES
    ]
    columns = ["run", "other", "score", *numbers, "verdict"]
    write_csv(path, pd.DataFrame(rows, columns=columns))


THREE = ["unet", "18", "third"]
VARIANTS = {
    "plain": {"runs": ["unet", "small"], "sizes": [(40, 40)] * 9, "test_images": 5},
    "one test image": {"runs": ["unet"], "sizes": [(40, 40)] * 4, "test_images": 1, "epochs": 1},
    "folds, odd sizes, RGB": {
        "runs": THREE,
        "sizes": [(33, 47), (61, 40), (52, 35), (450, 41), (37, 400), (39, 38)],
        "test_images": 3,
        "folds": 3,
        "channels": 3,
    },
}
