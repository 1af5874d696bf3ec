"""The files of the earlier stages that the report reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from maskmake.data.pixel_store import PixelStore, open_images, open_labels
from maskmake.data.tables import (
    check_columns,
    check_ids,
    damaged,
    read_index,
    read_manifest,
    read_splits,
)
from maskmake.masks.decision import LearnedDecision, read_decision
from maskmake.masks.run_folds import check_fold_files
from maskmake.masks.specks import Specks
from maskmake.network.settings import TrainingRecord, read_training
from maskmake.plan.run_plan import RunPlan, read_run_plan
from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, sha256
from maskmake.scores.calibration import CALIBRATION_BINS, EXPECTED
from maskmake.scores.comparison import PAIR_COLUMNS, PAIRED_SCORES, SEPARATOR
from maskmake.scores.metrics_file import read_metrics
from maskmake.scores.scorecard import POOLED_SCORES, SCORES

# What sentences name of ``metrics.json``.
SHOWN_SCORES = ("images", "temperature", *POOLED_SCORES)
# What it reads of ``specks.json``.
SHOWN_OF_SPECKS = (
    "verdict",
    "components",
    "false",
    "cleaned_true",
    "free_thresholds",
    "causes",
    "by_cause",
    "by_size",
)


@dataclass(frozen=True)
class ReportInputs:
    """Paths of the files that the report reads; the rule ``report`` gives them the same names.

    Each of ``history`` and ``training`` lists the networks of the first run, then those of the
    second, and so on. ``plans`` and the fields from ``augmented`` to ``regions`` list one path a
    run.

    Attributes:
        audit, manifest: of ``validate``.
        images, labels, index: of ``binarize``.
        splits, split: ``splits.csv`` and ``split.json`` of ``split``.
        comparison, pairs: of ``compare``.
        plans: of ``plan_run``.
        history, training: of ``train_fold``.
        augmented: patches that the first fold of each run was trained on.
        decision, folds: ``decision.json`` and ``run.json`` of ``decide_run``.
        diagnosis, specks, speck_drawings, speck_tables: ``specks.json``, ``specks.png``,
            ``specks.svg`` and ``specks.csv`` of ``diagnose_run``.
        metrics, per_image, reliability: of ``evaluate_run``.
        masks, probability, regions: folders of ``mask_run`` with a picture of each test image.
        benchmarks: the time and memory of each stage, see ``tables.stage_table``.
    """

    audit: str
    manifest: str
    images: str
    labels: str
    index: str
    splits: str
    split: str
    comparison: str
    pairs: str
    plans: Sequence[str]
    history: Sequence[str]
    training: Sequence[str]
    augmented: Sequence[str]
    decision: Sequence[str]
    folds: Sequence[str]
    diagnosis: Sequence[str]
    specks: Sequence[str]
    speck_drawings: Sequence[str]
    speck_tables: Sequence[str]
    metrics: Sequence[str]
    per_image: Sequence[str]
    reliability: Sequence[str]
    masks: Sequence[str]
    probability: Sequence[str]
    regions: Sequence[str]
    benchmarks: Sequence[str]


class ReportOutputs(NamedTuple):
    """Paths of the page, its figures and ``images``, the folder with all test images.

    The rule ``report`` gives them the same names.
    """

    page: str
    images: str
    data: str
    augmented: str
    training: str
    threshold: str
    scores: str
    calibration: str
    examples: str


class Run(NamedTuple):
    """The results of one run.

    Attributes:
        name: of the run.
        histories, trainings: contents of ``history.csv`` and ``training.json`` of each fold.
        plan: contents of ``plan.json`` of the run.
        decision, specks, metrics, per_image, reliability: the files of these names.
        augmented: path of ``augmented.npy``.
        speck_picture, speck_drawing, speck_table: paths of ``specks.png``, ``specks.svg`` and
            ``specks.csv``.
        pictures: folders of the pictures of test images: ``masks``, ``probability``, ``regions``.
    """

    name: str
    histories: list[pd.DataFrame]
    trainings: list[TrainingRecord]
    plan: RunPlan
    decision: LearnedDecision
    specks: Specks
    metrics: dict
    per_image: pd.DataFrame
    reliability: pd.DataFrame
    augmented: str
    speck_picture: str
    speck_drawing: str
    speck_table: str
    pictures: dict[str, Path]


def read_data(inputs: ReportInputs) -> tuple[PixelStore, PixelStore, pd.DataFrame]:
    """Images, labels, and the manifest with the columns ``role`` and ``fold`` of the split.

    Raises:
        UserError: a file is damaged.
    """
    index = read_index(inputs.index)
    images, labels = open_images(inputs.images, index), open_labels(inputs.labels, index)
    manifest = read_manifest(inputs.manifest, inputs.audit).drop(columns="role")
    splits = read_splits(inputs.splits, index)
    return images, labels, manifest.merge(splits[["id", "role", "fold"]], on="id")


def read_runs(
    inputs: ReportInputs, names: Sequence[str], test_ids: Sequence[str]
) -> dict[str, Run]:
    """The results of each run, by its name.

    Args:
        inputs: the paths.
        names: of the runs, in the order of the paths.
        test_ids: the test images.

    Raises:
        UserError: a file is damaged, or does not belong to its run.
    """
    runs = {}
    for i, name in enumerate(names):
        training, history = (
            [path for path in paths if Path(inputs.folds[i]).parent in Path(path).parents]
            for paths in (inputs.training, inputs.history)
        )
        trainings = list(map(read_training, training))
        decision = read_decision(inputs.decision[i])
        check_fold_files(inputs.folds[i], training)
        runs[name] = Run(
            name=name,
            histories=list(map(_read_history, history, trainings)),
            trainings=trainings,
            plan=read_run_plan(inputs.plans[i]),
            decision=decision,
            specks=_read_specks(
                inputs.diagnosis[i],
                [inputs.specks[i], inputs.speck_drawings[i], inputs.speck_tables[i]],
            ),
            metrics=read_metrics(inputs.metrics[i], SHOWN_SCORES),
            per_image=_read_per_image(inputs.per_image[i], test_ids),
            reliability=_read_reliability(inputs.reliability[i]),
            augmented=inputs.augmented[i],
            speck_picture=inputs.specks[i],
            speck_drawing=inputs.speck_drawings[i],
            speck_table=inputs.speck_tables[i],
            pictures={
                "masks": Path(inputs.masks[i]),
                "probability": Path(inputs.probability[i]),
                "regions": Path(inputs.regions[i]),
            },
        )
    return runs


def read_comparison(
    inputs: ReportInputs, runs: Mapping[str, Run]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables ``comparison.csv``, indexed by run, and ``comparison_pairs.csv``.

    Raises:
        UserError: a table has other runs or scores than there are.
    """
    table, pairs = read_csv(inputs.comparison), read_csv(inputs.pairs)
    columns = dict.fromkeys(key for run in runs.values() for key in run.metrics)
    check_columns(inputs.comparison, table, ["run", *columns], "compare")
    check_columns(inputs.pairs, pairs, PAIR_COLUMNS, "compare")
    if sorted(table["run"]) != sorted(runs):
        raise damaged(inputs.comparison, "other runs than those that were scored", "compare")
    recipes = pd.concat([pairs["run"], pairs["other"]]).astype(str).str.split(SEPARATOR)
    if set(recipes.explode()) != (set(runs) if len(runs) > 1 else set()):
        raise damaged(inputs.pairs, "other runs than those of comparison.csv", "compare")
    for (run, other), rows in pairs.groupby(["run", "other"], sort=False):
        if rows["score"].tolist() != PAIRED_SCORES:
            raise damaged(inputs.pairs, f"not every score of {run} and {other} once", "compare")
    return table.set_index("run"), pairs


