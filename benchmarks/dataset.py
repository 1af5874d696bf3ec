"""A synthetic data set for the benchmarks, with the files of the steps before the training."""

import shutil
from dataclasses import fields
from pathlib import Path

import pandas as pd
import yaml

from maskmake.data.fingerprint import fingerprint
from maskmake.data.pixel_store import build_store, open_images, open_labels
from maskmake.data.splits import split_images
from maskmake.data.synthesis import write_dataset
from maskmake.network.settings import TrainSettings
from maskmake.runtime.files import read_csv, sha256, write_csv, write_json
from maskmake.snakefile.config import resolve

SCHEMA = Path(__file__).parents[1] / "workflow" / "schemas" / "config.schema.yaml"
INPUTS = {"images": "npy", "labels": "npy", "index": "csv", "splits": "csv", "plan": "json"}


def write_set(folder: Path, count: int, size: int, drawn: int = 20) -> None:
    """Write the PNG files and what ``input_paths`` lists.

    Args:
        folder: gets ``image/*.png`` and ``label/*.png`` and the files of the steps.
        count: images of the set.
        size: their height and width in pixels.
        drawn: images that are drawn and written; the set repeats them under other ids.
    """
    drawn = min(count, drawn)
    write_dataset(folder / "image", folder / "label", drawn, size, seed=1)
    ids = [f"{number:06d}" for number in range(count)]
    manifest = pd.DataFrame({"id": ids, "group": ids, "role": "", "height": size, "width": size})
    manifest = manifest.assign(
        channels=1,
        dtype="uint8",
        label_maximum=255,
        label_foreground="255",
        label_ignored="none",
        foreground=0.5,
        ignored=0.0,
    )
    for kind in ("image", "label"):
        paths = sorted(map(str, (folder / kind).glob("*.png")))
        manifest[kind] = [paths[number % drawn] for number in range(count)]
        manifest[f"sha256_{kind}"] = [sha256(path) for path in manifest[kind]]
    inputs = input_paths(folder)
    build_store(manifest, inputs["images"], inputs["labels"], inputs["index"])
    splits = split_images(manifest, "block", test=0.1, validation=0.1, folds=1, seed=1)
    write_csv(inputs["splits"], splits)
    index, splits = read_csv(inputs["index"]), read_csv(inputs["splits"])
    images, labels = open_images(inputs["images"], index), open_labels(inputs["labels"], index)
    write_json(inputs["plan"], fingerprint(index, splits, images, labels))


def repeat_files(folder: Path, count: int) -> None:
    """Copy the PNG files of a set under other names until there are so many of each kind."""
    for kind in ("image", "label"):
        files = sorted((folder / kind).glob("*.png"))
        for number in range(len(files), count):
            shutil.copy(files[number % len(files)], folder / kind / f"copy{number:03d}.png")


def input_paths(folder: Path) -> dict[str, Path]:
    """The inputs of ``train_fold``, by name."""
    return {name: folder / f"{name}.{suffix}" for name, suffix in INPUTS.items()}


# As long as trainings were before a plan chose their settings.
FIXED = {"patch": 256, "batch": 8, "steps": 200, "epochs": 20, "foreground_patches": 0}
FIXED |= {"normalization": "standard", "augmentation": "default", "deep_supervision": False}


def train_settings(**changes) -> TrainSettings:
    """The default settings of a training, some of them changed."""
    schema = yaml.safe_load(SCHEMA.read_text())
    dataset = {"images": "images", "labels": "labels"}
    config = {"dataset": dataset, "train": {**FIXED, **changes}}
    section = resolve(config, schema)["train"]
    names = {field.name for field in fields(TrainSettings)}
    # The other keys of the section say where to train, not how.
    return TrainSettings.from_section({key: section[key] for key in section.keys() & names})
