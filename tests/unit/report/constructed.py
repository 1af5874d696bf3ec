"""Finished results folders that are made from labels and probabilities, without any training."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.special import expit

from maskmake.data.images import read_pixels
from maskmake.data.object_class import ObjectName
from maskmake.data.pixel_store import build_store
from maskmake.masks.decision import apply_decision, stored_decision
from maskmake.masks.evaluation import evaluate_run
from maskmake.masks.learning import decide_run
from maskmake.masks.mask_files import MaskFolder
from maskmake.masks.regions import region_picture
from maskmake.masks.run_folds import list_folds
from maskmake.masks.specks import diagnose, find_specks
from maskmake.report.inputs import ReportInputs
from maskmake.runtime.files import (
    read_csv,
    read_json,
    sha256,
    write_csv,
    write_json,
    write_png,
    write_text,
)
from maskmake.scores.cases import Case
from maskmake.scores.comparison import ScoredRun, compare_runs

SIZE = 40
SPECK_DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"></svg>'
# Where a data set may come from: keys of the section ``dataset``.
SOURCES = dict.fromkeys(("images", "labels", "table", "synthesis", "download", "storage"))
SETTINGS = {
    "architecture": "Unet",
    "encoder": "resnet18",
    "encoder_weights": None,
    "patch": 32,
    "batch": 4,
    "steps": 10,
    "loss": "dice",
    "label_scale": 1,
    "augmentation": {"flip_horizontal": True},
    "backend": "tensorflow",
}
PREPROCESSING = {"channels": 1, "dtype": "uint8", "scale": [1.0], "offset": [0.0]}

# From an image's label, a generator and its number among the validation or test images.
Predict = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]


def blobs(share: float, rng: np.random.Generator) -> np.ndarray:
    """A label of smooth objects that cover a share of it."""
    smooth = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 4)
    return (smooth > np.quantile(smooth, 1 - share)).astype(np.uint8)


def two_discs(share: float, rng: np.random.Generator) -> np.ndarray:
    """A label of two discs with a gap of two columns, somewhere."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - rng.integers(-2, 3)
    discs = (np.hypot(rows - 20, columns - 11) < 9) | (np.hypot(rows - 20, columns - 28) < 9)
    return (discs & (np.abs(columns - 19.5) > 1)).astype(np.uint8)


def squares(share: float, rng: np.random.Generator) -> np.ndarray:
    """A label of true objects of nine pixels."""
    label = np.zeros((SIZE, SIZE), np.uint8)
    label[np.ix_(*[[side for side in range(4, SIZE) if side % 8 in (4, 5, 6)]] * 2)] = 1
    return label


def joined(label: np.ndarray, rng: np.random.Generator, place: int) -> np.ndarray:
    """Exact, but the gap between two objects is foreground, and fainter are some true pixels."""
    gap = ndimage.binary_closing(label, np.ones((1, 5))) & (label == 0)
    faint = ndimage.binary_dilation(label == 0, iterations=2) & (np.arange(SIZE) < 11) & (label > 0)
    return np.select([gap, faint], [0.7, 0.6], exact(label, rng, place))


def larger_speck(label: np.ndarray, rng: np.random.Generator, place: int) -> np.ndarray:
    """Exact, but for one false object that is larger than the true ones."""
    probability = exact(label, rng, place)
    probability[:4, 8 * place : 8 * place + 4] = 0.98
    return probability


def exact(label: np.ndarray, rng: np.random.Generator, place: int) -> np.ndarray:
    return np.where(label > 0, 0.98, 0.02)


def constant(value: float) -> Predict:
    return lambda label, rng, place: np.full(label.shape, value)


def noisy(noise: float, specks: int = 0, sure: float = 8.0, speck: float = 0.97) -> Predict:
    """Soft borders with noise, and small squares of one value."""

    def predict(label, rng, place):
        soft = ndimage.gaussian_filter(label.astype(float), 0.8) - 0.5
        probability = expit(sure * (soft + noise * rng.normal(size=label.shape) / 8))
        for _ in range(specks):
            row, column = rng.integers(0, SIZE - 3, 2)
            probability[row : row + 2, column : column + 3] = speck
        return probability

    return predict


