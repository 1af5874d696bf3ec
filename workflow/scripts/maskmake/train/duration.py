"""How many steps fit into ``train.minutes``, from the time that the first ones take."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np

from maskmake.network.device import describe_device
from maskmake.network.settings import TrainSettings
from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger
from maskmake.train.checkpoints import unchanged
from maskmake.train.patches import FixedPatches

STEPS, BATCHES = 6, 3  # that are measured of training and of validation
# Share of the time that is planned. The rest is for the states and the model that are written, and
# for steps that take longer than those that were measured.
PLANNED = 0.95


class Pace(NamedTuple):
    """Seconds of a training step and of a validation."""

    step: float
    validation: float


def set_length(
    engine: keras.Model,
    settings: TrainSettings,
    batches: Iterator[np.ndarray],
    validation: FixedPatches,
    start: float,
) -> None:
    """Measure a few steps, and give the training the length that ends it in ``train.minutes``.

    The length is a variable of the optimiser, so the state of a training has it. The steps are
    taken back.

    Args:
        engine: compiled; its first step may still have to be traced.
        settings: of the run, with minutes.
        batches: of training patches.
        validation: patches of a validation.
        start: of the training, by ``time.monotonic``.

    Raises:
        UserError: not even one epoch fits.
    """
    with unchanged(engine):
        pace = _measure(engine, batches, validation)
    length = steps_within(settings, pace, time.monotonic() - start)
    engine.optimizer.length.assign(length)
    fitted = with_length(settings, length)
    all_fit = fitted.epochs == settings.epochs
    logger.info(
        "%s",
        f"train.minutes: {settings.minutes:g}; {'all ' if all_fit else ''}{fitted.epochs} epochs "
        f"fit, of {fitted.steps} steps each ({pace.step:.2g} s a step, {pace.validation:.2g} s a "
        f"validation){'; it ends earlier, unless you set more train.epochs' if all_fit else ''}",
    )


def with_length(settings: TrainSettings, length: int) -> TrainSettings:
    """The settings with the epochs of a training of so many steps, and the steps of each."""
    epochs = length // settings.steps
    return replace(settings, epochs=epochs, steps=length // epochs)


def steps_within(settings: TrainSettings, pace: Pace, spent: float) -> int:
    """The steps that fit into ``train.minutes``, with a validation after each epoch.

    All epochs have equally many, at least ``train.steps``, and so many more as a further epoch
    would leave unused. There are at most ``train.epochs``, and then they have ``train.steps``.

    Args:
        settings: of the run.
        pace: seconds of a step and of a validation.
        spent: seconds of the training so far.

    Raises:
        UserError: not even one epoch fits.
    """
    assert settings.minutes is not None
    left = PLANNED * (60 * settings.minutes - spent)
    epoch = settings.steps * pace.step + pace.validation
    epochs = min(settings.epochs, int(left / epoch))
    if epochs < 1:
        raise _too_short(settings, pace, spent, int((left - pace.validation) / pace.step))
    if epochs == settings.epochs:
        return settings.steps * epochs
    # Rounding may leave one step less than those of an epoch.
    steps = max(settings.steps, int((left - epochs * pace.validation) / pace.step) // epochs)
    # ``with_length`` finds the epochs by the steps, which must not add up to one more.
    return epochs * min(steps, (settings.steps * (epochs + 1) - 1) // epochs)


def _too_short(settings: TrainSettings, pace: Pace, spent: float, fits: int) -> UserError:
    epoch = settings.steps * pace.step + pace.validation
    enough = int((spent + epoch / PLANNED) / 60) + 1
    fewer = f", or train.steps to {fits} or less" if fits > 0 else ""
    return UserError(
        f"train.minutes: {settings.minutes:g}, but on the {describe_device()} the start takes "
        f"{spent / 60:.1f} minutes and one epoch {epoch / 60:.2g} ({settings.steps} steps of "
        f"{pace.step:.2g} s and a validation of {pace.validation:.2g} s); expected time for one "
        f"epoch; set train.minutes to {enough} or more{fewer}."
    )


class _Clock(keras.callbacks.Callback):
    """The time at the end of each step."""

    def __init__(self):
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.monotonic())


def _measure(engine: keras.Model, batches: Iterator[np.ndarray], validation: FixedPatches) -> Pace:
    clock = _Clock()
    engine.fit(
        ((batch,) for batch in batches),
        steps_per_epoch=STEPS,
        shuffle=False,  # a generator has its order
        callbacks=[clock],
        verbose=0,
    )
    # The first step may include the compilation. The median leaves out a step that waited.
    step = float(np.median(np.diff(clock.times)))
    engine.evaluate(validation, steps=1, verbose=0)  # which compiles it
    count = min(BATCHES, len(validation))
    start = time.monotonic()
    engine.evaluate(validation, steps=count, verbose=0)
    return Pace(step, (time.monotonic() - start) * len(validation) / count)
