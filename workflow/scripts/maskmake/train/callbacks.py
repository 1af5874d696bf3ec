"""What happens during a training: its history, its state, its progress."""

import shutil
import sys
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from maskmake.network.device import device_kind
from maskmake.network.settings import TrainSettings
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_csv
from maskmake.runtime.log import logger
from maskmake.runtime.pulse import step
from maskmake.train.checkpoints import State, best_row
from maskmake.train.optimizers import exchange_averages

# Accuracy at probability 0.5, share of foreground, and correlation of probability and label.
PIXEL_COLUMNS = ["accuracy", "correlation", "val_accuracy", "val_correlation", "val_foreground"]
HISTORY_COLUMNS = [
    "epoch",
    "loss",
    "val_loss",
    *PIXEL_COLUMNS,
    "learning_rate",
    "images_per_second",
    "seconds",
]
VALIDATION_SHARE = 1 / 3  # of the time of a step, for a batch without gradients and their update
LONG = 30 * 60  # seconds of a training, beyond which the log names the ways to less


def check_finite(epoch: int, name: str, loss: float) -> None:
    """Refuse a loss from which training cannot recover.

    Raises:
        UserError: with what usually helps.
    """
    if not np.isfinite(loss):
        raise UserError(
            f"epoch {epoch}: the {name} loss is {loss}; expected a finite number; lower "
            "train.learning_rate or set train.normalization to standard."
        )


