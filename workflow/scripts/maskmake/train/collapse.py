"""The collapse guard: it stops a training that learns nothing and names the cause."""

import itertools

import keras
import numpy as np
from keras import ops

from maskmake.data.labels import is_background
from maskmake.network.settings import TrainSettings
from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger
from maskmake.train.checkpoints import unchanged
from maskmake.train.patches import ChosenPixels, PatchSource, random_batches

# The pre-flight: steps of a round, the most rounds, and how many batches one is chosen from.
ROUND_STEPS = 10
ROUNDS = 10
CANDIDATES = 16

# Correlations of probability and label. After the first ten steps of a pre-flight they are 0.5 to
# 0.7 on electron micrographs, fluorescent nuclei and myelin; with a rate 10,000 times too high they
# stay within 0.01 of 0.
LEARNED = 0.3
UNRELATED = 0.1

ONE_CLASS = 0.001  # share of pixels of the other class that counts as none
STUCK_STEPS = 200
OPPOSITE_EPOCHS = 2


class PixelStatistics(keras.metrics.Metric):
    """How well probabilities agree with labels, over all labelled pixels since the last reset.

    The result has ``accuracy`` at probability 0.5; ``foreground``, the share of foreground pixels;
    ``predicted``, the share of pixels above 0.5; ``correlation`` of probability and label
    (Pearson's; 0 where one of them is constant).
    """

    def __init__(self):
        super().__init__(name="pixels")
        self._sums = self.add_variable((6,), "zeros", name="sums")
        # With ignored pixels, a batch counts by its share of labelled ones.
        self._batches = self.add_variable((), "zeros", name="batches")

    def update_state(self, labels, logits, labelled=None):
        probability = ops.sigmoid(logits)
        predicted = ops.cast(logits > 0, "float32")
        agreement = ops.cast(ops.equal(predicted, labels), "float32")
        terms = [agreement, labels, predicted, probability, probability**2, probability * labels]
        if labelled is not None:
            terms = [term * labelled for term in terms]
        self._sums.assign_add(ops.stack([ops.mean(term) for term in terms]))
        self._batches.assign_add(1.0 if labelled is None else ops.mean(labelled))

    def result(self):
        means = ops.divide_no_nan(self._sums, self._batches)
        agreement, label, predicted, probability, square, product = ops.unstack(means)
        std = ops.sqrt(ops.maximum(square - probability**2, 0.0))
        label_std = ops.sqrt(ops.maximum(label - label**2, 0.0))  # of zeros and ones
        covariance = product - probability * label
        return {
            "accuracy": agreement,
            "foreground": label,
            "predicted": predicted,
            "correlation": ops.divide_no_nan(covariance, std * label_std),
        }


def preflight(engine: keras.Model, settings: TrainSettings, source: PatchSource) -> None:
    """Check that the network can learn a single batch; its variables are left as they were.

    Raises:
        UserError: the labels are not 0 and 1 where the loss sees them, the training images have
            only one class, or the network does not learn the batch.
    """
    _check_label_scale(settings)
    batch = _balanced_batch(settings, source)
    logger.info("pre-flight: learning %d patches, up to a minute on a processor", settings.batch)
    rounds = _PreflightRounds(peak_step=int(settings.warmup * settings.steps * settings.epochs))
    with unchanged(engine):
        engine.fit(
            ((batch,) for _ in itertools.count()),
            steps_per_epoch=ROUND_STEPS,
            epochs=ROUNDS,
            shuffle=False,  # a generator has its order
            callbacks=[rounds],
            verbose=0,
        )
    if not rounds.learned:
        raise UserError(
            f"The training would collapse: after {rounds.steps} steps on the same "
            f"{settings.batch} patches, {_symptom(rounds.logs)}; expected a network that can learn "
            f"so few by heart; {_remedy(settings)}."
        )
    logger.info("pre-flight: learned %d patches in %d steps", settings.batch, rounds.steps)


def _check_label_scale(settings: TrainSettings) -> None:
    if settings.label_scale == 1:
        return
    cause = "are divided twice" if settings.label_scale < 1 else "are not divided to 0 and 1"
    raise UserError(
        f"train.label_scale: the labels {cause}: the highest that the loss sees is "
        f"{settings.label_scale:.3g}; expected 1; set train.label_scale to 1, or train.guard to "
        "false to train anyway."
    )


