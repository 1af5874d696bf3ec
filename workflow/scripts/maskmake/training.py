"""Training of one network: the engine, its state on disk, the progress a person can follow."""

import hashlib
import json
import platform
import shutil
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from maskmake.arrays import PixelStore, open_images, open_labels
from maskmake.augmentation import augment
from maskmake.files import atomic, read_csv, read_json, write_csv, write_json
from maskmake.log import UserError, logger
from maskmake.losses import LOSSES
from maskmake.networks import build_network
from maskmake.sampling import FixedPatches, random_batches
from maskmake.settings import TrainSettings
from maskmake.splits import fold_ids

HISTORY_COLUMNS = ["epoch", "loss", "val_loss", "learning_rate", "images_per_second", "seconds"]


class Engine(keras.Model):
    """A network with augmentation and loss inside its compiled training step.

    Its input is a batch (B, H, W, C + 1) of raw pixel values whose last channel is the label, its
    output (B, H, W, 2): logits and the label as augmented. So image and label are changed
    together on the device, and the host only cuts patches.
    """

    def __init__(self, network: keras.Model, settings: TrainSettings, spread: list[float]):
        super().__init__()
        self.network = network
        self._settings = settings
        self._spread = np.asarray(spread, "float32")
        self._seeds = keras.random.SeedGenerator(settings.seed)
        self._loss = LOSSES[settings.loss]

    def call(self, batch, training=False):
        batch = ops.cast(batch, "float32")
        images, labels = batch[..., :-1], batch[..., -1:]
        if training:
            side = self._settings.patch
            fixed = (self._settings.batch, side, side)
            images = ops.reshape(images, (*fixed, images.shape[-1]))
            labels = ops.reshape(labels, (*fixed, 1))
            images, labels = augment(
                images, labels, self._settings.augmentation, self._spread, self._seeds
            )
        return ops.concatenate([self.network(images, training=training), labels], axis=-1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self._loss(y_pred[..., 1:] * self._settings.label_scale, y_pred[..., :1])


def normalization_of(settings: TrainSettings, plan: dict) -> dict[str, list[float]]:
    """Scale and offset for each channel, ``pixel * scale + offset``, from ``plan.json``."""
    channels = plan["channels"]
    if settings.normalization == "none":
        return {"scale": [1.0] * channels, "offset": [0.0] * channels}
    if settings.normalization == "unit":
        top = float(np.iinfo(plan["dtype"]).max)
        return {"scale": [1.0 / top] * channels, "offset": [0.0] * channels}
    mean, spread = np.array(plan["intensity"]["mean"]), spread_of(plan)
    return {"scale": (1 / spread).tolist(), "offset": (-mean / spread).tolist()}


def spread_of(plan: dict) -> np.ndarray:
    """Standard deviation of the pixel values for each channel; 1 where they are constant."""
    spread = np.array(plan["intensity"]["std"])
    return np.where(spread > 0, spread, 1.0)


def has_gpu() -> bool:
    """Whether the Keras backend sees a GPU."""
    return bool(keras.distribution.list_devices("gpu"))


def resolve_precision(precision: str) -> str:
    """``float32`` or ``bfloat16`` for ``auto``: bfloat16 where the machine multiplies in it."""
    if precision != "auto":
        return precision
    cpu_info = Path("/proc/cpuinfo")
    flags = cpu_info.read_text() if cpu_info.exists() else ""
    multiplies = has_gpu() or "amx_bf16" in flags or "avx512_bf16" in flags
    return "bfloat16" if multiplies else "float32"


def build_optimizer(settings: TrainSettings) -> keras.optimizers.Optimizer:
    """The optimiser with its learning rate schedule over all steps."""
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.steps * settings.epochs)
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.99, nesterov=True)
    return {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}[settings.optimizer](
        rate
    )


class State:
    """What a killed training needs to go on, in a folder of its own beside the outputs.

    The folder's name is a hash of settings, code and data, so it can never be resumed with
    others. Snakemake does not know the folder and leaves it alone when a job fails.
    """

    def __init__(self, folder: Path, key: dict):
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = folder / f".training-{digest}"
        self.best_model = self.folder / "best.keras"
        self._file = self.folder / "state.npz"

    def save(self, engine: Engine, history: list[dict]) -> None:
        """Write every variable and the history; the last state stays until this one is whole."""
        variables = [keras.ops.convert_to_numpy(v.value) for v in _variables(engine)]
        with atomic(self._file) as temporary, temporary.open("wb") as handle:
            np.savez(handle, *variables, history=json.dumps(history))

    def restore(self, engine: Engine) -> list[dict]:
        """Set every variable of the engine; the history of a new training is empty."""
        if not self._file.exists():
            return []
        with np.load(self._file) as saved:
            for i, variable in enumerate(_variables(engine)):
                variable.assign(saved[f"arr_{i}"])
            return json.loads(str(saved["history"]))

    def remove(self) -> None:
        """Forget it, once the outputs are written, and what was left under other settings."""
        for folder in self.folder.parent.glob(".training-*"):
            shutil.rmtree(folder)


