"""Writing a package: a folder with a trained run, its network as ONNX, and what describes it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import yaml
from scipy.special import expit

from maskmake.data.fingerprint import Plan, read_plan
from maskmake.data.pixel_store import open_images
from maskmake.data.tables import read_index, read_splits
from maskmake.export.agreement import CLOSE, largest_allowed
from maskmake.export.crate import METADATA, Making, crate
from maskmake.export.description import ExportSettings, allowed_name, describe
from maskmake.export.model_card import about, model_card
from maskmake.export.onnx_file import mean_network, write_onnx
from maskmake.export.packaged import PackagedModel
from maskmake.export.sample import Sample, square, write_array, write_sample
from maskmake.masks.decision import read_decision
from maskmake.masks.run_folds import check_fold_files
from maskmake.network.networks import save_network
from maskmake.network.package_file import PREPROCESSING
from maskmake.network.saved_networks import load_network
from maskmake.network.settings import TrainingRecord
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import atomic_folder, sha256, write_json, write_text
from maskmake.runtime.log import logger
from maskmake.runtime.sums import write_sums
from maskmake.scores.metrics_file import read_metrics

BOUND = "PSPNet"  # the architecture whose networks take images of one size only


@dataclass(frozen=True)
class ExportInputs:
    """Paths of what a package is made of.

    Attributes:
        run: ``run.json``.
        decision: ``decision.json``.
        models, trainings: ``model.keras`` and ``training.json`` of each fold.
        metrics: ``metrics.json``.
        plan, images, index, splits: of the data set.
    """

    run: Path
    decision: Path
    models: list[Path]
    trainings: list[Path]
    metrics: Path
    plan: Path
    images: Path
    index: Path
    splits: Path

    @classmethod
    def of(cls, files: Mapping[str, str | list[str]]) -> "ExportInputs":
        """Those of a rule, by the names above."""
        paths: dict[str, Any] = {
            name: Path(file) if isinstance(file, str) else [Path(each) for each in file]
            for name, file in files.items()
        }
        return cls(**paths)


def write_package(
    inputs: ExportInputs,
    settings: ExportSettings,
    predict: Mapping[str, Any],
    name: str,
    out: Path,
) -> None:
    """Write the package of a run.

    Args:
        inputs: files of the run and its data set.
        settings: section ``export``.
        predict: section ``predict``, by which the package predicts.
        name: of the data set and the run, from which the model is named where ``export.name`` is
            null.
        out: the folder, which is not there yet or empty; it appears once it is whole.

    Raises:
        UserError: a file is damaged, the network has an operation that ONNX lacks, or
            ``export.sample`` is no image.
    """
    started = datetime.now(UTC)
    index = read_index(inputs.index)
    plan = read_plan(inputs.plan, index)
    check_fold_files(inputs.run, inputs.trainings, inputs.models)
    image = _sample_image(inputs, settings["sample"], index)
    with atomic_folder(out) as part:
        trainings = _write_networks(inputs, part)
        write_json(
            part / PREPROCESSING,
            {**trainings[0]["preprocessing"], "predict": dict(predict)},
        )
        _write_samples(part, square(image, _bound_side(trainings[0])))
        model_name = settings["name"] or allowed_name(name)
        making = Making(trainings, len(index), sha256(inputs.index), predict, started)
        _write_words(part, inputs, settings, model_name, making, plan)
        write_sums(part)
    logger.info("The package of %d files: %s", sum(path.is_file() for path in out.rglob("*")), out)


def _bound_side(training: TrainingRecord) -> int | None:
    """Side in pixels of the only images that a network takes; None if it takes any."""
    settings = training["settings"]
    return settings["patch"] if settings["architecture"] == BOUND else None


def _sample_image(inputs: ExportInputs, sample: str | None, index: pd.DataFrame) -> np.ndarray:
    images = open_images(inputs.images, index)
    splits = read_splits(inputs.splits, index)
    tests = splits.loc[splits["role"] == "test", "id"].tolist()
    chosen = sample or next(iter(tests), images.ids[0])
    if chosen not in images.ids:
        raise UserError(
            f"export.sample: found {chosen!r}, which is no id of an image; expected one of "
            "index.csv, such as a test image; set it to null for the first test image."
        )
    return images[chosen]


def _write_networks(inputs: ExportInputs, part: Path) -> list[TrainingRecord]:
    """Write the folds as they are, and the mean of their networks in float32 in two formats."""
    networks, trainings = [], []
    for model, training in zip(inputs.models, inputs.trainings, strict=True):
        fold = part / model.parent.name
        fold.mkdir(parents=True)
        shutil.copyfile(model, fold / "model.keras")
        shutil.copyfile(training, fold / "training.json")
        network, record = load_network(fold, "float32")
        networks.append(network)
        trainings.append(record)
    shutil.copyfile(inputs.run, part / "run.json")
    shutil.copyfile(inputs.decision, part / "decision.json")
    write_onnx(networks, part / "model.onnx")  # first, since it may refuse the networks
    save_network(mean_network(networks), part / "model.keras")
    return trainings


def _write_samples(part: Path, pixels: np.ndarray) -> None:
    """Write the samples, which are what ONNX gives; Keras has to give the same."""
    packaged = PackagedModel(part, checked=False)
    tile = packaged.tile(pixels)
    given = packaged.normalized(tile)
    network = keras.models.load_model(part / "model.keras")
    expected, logits = network.predict_on_batch(given), packaged.logits(given)
    if logits.shape != expected.shape:
        raise UserError(
            f"export: the ONNX graph of {network.name} gives the shape {logits.shape}; expected "
            f"{expected.shape}, as Keras gives; train with another encoder."
        )
    probability = expit(logits)
    difference = np.abs(expit(expected) - probability).max()
    if not difference < CLOSE:
        allowed = largest_allowed(network, given, expected)
        if not difference < allowed:
            raise UserError(
                f"export: the ONNX graph of {network.name} differs from Keras by {difference:.2g} "
                f"in probability; expected less than {allowed:.2g}; train with another encoder."
            )
        logger.warning("float32 rounds much in this network: up to %.1g is allowed", allowed)
    logger.info("ONNX and Keras differ by %.1g in probability at most", difference)
    write_sample(Sample(pixels, *reversed(packaged.predict_selected(pixels))), part)
    write_array(part / "sample" / "input.npy", tile)
    write_array(part / "sample" / "output.npy", probability)


def _write_words(
    part: Path,
    inputs: ExportInputs,
    settings: ExportSettings,
    name: str,
    making: Making,
    plan: Plan,
) -> None:
    """Write the model card, the description and the record of the making."""
    trainings = making.trainings
    text = settings["description"] or about(trainings, plan)
    decision = read_decision(inputs.decision, any_version=True)
    metrics = read_metrics(inputs.metrics, ["images"])
    card = model_card(name, text, settings, trainings, plan, decision, metrics)
    write_text(part / "README.md", card)
    described = describe(part, settings, name, text, trainings[0], _bound_side(trainings[0]))
    write_text(part / "rdf.yaml", yaml.safe_dump(described, sort_keys=False, allow_unicode=True))
    write_json(part / METADATA, crate(part, settings, name, text, making))