def labelled_pixels(table: pd.DataFrame) -> pd.Series:
    """How many pixels of each image of the manifest have a label."""
    return table["height"] * table["width"] * (1 - table["ignored"])


def _read_history(path: str, training: TrainingRecord) -> pd.DataFrame:
    history = read_csv(path)
    check_columns(path, history, ["epoch", "loss", "val_loss"], "train")
    settings = training["settings"]
    epochs = training["patches"] // (settings["steps"] * settings["batch"])
    if history["epoch"].tolist() != list(range(1, epochs + 1)):
        raise damaged(path, f"other epochs than the {epochs} of training.json", "train")
    return history


def _read_per_image(path: str, test_ids: Sequence[str]) -> pd.DataFrame:
    table = read_csv(path)
    check_columns(path, table, ["id", "group", *SCORES, *EXPECTED], "evaluate")
    check_ids(path, table, test_ids, "splits.csv", "evaluate")
    return table


def _read_reliability(path: str) -> pd.DataFrame:
    table = read_csv(path)
    if len(table) != 2 * CALIBRATION_BINS:
        raise damaged(path, f"{len(table)} rows instead of {2 * CALIBRATION_BINS}", "evaluate")
    return table


def _read_specks(path: str, beside: list[str]) -> Specks:
    """The numbers, once the files beside them are those that were written with them."""
    specks: Specks = read_document(path, Specks, [])
    if "by_cause" not in specks:
        raise UserError(
            f"{path}: found the file of an earlier version, without the numbers of each cause; "
            "expected by_cause; add -R diagnose_run to the command once."
        )
    read_document(path, Specks, SHOWN_OF_SPECKS)
    if any(count and cause not in specks["by_cause"] for cause, count in specks["causes"].items()):
        raise damaged(path, "no numbers of a cause that it counts", "diagnose")
    sums = specks.get("sha256", {})  # not in older files
    for file in beside:
        if sums.get(Path(file).name, sha256(file)) != sha256(file):
            raise damaged(file, "other bytes (SHA-256) than specks.json has", "diagnose")
    return specks
