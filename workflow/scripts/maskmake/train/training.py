"""Training of one network: the steps from the data of a fold to its model."""

import hashlib
import os
import platform
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal, cast

import keras
import numpy as np
from keras import ops

from maskmake.data.fingerprint import Plan, object_class_of, read_plan
from maskmake.data.labels import IGNORED
from maskmake.data.normalization import StoreMoments
from maskmake.data.object_class import ObjectName
from maskmake.data.pixel_store import PixelStore, open_images, open_labels
from maskmake.data.splits import FoldIds, fold_ids, fold_of_network
from maskmake.data.tables import read_index, read_splits
from maskmake.network.device import describe_device, device_kind, resolve_precision, uses_xla
from maskmake.network.memory import check_batch, explain_exhaustion, peak_memory
from maskmake.network.networks import save_network
from maskmake.network.settings import NetworkSettings, TrainingRecord, TrainSettings
from maskmake.runtime.files import writable_array, write_json
from maskmake.runtime.log import logger
from maskmake.runtime.version import commit
from maskmake.runtime.version import version as maskmake_version
from maskmake.train.augmentation import augment
from maskmake.train.border_weights import with_border_weights
from maskmake.train.callbacks import Curves, Progress, Recorder, Saver
from maskmake.train.checkpoints import State
from maskmake.train.collapse import CollapseWatch, preflight
from maskmake.train.duration import set_length, with_length
from maskmake.train.engine import WHOLE, Engine, build_engine, split_ignored
from maskmake.train.optimizers import exchange_averages
from maskmake.train.patches import FixedPatches, PatchSource, cut_ahead, random_batches
from maskmake.train.preprocessing import preprocessing_of, std_of

SAMPLES = 6  # augmented patches that are kept for the user to see


def train_fold(
    settings: TrainSettings,
    number: int,
    code: dict[str, str],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    tensorboard: bool = False,
    objects: str = "auto",
) -> None:
    """Train one network, or resume a training that was killed.

    Args:
        settings: of the run.
        number: of the network; its validation part is the fold that ``fold_of_network`` gives.
        code: hashes of the code, part of the name of the state's folder.
        inputs: paths ``images``, ``labels``, ``index``, ``splits``, ``plan``, and, for an encoder
            that starts from weights, ``encoder_weights``.
        outputs: paths ``model``, ``history``, ``training``, ``augmented``.
        tensorboard: whether to write event files to the folder ``tensorboard`` beside them.
        objects: ``decide.objects``, for the loss that weighs what lies between them.

    Raises:
        UserError: the images are not for the settings, an input is damaged, the weights do not fit
            the encoder, the batch does not fit into memory, ``train.minutes`` are too few, or the
            training collapses.
    """
    start = time.monotonic()
    index = read_index(inputs["index"])
    plan = read_plan(inputs["plan"], index)
    splits = read_splits(inputs["splits"], index)
    fold = fold_of_network(splits, number)
    stores = open_images(inputs["images"], index), open_labels(inputs["labels"], index)
    training, validation = _patch_sources(settings, stores, fold_ids(splits, fold), plan)
    precision, device = resolve_precision(settings.precision), describe_device()
    partial = training.partial or training.padded or validation.padded
    engine = build_engine(settings, plan, precision, partial, inputs.get("encoder_weights"))
    check_batch(engine.network, settings)
    logger.info(
        "%s %s, %s parameters, %s on %s, %d training and %d validation images",
        settings.architecture,
        settings.encoder,
        f"{engine.network.count_params():,}",
        precision,
        device,
        len(training.ids),
        len(validation.ids),
    )
    _write_augmented(outputs["augmented"], settings, training, std_of(settings, plan))
    program = [code, precision, device_kind(), keras.__version__, objects]
    state = State(outputs["model"].parent, _state_key(settings, fold, program, inputs))
    if settings.loss == "bce_borders":
        training, validation = _with_borders(
            training, validation, state.borders, object_class_of(objects, plan)
        )
    validation_patches = FixedPatches(
        validation, settings.batch, most=settings.steps * settings.batch
    )
    history = state.restore(engine)
    if not history:
        with explain_exhaustion(settings):
            if settings.guard:
                preflight(engine, settings, training)
            if settings.minutes is not None:
                batches = _random_batches(settings, training)
                set_length(engine, settings, batches, validation_patches, start)
    fitted = with_length(settings, engine.total_steps)
    if history:
        logger.info("resuming after epoch %d of %d", len(history), fitted.epochs)
    recorder = Recorder(fitted, history, outputs["history"])
    watchers: list[keras.callbacks.Callback] = [Saver(state, recorder)]
    if tensorboard:
        watchers.append(Curves(outputs["model"].with_name("tensorboard"), history))
    with explain_exhaustion(settings):
        _fit(engine, fitted, training, validation_patches, recorder, watchers)
    _log_early_stop(fitted, recorder)
    record = _record(fitted, fold, plan, precision, device, engine, recorder)
    write_json(outputs["training"], record)
    _keep_best(engine, settings, state, recorder, outputs["model"])


def _with_borders(
    training: PatchSource, validation: PatchSource, path: Path, objects: ObjectName
) -> tuple[PatchSource, PatchSource]:
    """The two with the border weights of their labels."""
    ids = training.ids + validation.ids
    labels = with_border_weights(training.labels, ids, path, objects)
    return replace(training, labels=labels), replace(validation, labels=labels)