def _variables(engine: Engine) -> list:
    return [*engine.network.variables, *engine.optimizer.variables, engine._seeds.state]


class Recorder(keras.callbacks.Callback):
    """At the end of each epoch: history, best model, state."""

    def __init__(self, state: State, history: list[dict], history_path: Path, images: int):
        super().__init__()
        self.history = history
        self._state, self._history_path, self._images = state, history_path, images

    @property
    def best(self) -> dict | None:
        """Row of the epoch with the lowest validation loss."""
        return min(self.history, key=lambda row: row["val_loss"], default=None)

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()
        self._trained = None

    def on_test_begin(self, logs=None):
        self._trained = time.perf_counter() - self._start

    def on_epoch_end(self, epoch, logs=None):
        for name, key in (("training", "loss"), ("validation", "val_loss")):
            if not np.isfinite(logs[key]):
                raise UserError(
                    f"epoch {epoch + 1}: the {name} loss is {logs[key]}; expected a finite number; "
                    "lower train.learning_rate or set train.normalization to standard."
                )
        best_so_far = self.best["val_loss"] if self.best else np.inf
        row = {
            "epoch": epoch + 1,
            "loss": logs["loss"],
            "val_loss": logs["val_loss"],
            "learning_rate": float(ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "images_per_second": self._images / self._trained,
            "seconds": time.perf_counter() - self._start,
        }
        self.history.append(row)
        if row["val_loss"] < best_so_far:
            with atomic(self._state.best_model) as temporary:
                # Keras takes the format from the suffix, and the temporary name keeps it.
                self.model.network.save(temporary)
        self._state.save(self.model, self.history)
        write_csv(self._history_path, pd.DataFrame(self.history, columns=HISTORY_COLUMNS))


class Progress(keras.callbacks.Callback):
    """A bar with epoch, loss, images per second and time left; one line an epoch in the log."""

    def __init__(self, settings: TrainSettings, first_epoch: int):
        super().__init__()
        self._settings = settings
        self._first_step = first_epoch * settings.steps

    def on_train_begin(self, logs=None):
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=self._settings.steps * self._settings.epochs,
            initial=self._first_step,
            unit="step",
            mininterval=0.5 if on_terminal else 30,
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {postfix} {elapsed}, {remaining} left",
            leave=on_terminal,
        )
        self._bar.set_description("training", refresh=False)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        seconds = time.perf_counter() - self._start
        speed = (batch + 1) * self._settings.batch / seconds
        self._bar.set_description(f"epoch {self._epoch}/{self._settings.epochs}", refresh=False)
        self._bar.set_postfix_str(f"loss {logs['loss']:.4f}, {speed:.1f} images/s,", refresh=False)
        self._bar.update(1)

    def on_epoch_end(self, epoch, logs=None):
        with tqdm.external_write_mode():
            logger.info(
                "epoch %d/%d: loss %.4f, validation loss %.4f",
                epoch + 1,
                self._settings.epochs,
                logs["loss"],
                logs["val_loss"],
            )

    def on_train_end(self, logs=None):
        self._bar.close()


def check_patch(settings: TrainSettings, images: PixelStore, ids: list[str]) -> None:
    """Refuse a patch that does not fit into every image it is cut from.

    Raises:
        UserError: naming the smallest image and the largest patch that fits.
    """
    smallest = min(ids, key=lambda image_id: min(images.shape(image_id)[:2]))
    height, width = images.shape(smallest)[:2]
    if min(height, width) >= settings.patch:
        return
    fits = min(height, width) // 32 * 32
    remedy = f"set train.patch to {fits} or less" if fits else "remove images this small"
    raise UserError(
        f"train.patch: {settings.patch} pixels, but image '{smallest}' is {width} x {height} "
        f"pixels; expected a patch that fits into every image; {remedy}."
    )