@dataclass(frozen=True)
class Constructed:
    """What a results folder is made of.

    Attributes:
        runs: how each run predicts.
        share: of foreground in the labels, where ``label`` asks for it.
        label: makes each label.
        validation, test: number of images.
        empty: test images without any foreground.
        groups: of the test images; None: each is its own.
        method: ``decide.method``.
        objects: ``decide.objects``; for background the labels and the probabilities are inverse.
        val_loss: validation loss of each epoch; the training loss falls from 1 to 1/6.
    """

    runs: dict[str, Predict]
    share: float = 0.4
    label: Callable[[float, np.random.Generator], np.ndarray] = blobs
    validation: int = 4
    test: int = 6
    empty: int = 0
    groups: int | None = None
    method: str = "one_level"
    objects: ObjectName = "foreground"
    val_loss: list[float] = field(default_factory=lambda: [1, 0.7, 0.5, 0.4, 0.3, 0.3])


def write_results(folder: Path, made: Constructed) -> tuple[ReportInputs, dict]:
    """Write a results folder; returns the inputs of the report and the labels by id."""
    roles = ["train", *["validation"] * made.validation, *["test"] * made.test]
    ids = [f"{role[0]}{place}" for place, role in enumerate(roles)]
    rng = np.random.default_rng(len(roles))
    labels = {i: made.label(made.share, rng) for i in ids}
    if made.objects == "background":
        labels = {i: 1 - label for i, label in labels.items()}
    for i in ids[len(ids) - made.empty :]:
        labels[i][:] = 0
    _write_data(folder, labels, roles, rng)
    scored = {
        name: _write_run(folder / "runs" / name, labels, roles, predict, made)
        for name, predict in made.runs.items()
    }
    comparison = compare_runs(scored, [[name] for name in scored], smallest=0)
    write_csv(folder / "comparison.csv", comparison.table)
    write_csv(folder / "comparison_pairs.csv", comparison.pairs)
    return _inputs(folder, list(made.runs)), labels


def _write_data(folder: Path, labels: dict, roles: list[str], rng: np.random.Generator) -> None:
    rows: list[dict] = []
    for i, label in labels.items():
        paths = {kind: folder / "in" / kind / f"{i}.png" for kind in ("image", "label")}
        write_png(paths["label"], label > 0)
        write_png(paths["image"], rng.integers(0, 255, label.shape).astype(np.uint8))
        sums = {f"sha256_{kind}": sha256(path) for kind, path in paths.items()}
        rows.append({"id": i, **paths, **sums, "height": SIZE, "width": SIZE})
        rows[-1]["foreground"] = label.mean()
    manifest = pd.DataFrame(rows).assign(
        channels=1,
        dtype="uint8",
        label_maximum=255,
        label_foreground="255",
        label_ignored="none",
        ignored=0.0,
        role=None,
    )
    data = folder / "data"
    build_store(manifest, data / "images.npy", data / "labels.npy", data / "index.csv")
    write_csv(data / "manifest.csv", manifest)
    splits = pd.DataFrame({"id": list(labels), "role": roles})
    splits["fold"] = pd.array([0 if r == "validation" else None for r in roles], dtype="Int64")
    write_csv(data / "splits.csv", splits)
    write_json(data / "audit.json", {"warnings": []})
    write_json(data / "split.json", {"method": "block", "reason": "Named.", "warnings": []})


