"""The length of a training that has so many minutes, and when one says that it will end."""

import itertools
import logging
import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from trainings import SETTINGS, outputs_in, train

from maskmake.network.settings import AugmentationSettings
from maskmake.runtime.errors import UserError
from maskmake.train import callbacks, duration
from maskmake.train.callbacks import Progress, end_time
from maskmake.train.duration import PLANNED, Pace, steps_within, with_length

pytestmark = pytest.mark.long

HOUR = replace(SETTINGS, steps=100, epochs=10_000, minutes=60)


def seconds_of(settings, length, pace):
    """Of a training of so many steps, its validations included."""
    return length * pace.step + with_length(settings, length).epochs * pace.validation


# --- the length -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.02, 0.3, 1.7, 8.0])
@pytest.mark.parametrize("validation", [0.1, 30.0, 400.0])
@pytest.mark.parametrize("spent", [0, 600])
def test_a_training_fills_its_minutes(step, validation, spent):
    pace = Pace(step, validation)
    length = steps_within(HOUR, pace, spent)
    fitted = with_length(HOUR, length)
    left = PLANNED * (3600 - spent)
    assert fitted.epochs * fitted.steps == length and fitted.steps >= HOUR.steps
    assert seconds_of(HOUR, length, pace) <= left
    # Neither an epoch more nor, but for rounding, a step more in each would end in time.
    assert seconds_of(HOUR, (fitted.epochs + 1) * HOUR.steps, pace) > left
    longer = fitted.epochs * (fitted.steps + 1)
    assert longer >= (fitted.epochs + 1) * HOUR.steps or seconds_of(HOUR, longer, pace) > left


@pytest.mark.parametrize(
    ("minutes", "steps", "pace"), [(1, 100, Pace(0.17, 40.0)), (20, 5, Pace(2.87, 9.4))]
)
def test_rounding_takes_no_step_of_an_epoch(minutes, steps, pace):
    """These times are a whole number of epochs, and their numbers have no exact double."""
    settings = replace(HOUR, minutes=minutes, steps=steps)
    fitted = with_length(settings, length := steps_within(settings, pace, spent=0))
    assert fitted.epochs * fitted.steps == length and fitted.steps == steps


def test_the_epochs_of_the_settings_are_the_most():
    length = steps_within(replace(HOUR, epochs=7), Pace(0.1, 1.0), spent=0)
    assert length == 7 * HOUR.steps
    assert with_length(replace(HOUR, epochs=7), length) == replace(HOUR, epochs=7)


def test_without_minutes_the_settings_stay():
    assert with_length(SETTINGS, SETTINGS.steps * SETTINGS.epochs) == SETTINGS


@pytest.mark.parametrize(
    ("minutes", "pace", "spent", "remedy"),
    [
        (2, Pace(2.0, 10.0), 30, "set train.minutes to 5 or more, or train.steps to 37 or less."),
        (0.5, Pace(2.0, 40.0), 0, "set train.minutes to 5 or more."),
        (1, Pace(1.0, 1.0), 90, "set train.minutes to 4 or more."),
    ],
)
def test_minutes_that_are_too_few_for_an_epoch_are_refused_with_what_fits(
    minutes, pace, spent, remedy
):
    settings = replace(HOUR, minutes=minutes)
    with pytest.raises(UserError) as refusal:
        steps_within(settings, pace, spent)
    text = str(refusal.value)
    assert text.startswith(f"train.minutes: {minutes:g}, but on the CPU the start takes ")
    assert text.endswith(remedy) and ". " not in text
    enough = int(re.search(r"to (\d+) or more", text)[1])
    assert steps_within(replace(settings, minutes=enough), pace, spent) >= HOUR.steps
    if fits := re.search(r"train.steps to (\d+) or less", text):
        fewer = replace(settings, steps=int(fits[1]))
        assert steps_within(fewer, pace, spent) >= fewer.steps


# --- a training -----------------------------------------------------------------------------------

QUICK = replace(
    SETTINGS,
    augmentation=AugmentationSettings(noise=0.1),
    guard=False,
    epochs=50,
    minutes=1,
    warmup=0.25,
)


@pytest.fixture
def three_epochs_fit(monkeypatch):
    """A machine on which a step takes eight seconds and the start no time."""
    monkeypatch.setattr(duration, "_measure", lambda *_: Pace(8.0, 2.0))
    monkeypatch.setattr(duration.time, "monotonic", lambda: 0.0)


