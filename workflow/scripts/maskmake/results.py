"""The files that the earlier stages left for the report."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from maskmake.arrays import PixelStore, open_images, open_labels
from maskmake.files import read_csv, read_json


class Run(NamedTuple):
    """What one run left behind; ``histories`` and ``trainings`` hold one entry a fold."""

    name: str
    histories: list[pd.DataFrame]
    trainings: list[dict]
    decision: dict
    specks: dict
    metrics: dict
    per_image: pd.DataFrame
    reliability: pd.DataFrame


def read_data(results: Path) -> tuple[PixelStore, PixelStore, pd.DataFrame]:
    """Images, labels, and the manifest with the columns ``role`` and ``fold`` of the split."""
    index = read_csv(results / "data/index.csv")
    images = open_images(results / "data/images.npy", index)
    labels = open_labels(results / "data/labels.npy", index)
    manifest = read_csv(results / "data/manifest.csv").drop(columns="role")
    splits = read_csv(results / "data/splits.csv")
    return images, labels, manifest.merge(splits[["id", "role", "fold"]], on="id")


def read_run(results: Path, name: str) -> Run:
    """Read the files of a run in ``results/<dataset>``."""
    folder = results / "runs" / name
    # By number, since fold10 sorts before fold2 as text.
    folds = sorted(folder.glob("fold*"), key=lambda path: int(path.name.removeprefix("fold")))
    return Run(
        name,
        [read_csv(fold / "history.csv") for fold in folds],
        [read_json(fold / "training.json") for fold in folds],
        read_json(folder / "decision.json"),
        read_json(folder / "specks.json"),
        read_json(folder / "metrics.json"),
        read_csv(folder / "per_image.csv"),
        read_csv(folder / "reliability.csv"),
    )
