"""Writing states costs little of the time, and whatever is left out, nothing changes."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from maskmake.train import checkpoints
from maskmake.train.checkpoints import State, best_row


class Clock:
    """Seconds that pass as it is told to."""

    def __init__(self, monkeypatch, writing):
        self.now = 0.0
        self.spent = 0.0
        write = State._write

        def slow(state, *arguments):
            self.now += writing
            self.spent += writing
            write(state, *arguments)

        monkeypatch.setattr(checkpoints.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(State, "_write", slow)


def an_engine():
    """A training of which one number is all that changes."""
    variable = keras.Variable(0.0)
    nothing = SimpleNamespace(variables=[])
    seeds = SimpleNamespace(state=keras.Variable(0, dtype="int32"))
    return SimpleNamespace(
        trained=SimpleNamespace(variables=[variable]), optimizer=nothing, seeds=seeds
    )


def run_epochs(state, engine, losses, history, clock, epoch_seconds):
    for loss in losses:
        epoch = len(history) + 1
        engine.trained.variables[0].assign(float(epoch))
        clock.now += epoch_seconds
        history.append({"epoch": epoch, "val_loss": float(loss)})
        state.save(engine, history)


def test_writing_takes_a_twentieth_of_the_time(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, writing=1.0)
    falling = -np.arange(1000.0)
    run_epochs(State(tmp_path, {}), an_engine(), falling, [], clock, epoch_seconds=2.0)
    assert 0.04 * clock.now < clock.spent < 0.06 * clock.now


def test_a_state_that_is_quickly_written_is_written_after_each_epoch(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, writing=0.1)
    run_epochs(State(tmp_path, {}), an_engine(), np.ones(50), [], clock, epoch_seconds=2.0)
    assert clock.spent == pytest.approx(5.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_epoch_is_there_whatever_was_written_last(tmp_path, monkeypatch, seed):
    random = np.random.default_rng(seed)
    writing = random.uniform(0.05, 2)
    clock = Clock(monkeypatch, writing)
    engine, history, losses = an_engine(), [], random.permutation(30)
    run_epochs(State(tmp_path, {}), engine, losses[:17], history, clock, epoch_seconds=2.0)

    # It is killed, and what was not written is done again.
    state, engine = State(tmp_path, {}), an_engine()
    resumed = state.restore(engine)
    assert 2.0 * (17 - len(resumed)) <= 20 * 2 * writing, "at most two states at a time"
    assert float(engine.trained.variables[0]) == len(resumed)
    assert resumed == history[: len(resumed)]
    run_epochs(state, engine, losses[len(resumed) :], resumed, clock, epoch_seconds=2.0)

    state.restore_best(engine, resumed)
    assert float(engine.trained.variables[0]) == best_row(resumed)["epoch"] == losses.argmin() + 1
    assert len(list(state.folder.glob("epoch-*"))) <= 4