class Recorder(keras.callbacks.Callback):
    """At the end of each epoch: its row of the history, and whether to stop early.

    Where weights are averaged, the network holds the averages while it is validated; training
    goes on with the raw weights.
    """

    def __init__(self, settings: TrainSettings, history: list[dict], history_path: Path):
        super().__init__()
        self.history = history
        self._settings, self._history_path = settings, history_path

    @property
    def best(self) -> dict:
        """Row of the epoch with the lowest validation loss, after the first epoch."""
        return best_row(self.history)

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

    def on_test_end(self, logs=None):
        if self._settings.ema is not None:
            exchange_averages(self.model.optimizer)

    def on_epoch_end(self, epoch, logs=None):
        for name, key in (("training", "loss"), ("validation", "val_loss")):
            check_finite(epoch + 1, name, logs[key])
        row = {
            "epoch": epoch + 1,
            "loss": logs["loss"],
            "val_loss": logs["val_loss"],
            **{name: float(logs[name]) for name in PIXEL_COLUMNS},
            "learning_rate": float(ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "images_per_second": self._settings.steps * self._settings.batch / self._trained,
            "seconds": time.perf_counter() - self._start,
        }
        self.history.append(row)
        self.model.stop_training = self.out_of_patience

    def write_history(self) -> None:
        """Write the epochs so far to ``history.csv``."""
        write_csv(self._history_path, pd.DataFrame(self.history, columns=HISTORY_COLUMNS))


class Saver(keras.callbacks.Callback):
    """At the end of each epoch: the files of its state and of the history.

    Its place is behind the guard. So an epoch that the guard refuses has no state, and the next
    attempt trains it again and is refused, too.

    Args:
        state: of the training.
        recorder: whose history has the epoch already.
    """

    def __init__(self, state: State, recorder: Recorder):
        super().__init__()
        self._state, self._recorder = state, recorder

    def on_epoch_end(self, epoch, logs=None):
        self._state.save(self.model, self._recorder.history)
        self._recorder.write_history()


def end_time(seconds: float, now: datetime | None = None) -> str:
    """The time by the clock, and how long it is until then, such as ``14:35 (in 25 min)``."""
    now = now or datetime.now()
    end = now + timedelta(seconds=seconds)
    day = "" if end.date() == now.date() else f"{end:%a %d %b} "
    minutes = round(seconds / 60)
    length = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"{day}{end:%H:%M} (in {length if minutes else 'less than a minute'})"


class Progress(keras.callbacks.Callback):
    """A live bar on a terminal; in the log, a line for each epoch, and words for more of them.

    At the second step, a line says when the training will end. A training whose loss is not a
    finite number ends at once, not at the end of the epoch.

    Args:
        settings: of the run.
        history: rows of the epochs so far; at the end of an epoch it must include that epoch.
        validation_batches: of each validation.
    """

    # Keras then calls it from other threads, so training never waits for a loss to be read.
    async_safe = True

    def __init__(self, settings: TrainSettings, history: list[dict], validation_batches: int):
        super().__init__()
        self._settings, self._history = settings, history
        self._validation_batches = validation_batches
        self._total = settings.steps * settings.epochs
        self._step = self._first_step = len(history) * settings.steps
        self._lock = threading.Lock()
        self._start: float | None = None
        self._bar = tqdm(
            total=self._total,
            initial=self._step,
            unit="step",
            mininterval=0.5,
            bar_format="{percentage:3.0f}%|{bar:20}| {elapsed} {desc}",
            disable=not sys.stderr.isatty(),
        )
        self._say("compiling the first step")
        self._shown = ExitStack()
        self._shown.enter_context(step(self._bar, lambda: self._words))

    def close(self) -> None:
        """Stop the bar where it is."""
        self._shown.close()
        self._bar.close()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._epoch_start = epoch + 1, None

    def on_test_begin(self, logs=None):
        self._say_validated(0)

    def on_test_batch_end(self, batch, logs=None):
        self._say_validated(batch + 1)

    def on_test_end(self, logs=None):
        self._say(f"{self._name()}: saving")

    def _say_validated(self, done: int) -> None:
        self._say(f"{self._name()}, validation: {done} of {self._validation_batches} batches")

    def _say(self, words: str) -> None:
        self._words = words
        self._bar.set_description_str(words)

    def on_train_batch_end(self, batch, logs=None):
        with self._lock:
            check_finite(self._epoch, "training", logs["loss"])
            self._step += 1
            now = time.perf_counter()
            # The first step includes the compilation, so its time says nothing about the others.
            if self._start is None:
                self._start, self._first_step = now, self._step
            elif self._step == self._first_step + 1:
                self._log_end(now - self._start)
            if self._epoch_start is None:
                self._epoch_start, self._epoch_first_step = now, self._step
            text = self._text(logs["loss"], now)
            self._bar.set_description_str(f"{self._name()}: {text}", refresh=False)
            self._bar.update(1)
            done = self._step - (self._epoch - 1) * self._settings.steps
            self._words = f"{self._name()}, step {done}/{self._settings.steps}: {text}"

    def on_epoch_end(self, epoch, logs=None):
        row = self._history[-1]
        logger.info(
            "%s",
            f"{self._name()}: loss {row['loss']:.4f}, validation loss {row['val_loss']:.4f}"
            f"{' (lowest)' if row is best_row(self._history) else ''}, "
            f"{row['images_per_second']:.1f} images/s, {tqdm.format_interval(row['seconds'])}, "
            f"{self._time_left(time.perf_counter())} left",
        )

    def _name(self) -> str:
        return f"epoch {self._epoch}/{self._settings.epochs}"

    def _text(self, loss: float, now: float) -> str:
        steps = self._step - self._epoch_first_step
        if not steps:
            return f"loss {loss:.4f}"
        speed = steps * self._settings.batch / (now - self._epoch_start)
        return f"loss {loss:.4f}, {speed:.1f} images/s, {self._time_left(now)} left"

    def _time_left(self, now: float) -> str:
        """From the mean time of a step, validation and saving included."""
        done = self._step - self._first_step
        if self._start is None or not done:
            return "?"
        return tqdm.format_interval((self._total - self._step) * (now - self._start) / done)

    def _log_end(self, step_seconds: float) -> None:
        """Say when the training will end, by the time of its second step."""
        validations = self._settings.epochs - len(self._history)
        batches = VALIDATION_SHARE * validations * self._validation_batches
        seconds = step_seconds * (self._total - self._step + batches)
        advice = ""
        if seconds > LONG and self._settings.minutes is None:
            gpu = ", or a GPU" if device_kind() == "CPU" else ""
            advice = (
                "; for less time: train.minutes, fewer train.steps, a smaller train.encoder" + gpu
            )
        logger.info("%s", f"the training will end at about {end_time(seconds)}{advice}")


class Curves(keras.callbacks.Callback):
    """Event files for TensorBoard, a point an epoch; training and validation loss share a chart.

    They are written again from the history, so that a resumed training shows each epoch once.

    Args:
        folder: of the files; an older one is replaced.
        history: rows of the epochs so far; at the end of an epoch it must include that epoch.
    """

    def __init__(self, folder: Path, history: list[dict]):
        super().__init__()
        from tensorboardX.event_file_writer import EventsWriter  # few trainings use it

        self._history = history
        if folder.exists():
            shutil.rmtree(folder)
        self._writers = {}
        for name in ("train", "validation"):
            (folder / name).mkdir(parents=True)
            self._writers[name] = EventsWriter(str(folder / name / "events"))
        self._write(history)

    def on_epoch_end(self, epoch, logs=None):
        self._write(self._history[-1:])

    def _write(self, rows: list[dict]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for row in rows:
            for column, value in row.items():
                writer = self._writers["validation" if column.startswith("val_") else "train"]
                summary = scalar(column.removeprefix("val_"), value)
                writer.write_event(Event(step=row["epoch"], wall_time=time.time(), summary=summary))
        for writer in self._writers.values():
            writer.flush()