def _balanced_batch(settings: TrainSettings, source: PatchSource) -> np.ndarray:
    """Of a few batches, the one with the most pixels of the rarer class.

    Where all are foreground alone, every other patch is cut around a pixel of background instead.
    """
    channels = source.channels
    batches = random_batches(source, settings.batch, settings.seed, foreground_share=0.5)

    def rarer_share(batch: np.ndarray) -> float:
        label = batch[..., channels]
        return min(np.count_nonzero(label == value) for value in (0, 1)) / label.size

    chosen = max(itertools.islice(batches, CANDIDATES), key=rarer_share)
    if rarer_share(chosen) == 0:
        # None of those batches has background: it is rare, or, as the error says, there is none.
        pixels = ChosenPixels(source.labels, source.ids, is_background, "background")
        lowest, highest = source.corners()
        random = np.random.default_rng(settings.seed)
        for place in range(0, settings.batch, 2):
            i, *pixel = pixels.draw(random)
            corner = (np.array(pixel) - source.patch // 2).clip(lowest[i], highest[i])
            chosen[place] = source.cut(source.ids[i], *corner)
    return chosen


class _PreflightRounds(keras.callbacks.Callback):
    """Stops the pre-flight as soon as the batch is learned or the loss is not a finite number.

    Each round begins at the step of the highest rate. At the rate of the first steps of a warm-up
    nothing would be learned, nor at the end of a training that is shorter than the pre-flight.
    """

    def __init__(self, peak_step: int):
        super().__init__()
        self._peak_step = peak_step
        self.learned, self.steps = False, 0
        self.logs: dict[str, float] = {}

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.iterations.assign(self._peak_step)

    def on_epoch_end(self, epoch, logs=None):
        self.steps += ROUND_STEPS
        self.logs = logs
        self.learned = bool(np.isfinite(logs["loss"]) and logs["correlation"] > LEARNED)
        self.model.stop_training = self.learned or not np.isfinite(logs["loss"])


class CollapseWatch(keras.callbacks.Callback):
    """At the end of each epoch: stop a training that has collapsed.

    Args:
        settings: of the run.
        history: rows of ``history.csv`` so far; the callback that fills it comes before this one.

    Raises:
        UserError: from ``on_epoch_end``, with the cause.
    """

    def __init__(self, settings: TrainSettings, history: list[dict]):
        super().__init__()
        self._settings, self._history = settings, history

    def on_epoch_end(self, epoch, logs=None):
        validation = {
            key.removeprefix("val_"): v for key, v in logs.items() if key.startswith("val_")
        }
        opposite = self._epochs_in_a_row(_is_opposite)
        if opposite >= OPPOSITE_EPOCHS:
            raise UserError(
                f"dataset.labels: flipped polarity: epoch {epoch + 1} predicts the opposite of the "
                f"validation labels (correlation {logs['val_correlation']:.2f}, on training "
                f"patches {logs['correlation']:.2f}); expected foreground and background to mean "
                "the same in all labels; invert the labels of one part."
            )
        stuck = self._epochs_in_a_row(_is_stuck)
        if stuck * self._settings.steps >= STUCK_STEPS and self._lasting(stuck):
            raise UserError(
                f"The training has collapsed: in epoch {epoch + 1}, {_symptom(validation)}; "
                "expected a probability that goes with the label; "
                f"{_validation_remedy(logs) or _remedy(self._settings)}."
            )

    def _lasting(self, epochs: int) -> bool:
        return epochs > 1 or len(self._history) == self._settings.epochs

    def _epochs_in_a_row(self, condition) -> int:
        return sum(1 for _ in itertools.takewhile(condition, reversed(self._history)))


def _is_opposite(row: dict) -> bool:
    return row["correlation"] > LEARNED and row["val_correlation"] < -LEARNED


def _is_stuck(row: dict) -> bool:
    """Whether the validation part is predicted no better than by its more frequent class.

    With only one class, nothing can be said.
    """
    majority = max(row["val_foreground"], 1 - row["val_foreground"])
    related = abs(row["val_correlation"]) >= UNRELATED
    return majority < 1 and row["val_accuracy"] <= majority and not related


def _validation_remedy(logs: dict) -> str | None:
    """What to do where the training part was learned and the validation part was not."""
    if logs["correlation"] < LEARNED:
        return None
    return (
        f"the training patches are learned (correlation {logs['correlation']:.2f}), so check that "
        "the validation images and their labels belong together"
    )


def _symptom(logs: dict) -> str:
    if not np.isfinite(logs["loss"]):
        return f"the loss is {logs['loss']}"
    if not ONE_CLASS < logs["predicted"] < 1 - ONE_CLASS:
        side = "foreground" if logs["predicted"] > 0.5 else "background"
        return f"the output is constant: every pixel is {side}"
    majority = max(logs["foreground"], 1 - logs["foreground"])
    return (
        f"the accuracy is {logs['accuracy']:.3f}, no more than the {majority:.3f} of calling every "
        f"pixel {'foreground' if logs['foreground'] > 0.5 else 'background'}"
    )


def _remedy(settings: TrainSettings) -> str:
    if settings.normalization not in ("standard", "image"):
        return "set train.normalization to standard"
    return (
        f"check train.learning_rate (now {settings.learning_rate:g}) and that images and labels "
        "belong together, or set train.guard to false to train anyway"
    )
