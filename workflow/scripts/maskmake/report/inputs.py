"""The files of the earlier stages that the report reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from maskmake.data.pixel_store import PixelStore, open_images, open_labels
from maskmake.network.settings import TrainingRecord
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, read_json


@dataclass(frozen=True)
class ReportInputs:
    """Paths of the files that the report reads; the rule ``report`` gives them the same names.

    Each of ``history`` and ``training`` lists the folds of the first run, then those of the
    second, and so on. The other fields from ``augmented`` to ``regions`` list one path a run.

    Attributes:
        audit, manifest: of ``validate``.
        images, labels, index: of ``binarize``.
        splits: of ``split``.
        comparison, pairs: of ``compare``.
        history, training: of ``train_fold``.
        augmented: patches that the first fold of each run was trained on.
        decision: of ``decide_run``.
        diagnosis, specks: ``specks.json`` and ``specks.png`` of ``diagnose_run``.
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
    comparison: str
    pairs: str
    history: Sequence[str]
    training: Sequence[str]
    augmented: Sequence[str]
    decision: Sequence[str]
    diagnosis: Sequence[str]
    specks: Sequence[str]
    metrics: Sequence[str]
    per_image: Sequence[str]
    reliability: Sequence[str]
    masks: Sequence[str]
    probability: Sequence[str]
    regions: Sequence[str]
    benchmarks: Sequence[str]


class ReportOutputs(NamedTuple):
    """Paths of the page and of its figures; the rule ``report`` gives them the same names."""

    page: str
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
        decision, specks, metrics, per_image, reliability: the files of these names.
        augmented, speck_picture: paths of ``augmented.npy`` and ``specks.png``.
        pictures: folders of the pictures of test images: ``masks``, ``probability``, ``regions``.
    """

    name: str
    histories: list[pd.DataFrame]
    trainings: list[TrainingRecord]
    decision: dict
    specks: dict
    metrics: dict
    per_image: pd.DataFrame
    reliability: pd.DataFrame
    augmented: str
    speck_picture: str
    pictures: dict[str, Path]


def read_data(inputs: ReportInputs) -> tuple[PixelStore, PixelStore, pd.DataFrame]:
    """Images, labels, and the manifest with the columns ``role`` and ``fold`` of the split."""
    index = read_csv(inputs.index)
    images, labels = open_images(inputs.images, index), open_labels(inputs.labels, index)
    manifest = read_csv(inputs.manifest).drop(columns="role")
    splits = read_csv(inputs.splits)
    return images, labels, manifest.merge(splits[["id", "role", "fold"]], on="id")


def read_runs(inputs: ReportInputs, names: Sequence[str]) -> dict[str, Run]:
    """The results of each run, by its name.

    Args:
        inputs: the paths.
        names: of the runs, in the order of the paths.
    """
    folds = len(inputs.history) // len(names)
    return {
        name: Run(
            name=name,
            histories=[read_csv(path) for path in inputs.history[i * folds : (i + 1) * folds]],
            trainings=[read_json(path) for path in inputs.training[i * folds : (i + 1) * folds]],
            decision=read_json(inputs.decision[i]),
            specks=_read_specks(inputs.diagnosis[i]),
            metrics=read_json(inputs.metrics[i]),
            per_image=read_csv(inputs.per_image[i]),
            reliability=read_csv(inputs.reliability[i]),
            augmented=inputs.augmented[i],
            speck_picture=inputs.specks[i],
            pictures={
                "masks": Path(inputs.masks[i]),
                "probability": Path(inputs.probability[i]),
                "regions": Path(inputs.regions[i]),
            },
        )
        for i, name in enumerate(names)
    }


def _read_specks(path: str) -> dict:
    specks = read_json(path)
    if "by_cause" not in specks:
        raise UserError(
            f"{path}: found the file of an earlier version, without the numbers of each cause; "
            "expected by_cause; add -R diagnose_run to the command once."
        )
    return specks