def _write_run(
    folder: Path, labels: dict, roles: list[str], predict: Predict, made: Constructed
) -> ScoredRun:
    rng = np.random.default_rng(1)
    ids = {role: [i for i, r in zip(labels, roles, strict=True) if r == role] for role in roles}
    probabilities = {
        i: _predict(predict, labels[i], rng, place, made.objects).astype(np.float16)
        for part in (ids["validation"], ids["test"])
        for place, i in enumerate(part)
    }
    run = SimpleNamespace(
        folds=[0],
        validation_ids=ids["validation"],
        test_ids=ids["test"],
        test=probabilities.__getitem__,
        validation_cases=lambda _: (
            Case(i, labels[i], probabilities[i]) for i in ids["validation"]
        ),
    )
    groups = dict(zip(run.validation_ids, run.validation_ids, strict=True))
    decision = decide_run(run, labels, groups, {}, "dice", made.method, made.objects, [4, 16, 64])
    pieces = find_specks(lambda: run.validation_cases(labels), decision)
    sums: list[dict] = []
    for i in run.test_ids:
        mask = apply_decision(probabilities[i], stored_decision(decision))
        write_png(folder / f"masks/{i}.png", mask)
        sums.append({"id": i, "sha256": sha256(folder / f"masks/{i}.png")})
        write_png(folder / f"probability/{i}.png", (255 * probabilities[i]).astype(np.uint8))
        write_png(folder / f"regions/{i}.png", region_picture(mask, made.objects))
    write_csv(folder / "masks.csv", pd.DataFrame(sums))
    masks = MaskFolder(folder / "masks", folder / "masks.csv")
    evaluation = evaluate_run(
        run,
        labels,
        masks,
        decision,
        {i: f"g{place % (made.groups or made.test)}" for place, i in enumerate(run.test_ids)},
        [{"seconds": 6.0}],
        [pd.DataFrame({"s": [1.0]})],
    )
    write_json(folder / "decision.json", decision)
    write_json(folder / "specks.json", {**diagnose(pieces, decision), "images": ids["validation"]})
    write_png(folder / "specks.png", np.zeros((20, 30), np.uint8))
    write_text(folder / "specks.svg", SPECK_DRAWING)
    write_csv(folder / "specks.csv", pieces)
    write_json(folder / "metrics.json", evaluation.metrics.contents())
    for name in ("per_image", "resamples", "reliability"):
        write_csv(folder / f"{name}.csv", getattr(evaluation, name))
    _write_training(folder / "fold0", made)
    files = ([folder / "fold0" / name] for name in ("model.keras", "training.json"))
    write_json(folder / "run.json", list_folds(*files))
    tables = (read_csv(folder / f"{name}.csv") for name in ("per_image", "resamples"))
    return ScoredRun(read_json(folder / "metrics.json"), *tables, pd.DataFrame())


def _predict(predict: Predict, label, rng, place: int, objects: ObjectName) -> np.ndarray:
    if objects == "background":
        return 1 - predict(1 - label, rng, place)
    return predict(label, rng, place)


def _write_training(folder: Path, made: Constructed) -> None:
    history = pd.DataFrame({"epoch": range(1, 7), "val_loss": made.val_loss})
    history = history.assign(loss=1 / history["epoch"], learning_rate=1e-3, seconds=1.0)
    write_csv(folder / "history.csv", history.assign(images_per_second=100.0))
    best = int(history["val_loss"].idxmin()) + 1
    training = {"settings": SETTINGS, "fold": 0, "precision": "float32", "device": "CPU"}
    training |= {"processors": 2, "commit": "0123abc"}
    training |= {"seconds": 6.0, "best_epoch": best, "val_loss": min(made.val_loss)}
    training |= {"preprocessing": PREPROCESSING, "xla": False, "patches": 240}
    write_json(folder / "training.json", training | {"parameters": 9, "versions": {"keras": "3"}})
    settings = {"patch": {"value": 128, "reason": "the typical object is 20 pixels long"}}
    plan = {"settings": settings, "auto": {}, "warnings": [], "needed_memory": 2**31}
    write_json(folder.parent / "plan.json", {**plan, "device": "processor"})
    (folder / "model.keras").write_bytes(b"is not read")
    np.save(folder / "augmented.npy", np.zeros((2, 8, 8, 2), np.uint8))


def _inputs(folder: Path, runs: list[str]) -> ReportInputs:
    data = folder / "data"

    def of_runs(name: str) -> list[Path]:
        return [folder / "runs" / run / name for run in runs]

    return ReportInputs(
        **{name: data / f"{name}.csv" for name in ("manifest", "index", "splits")},
        **{name: data / f"{name}.npy" for name in ("images", "labels")},
        audit=data / "audit.json",
        split=data / "split.json",
        comparison=folder / "comparison.csv",
        pairs=folder / "comparison_pairs.csv",
        plans=of_runs("plan.json"),
        history=of_runs("fold0/history.csv"),
        training=of_runs("fold0/training.json"),
        augmented=of_runs("fold0/augmented.npy"),
        decision=of_runs("decision.json"),
        folds=of_runs("run.json"),
        diagnosis=of_runs("specks.json"),
        specks=of_runs("specks.png"),
        speck_drawings=of_runs("specks.svg"),
        speck_tables=of_runs("specks.csv"),
        metrics=of_runs("metrics.json"),
        per_image=of_runs("per_image.csv"),
        reliability=of_runs("reliability.csv"),
        masks=of_runs("masks"),
        probability=of_runs("probability"),
        regions=of_runs("regions"),
        benchmarks=[],
    )


def read_mask(folder: Path, run: str, image_id: str) -> np.ndarray:
    return read_pixels(folder / f"runs/{run}/masks/{image_id}.png") > 0
