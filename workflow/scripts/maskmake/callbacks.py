"""What happens beside a training: its history, its best model, its state, its progress."""

import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from maskmake.checkpoints import State
from maskmake.files import atomic, write_csv
from maskmake.log import UserError, logger
from maskmake.optimizers import exchange_averages
from maskmake.settings import TrainSettings

HISTORY_COLUMNS = ["epoch", "loss", "val_loss", "learning_rate", "images_per_second", "seconds"]


class Recorder(keras.callbacks.Callback):
    """At the end of each epoch: history, best model, state, and whether to stop early.

    Where weights are averaged, the network holds the averages from the validation on until its
    best model is saved; training goes on with the raw weights, and the state has both.
    """

    def __init__(
        self, settings: TrainSettings, state: State, history: list[dict], history_path: Path
    ):
        super().__init__()
        self.history = history
        self._settings, self._state, self._history_path = settings, state, history_path

    @property
    def best(self) -> dict | None:
        """Row of the epoch with the lowest validation loss."""
        return min(self.history, key=lambda row: row["val_loss"], default=None)

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation loss has not been lower for the epochs of ``train.patience``."""
        patience = self._settings.patience
        if patience is None or not self.history:
            return False
        return len(self.history) - self.best["epoch"] >= patience

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()
        self._trained = None

    def on_test_begin(self, logs=None):
        self._trained = time.perf_counter() - self._start
        if self._settings.ema is not None:
            exchange_averages(self.model.optimizer)

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
            "images_per_second": self._settings.steps * self._settings.batch / self._trained,
            "seconds": time.perf_counter() - self._start,
        }
        self.history.append(row)
        if row["val_loss"] < best_so_far:
            with atomic(self._state.best_model) as temporary:
                # Keras takes the format from the suffix, and the temporary name keeps it.
                self.model.network.save(temporary)
        if self._settings.ema is not None:
            exchange_averages(self.model.optimizer)
        self._state.save(self.model, self.history)
        self.write_history()
        self.model.stop_training = self.out_of_patience

    def write_history(self) -> None:
        """Write ``history.csv`` as far as it goes."""
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