def train_fold(
    settings: TrainSettings,
    fold: int,
    code: str,
    inputs: dict[str, Path],
    outputs: dict[str, Path],
) -> None:
    """Train one network, or go on with a training that was killed.

    Args:
        settings: of the run.
        fold: its validation part is fold ``fold`` of ``splits.csv``.
        code: hash of the code, part of the name of the state's folder.
        inputs: paths ``images``, ``labels``, ``index``, ``splits``, ``plan``.
        outputs: paths ``model``, ``history``, ``training``.

    Raises:
        UserError: an image is smaller than a patch, or the loss is no finite number.
    """
    index, plan = read_csv(inputs["index"]), read_json(inputs["plan"])
    images = open_images(inputs["images"], index)
    labels = open_labels(inputs["labels"], index)
    roles = fold_ids(read_csv(inputs["splits"]), fold)
    check_patch(settings, images, roles.train + roles.validation)

    keras.utils.set_random_seed(settings.seed)
    precision = resolve_precision(settings.precision)
    normalization = normalization_of(settings, plan)
    network = build_network(
        settings.architecture,
        settings.encoder,
        settings.encoder_weights,
        plan["channels"],
        settings.patch,
        **normalization,
        precision=precision,
    )
    engine = Engine(network, settings, spread_of(plan))
    # XLA is four times faster on a GPU and slower than oneDNN's kernels on a processor.
    compiled_by_xla = has_gpu() or settings.backend == "jax"
    engine.compile(build_optimizer(settings), jit_compile=compiled_by_xla)
    engine.optimizer.build(network.trainable_variables)

    machine = [precision, "GPU" if has_gpu() else "CPU", keras.__version__]
    state = State(outputs["model"].parent, _state_key(settings, fold, [code, *machine], inputs))
    history = state.restore(engine)
    first_epoch = len(history)
    logger.info(
        "%s %s, %s, %s on %s, %d training and %d validation images",
        settings.architecture,
        settings.encoder,
        f"{network.count_params():,} parameters",
        precision,
        "GPU" if has_gpu() else "CPU",
        len(roles.train),
        len(roles.validation),
    )
    if first_epoch:
        logger.info("resuming after epoch %d of %d", first_epoch, settings.epochs)
    recorder = Recorder(state, history, outputs["history"], settings.steps * settings.batch)
    if first_epoch < settings.epochs:
        batches = random_batches(
            images,
            labels,
            roles.train,
            settings.patch,
            settings.batch,
            settings.seed,
            first_step=first_epoch * settings.steps,
        )
        engine.fit(
            ((batch,) for batch in batches),
            steps_per_epoch=settings.steps,
            initial_epoch=first_epoch,
            epochs=settings.epochs,
            validation_data=FixedPatches(
                images,
                labels,
                roles.validation,
                settings.patch,
                settings.batch,
                most=settings.steps * settings.batch,
            ),
            shuffle=False,  # the generator's order is already random
            callbacks=[recorder, Progress(settings, first_epoch)],
            verbose=0,
        )
    write_csv(outputs["history"], pd.DataFrame(recorder.history, columns=HISTORY_COLUMNS))
    write_json(
        outputs["training"],
        {
            "settings": asdict(settings),
            "fold": fold,
            "preprocessing": {
                "channels": plan["channels"],
                "dtype": plan["dtype"],
                **normalization,
            },
            "precision": precision,
            "device": "GPU" if has_gpu() else "CPU",
            "xla": compiled_by_xla,
            "parameters": network.count_params(),
            "patches": settings.steps * settings.batch * settings.epochs,
            "seconds": sum(row["seconds"] for row in recorder.history),
            "best_epoch": recorder.best["epoch"],
            "val_loss": recorder.best["val_loss"],
            "versions": {
                "python": platform.python_version(),
                "keras": keras.__version__,
                settings.backend: version(settings.backend),
            },
        },
    )
    with atomic(outputs["model"]) as temporary:
        shutil.copyfile(state.best_model, temporary)
    state.remove()


def _state_key(
    settings: TrainSettings, fold: int, program: list[str], inputs: dict[str, Path]
) -> dict:
    """What a saved state belongs to; the arrays count by size and time, since they are large."""
    arrays = [inputs[name].stat() for name in ("images", "labels")]
    texts = [inputs[name].read_text() for name in ("index", "splits", "plan")]
    return {
        "settings": asdict(settings),
        "fold": fold,
        "program": program,
        "arrays": [[stat.st_size, stat.st_mtime_ns] for stat in arrays],
        "texts": hashlib.sha256("\0".join(texts).encode()).hexdigest(),
    }