def killed_after(monkeypatch, epochs):
    save = callbacks.Saver.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch + 1 == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Saver, "on_epoch_end", save_and_die)


def test_a_killed_training_keeps_its_length_and_its_rates(
    dataset, tmp_path, two_convolutions, three_epochs_fit, monkeypatch, caplog
):
    whole = train(dataset, tmp_path / "whole", QUICK)
    assert len(whole.history) == 3
    # The rate follows the length that was found: it ends at 0.
    np.testing.assert_allclose(whole.history["learning_rate"].iloc[-1], 0, atol=1e-9)
    length = {"epochs": 3, "steps": whole.training["patches"] // (3 * QUICK.batch), "minutes": 1}
    assert whole.training["settings"].items() >= length.items()
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killed_after(killing, 2)
        train(dataset, tmp_path / "killed", QUICK)
    # A machine that is slower now changes nothing.
    monkeypatch.setattr(duration, "_measure", lambda *_: pytest.fail("measured again"))
    with caplog.at_level(logging.INFO, logger="maskmake"):
        resumed = train(dataset, tmp_path / "killed", QUICK)
    assert "resuming after epoch 2 of 3" in caplog.text
    for key in ("patches", "settings"):
        assert whole.training[key] == resumed.training[key]
    for key in ("loss", "val_loss", "learning_rate"):
        np.testing.assert_array_equal(whole.history[key], resumed.history[key])
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_measured_leaves_no_trace(dataset, tmp_path, two_convolutions, monkeypatch, caplog):
    plain = train(dataset, tmp_path / "plain", replace(QUICK, epochs=2, minutes=None))
    found = []
    measure = duration._measure
    monkeypatch.setattr(duration, "_measure", lambda *a: found.append(measure(*a)) or found[-1])
    with caplog.at_level(logging.INFO, logger="maskmake"):
        measured = train(dataset, tmp_path / "measured", replace(QUICK, epochs=2, minutes=60))
    assert all(0 < part < 60 for part in found[0])
    assert "train.minutes: 60; all 2 epochs fit, of 2 steps each (" in caplog.text
    assert "; it ends earlier, unless you set more train.epochs" in caplog.text
    for one, other in zip(plain.weights, measured.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_few_minutes_end_a_training_before_its_first_epoch(
    dataset, tmp_path, two_convolutions, three_epochs_fit
):
    with pytest.raises(UserError, match=r"train\.minutes: 0\.2, but on the CPU .* to 1 or more"):
        train(dataset, tmp_path, replace(QUICK, minutes=0.2))
    assert not outputs_in(tmp_path)["history"].exists()


# --- when it will end ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (20, "22:30 (in less than a minute)"),
        (25 * 60, "22:55 (in 25 min)"),
        (2 * 3600, "Sat 28 Nov 00:30 (in 2 h 0 min)"),
        (26 * 3600, "Sun 29 Nov 00:30 (in 26 h 0 min)"),
    ],
)
def test_the_end_is_said_by_the_clock_and_by_its_distance(seconds, text):
    assert end_time(seconds, datetime(2026, 11, 27, 22, 30)) == text


def line_of(monkeypatch, caplog, step_seconds, steps=3, **changes):
    """What a training of ten epochs of 100 steps says in its first steps."""
    clock = itertools.count(0, step_seconds)
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    settings = replace(SETTINGS, steps=100, epochs=10, **changes)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="maskmake"):
        progress = Progress(settings, [], validation_batches=30)
        progress.on_epoch_begin(0)
        for step in range(steps):
            progress.on_train_batch_end(step, {"loss": 0.5})
        progress.close()
    return [record.message for record in caplog.records if "will end" in record.message]


def test_the_second_step_says_when_the_training_will_end(monkeypatch, caplog):
    assert line_of(monkeypatch, caplog, 1.0, steps=1) == []
    (line,) = line_of(monkeypatch, caplog, 1.0)
    # 998 steps, and ten validations of 30 batches, each for a third of a step.
    assert re.fullmatch(r"the training will end at about .*\d\d:\d\d \(in 18 min\)", line)


def test_a_long_training_names_the_ways_to_less_time(monkeypatch, caplog):
    (line,) = line_of(monkeypatch, caplog, 10.0)
    for part in ("(in 3 h 3 min)", "train.minutes", "train.steps", "encoder", "GPU"):
        assert part in line
    (line,) = line_of(monkeypatch, caplog, 10.0, minutes=240)
    assert line.endswith("(in 3 h 3 min)")