def _patch_sources(
    settings: TrainSettings, stores: tuple[PixelStore, PixelStore], roles: FoldIds, plan: Plan
) -> tuple[PatchSource, PatchSource]:
    """What the training and the validation patches of a fold are cut from."""
    moments = StoreMoments(stores[0]) if settings.normalization == "image" else None
    training, validation = (
        PatchSource(*stores, ids, settings.patch, "ignored" in plan, moments)
        for ids in (roles.train, roles.validation)
    )
    return training, validation


def _record(
    settings: TrainSettings,
    fold: int,
    plan: Plan,
    precision: str,
    device: str,
    engine: Engine,
    recorder: Recorder,
) -> TrainingRecord:
    """The contents of ``training.json``."""
    best = recorder.best
    record: TrainingRecord = {
        "settings": cast(NetworkSettings, asdict(settings)),
        "fold": fold,
        "preprocessing": preprocessing_of(settings, plan),
        "precision": cast(Literal["float32", "bfloat16"], precision),
        "device": device,
        "processors": os.cpu_count() or 1,
        "xla": uses_xla(settings.backend),
        "parameters": engine.network.count_params(),
        "patches": settings.batch * engine.steps_done,
        "seconds": sum(row["seconds"] for row in recorder.history),
        "finished": datetime.now(UTC).date().isoformat(),
        "peak_memory": peak_memory(),
        "best_epoch": best["epoch"],
        "val_loss": best["val_loss"],
        "versions": {
            "maskmake": maskmake_version(),
            "python": platform.python_version(),
            "keras": keras.__version__,
            settings.backend: version(settings.backend),
        },
    }
    if known := commit():
        record["commit"] = known
    return record


def _keep_best(
    engine: Engine, settings: TrainSettings, state: State, recorder: Recorder, model: Path
) -> None:
    """Write the history and the network of the best epoch, then remove the state."""
    recorder.write_history()
    state.restore_best(engine, recorder.history)
    if settings.ema is not None:
        exchange_averages(engine.optimizer)
    save_network(engine.network, model)
    state.remove()


def _write_augmented(
    path: Path, settings: TrainSettings, source: PatchSource, std: np.ndarray
) -> None:
    """Keep a few patches as training sees them.

    ``path`` is (SAMPLES, patch, patch, C + 1) in the type of the patches, the last channel the
    label: 0, 1 or ``IGNORED``; values outside the range of an integer type are clipped.
    """
    patches = next(random_batches(source, SAMPLES, settings.seed))
    dtype = patches.dtype
    seeds = keras.random.SeedGenerator(settings.seed)
    with writable_array(path, patches.shape, dtype) as samples:
        for place, patch in enumerate(patches):
            batch = ops.cast(patch[None], "float32")
            changed = augment(
                batch[..., :-1],
                split_ignored(batch[..., -1:]),
                settings.augmentation,
                std.astype("float32"),
                seeds,
            )
            image, labels = (ops.convert_to_numpy(part)[0] for part in changed)
            label = np.where(labels[..., 1:] > WHOLE, labels[..., :1], IGNORED)
            sample = np.concatenate([image, label], axis=-1)
            if dtype.kind in "iu":
                sample = sample.round().clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
            samples[place] = sample


def _log_early_stop(settings: TrainSettings, recorder: Recorder) -> None:
    if len(recorder.history) < settings.epochs:
        logger.info(
            "stopped after epoch %d of %d: validation loss no lower than in epoch %d",
            len(recorder.history),
            settings.epochs,
            recorder.best["epoch"],
        )


def _random_batches(
    settings: TrainSettings, training: PatchSource, first_step: int = 0
) -> Iterator[np.ndarray]:
    return random_batches(
        training, settings.batch, settings.seed, settings.foreground_patches, first_step
    )


def _fit(
    engine: Engine,
    settings: TrainSettings,
    training: PatchSource,
    validation: FixedPatches,
    recorder: Recorder,
    watchers: list[keras.callbacks.Callback],
) -> None:
    """Train the epochs that the history does not have yet."""
    first_epoch = len(recorder.history)
    if first_epoch == settings.epochs or recorder.out_of_patience:
        return
    batches = _random_batches(settings, training, first_step=first_epoch * settings.steps)
    guards = [CollapseWatch(settings, recorder.history)] if settings.guard else []
    with closing(Progress(settings, recorder.history, len(validation))) as progress:
        engine.fit(
            ((batch,) for batch in cut_ahead(batches)),
            steps_per_epoch=settings.steps,
            initial_epoch=first_epoch,
            epochs=settings.epochs,
            validation_data=validation,
            shuffle=False,  # the generator's order is already random
            callbacks=[recorder, progress, *guards, *watchers],
            verbose=0,
        )


def _state_key(settings: TrainSettings, fold: int, program: list, inputs: dict[str, Path]) -> dict:
    """What a saved state belongs to; of the arrays, which are large, only size and time count."""
    arrays = [inputs[name].stat() for name in ("images", "labels")]
    texts = [inputs[name].read_text() for name in ("index", "splits", "plan")]
    return {
        "settings": asdict(settings),
        "fold": fold,
        "program": program,
        "arrays": [[stat.st_size, stat.st_mtime_ns] for stat in arrays],
        "texts": hashlib.sha256("\0".join(texts).encode()).hexdigest(),
    }
