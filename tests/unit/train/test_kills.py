"""A training that is killed, at any moment and in any way, loses no more than an epoch."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow
from tensorboardX.proto.event_pb2 import Event
from trainings import CODE, FOLD, SCRIPTS, SETTINGS, outputs_in

from maskmake.network.settings import AugmentationSettings
from maskmake.runtime.files import read_csv, read_json

pytestmark = pytest.mark.long

EPOCHS = 3
SMALL = replace(
    SETTINGS,
    epochs=EPOCHS,
    steps=4,
    guard=False,  # it ends before the first state
    ema=0.8,  # the averages are what is kept, the raw weights what is trained
    augmentation=AugmentationSettings(noise=0.1),
)
OUTPUTS = [
    ".model.lock",
    "augmented.npy",
    "history.csv",
    "model.keras",
    "model.log",
    "tensorboard",
    "training.json",
]


class Trainer:
    """Starts trainings in processes of their own, one at a time."""

    def __init__(self, inputs):
        self._inputs = {key: str(path) for key, path in inputs.items()}
        self._forks = subprocess.Popen(
            [sys.executable, Path(__file__).parents[1] / "trainer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )

    def start(self, folder, settings=SMALL, at_file=0, by=signal.SIGKILL, largest=-1, code=CODE):
        """Train into a folder; give the process id."""
        outputs = {key: str(path) for key, path in outputs_in(folder).items()}
        line = [asdict(settings), FOLD, code, self._inputs, outputs, at_file, by, largest]
        print(json.dumps(line), file=self._forks.stdin, flush=True)
        return int(self._forks.stdout.readline())

    def end(self):
        """Wait for the training; give its exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(int(self._forks.stdout.readline()))

    def close(self):
        self._forks.stdin.close()
        self._forks.wait()


@pytest.fixture(scope="module")
def trainer(dataset):
    trainer = Trainer(dataset.inputs)
    yield trainer
    trainer.close()


@pytest.fixture(scope="module")
def undisturbed(trainer, tmp_path_factory):
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(trainer, folder)
    return folder


@pytest.fixture(scope="module")
def half_way(trainer, tmp_path_factory):
    """The folder of a training with the states of two of its three epochs. To be copied."""
    folder = tmp_path_factory.mktemp("half-way")
    trainer.start(folder, at_file=12)
    assert trainer.end() == -signal.SIGKILL
    assert [path.name for path in states_in(folder)] == ["epoch-000001.npz", "epoch-000002.npz"]
    return folder


def log_of(folder):
    return (folder / "model.log").read_text()


def states_in(folder):
    return sorted(folder.glob(".training-*/epoch-*"))


def assert_same(folder, undisturbed):
    assert sorted(path.name for path in folder.iterdir()) == OUTPUTS
    first, second = (
        [read_csv(f / "history.csv"), keras.models.load_model(f / "model.keras", compile=False)]
        for f in (folder, undisturbed)
    )
    columns = ["epoch", "loss", "val_loss", "learning_rate"]
    assert first[0][columns].equals(second[0][columns])
    for one, other in zip(first[1].get_weights(), second[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    first, second = (read_json(f / "training.json") for f in (folder, undisturbed))
    for measured in ("seconds", "peak_memory"):
        assert first.pop(measured) > 0 and second.pop(measured) > 0
    assert first == second
    assert events_of(folder) == events_of(undisturbed)


def events_of(folder):
    """Steps and values of each curve but those of time, by folder and tag."""
    curves = {}
    for name in ("train", "validation"):
        (path,) = (folder / "tensorboard" / name).iterdir()
        for record in tensorflow.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = Event.FromString(record)
            for value in event.summary.value:
                curve = curves.setdefault((name, value.tag), [])
                curve.append((event.step, value.simple_value))
    assert {len(curve) for curve in curves.values()} == {len(read_csv(folder / "history.csv"))}
    return {key: curves[key] for key in (("train", "loss"), ("validation", "loss"))}


def finish(trainer, folder, settings=SMALL):
    trainer.start(folder, settings)
    assert trainer.end() == 0, log_of(folder)


# An attempt writes patches and their folder, two event files of the epochs so far, then for each
# epoch its state, the history and the two event files again, and at last three results. Numbers of
# the files and folders at which the attempts are killed: each goes on where the one before got to.
FATAL_FILES = [1, 2, 4, 5, 4, 6, 4, 7, 4, 5, 6]
ONE_OF_EACH_KIND = [1, 5, 6, 7, 6, 5]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(ONE_OF_EACH_KIND, id="one of each kind"),
        pytest.param(FATAL_FILES, id="every file", marks=pytest.mark.slow),
    ],
)
def test_killed_at_the_files_that_it_writes(files, trainer, undisturbed, tmp_path):
    for number in files:
        trainer.start(tmp_path, at_file=number)
        assert trainer.end() == -signal.SIGKILL, log_of(tmp_path)
        # Each attempt writes over what the last one left.
        assert len(list(tmp_path.rglob(".partial-*"))) <= 2
        assert len(states_in(tmp_path)) <= 3
    finish(trainer, tmp_path)
    assert f"resuming after epoch {EPOCHS} of {EPOCHS}" in log_of(tmp_path)
    assert_same(tmp_path, undisturbed)


def test_sigterm_is_reported_in_a_sentence(trainer, undisturbed, tmp_path):
    trainer.start(tmp_path, at_file=6, by=signal.SIGTERM)
    assert trainer.end() == 1
    last = log_of(tmp_path).splitlines()[-1]
    assert last == "error: train_fold was stopped; run the same command again to go on."
    assert "Traceback" not in log_of(tmp_path)
    assert not list(tmp_path.rglob(".partial-*"))
    finish(trainer, tmp_path)
    assert f"resuming after epoch 1 of {EPOCHS}" in log_of(tmp_path)
    assert_same(tmp_path, undisturbed)


def test_a_full_disk_costs_one_sentence_and_one_epoch(trainer, half_way, undisturbed, tmp_path):
    folder = shutil.copytree(half_way, tmp_path / "fold0")
    before = {path.name: path.read_bytes() for path in states_in(folder)}
    size = states_in(folder)[-1].stat().st_size
    trainer.start(folder, largest=size - 1)  # as on a disk with room for that much
    assert trainer.end() == 1
    told = log_of(folder).splitlines()[-1]
    assert told.endswith("File too large; free space or fix the permissions, then run again.")
    assert "epoch-000003.npz" in told and ".partial" not in told
    assert "Traceback" not in log_of(folder)
    assert {path.name: path.read_bytes() for path in states_in(folder)} == before
    finish(trainer, folder)
    assert f"resuming after epoch 2 of {EPOCHS}" in log_of(folder)
    assert_same(folder, undisturbed)


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# An emptied state is tested below.
@pytest.mark.parametrize("harm", [pytest.param(truncate, marks=pytest.mark.slow), flip_a_bit])
def test_a_damaged_state_costs_one_epoch_more(trainer, half_way, undisturbed, tmp_path, harm):
    folder = shutil.copytree(half_way, tmp_path / "fold0")
    harm(states_in(folder)[-1])
    finish(trainer, folder)
    assert log_of(folder).count("epoch-000002.npz: damaged state") == 1
    assert f"resuming after epoch 1 of {EPOCHS}" in log_of(folder)
    assert_same(folder, undisturbed)


def test_without_a_whole_state_training_begins_again(trainer, half_way, undisturbed, tmp_path):
    folder = shutil.copytree(half_way, tmp_path / "fold0")
    for path in states_in(folder):
        empty(path)
    finish(trainer, folder)
    assert log_of(folder).count("damaged state") == 2
    assert "resuming" not in log_of(folder)
    assert_same(folder, undisturbed)


def test_a_state_of_other_code_is_left_and_removed(trainer, half_way, undisturbed, tmp_path):
    folder = shutil.copytree(half_way, tmp_path / "fold0")
    trainer.start(folder, code="of another version")
    assert trainer.end() == 0, log_of(folder)
    assert "resuming" not in log_of(folder)
    assert states_in(folder) == []
    assert_same(folder, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_at_random_moments(trainer, tmp_path):
    settings = replace(SMALL, steps=50, epochs=5)
    draw, kills = random.Random(1), dict.fromkeys([signal.SIGKILL, signal.SIGTERM], 0)
    reference = tmp_path / "reference"
    reference.mkdir()
    start = time.monotonic()
    finish(trainer, reference, settings)
    seconds = time.monotonic() - start
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        while sum(kills.values()) < 20:
            process = trainer.start(folder, settings)
            time.sleep(draw.uniform(0, seconds))
            by = draw.choice(list(kills))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, by)
            if trainer.end() == 0:
                break
            kills[by] += 1
        else:
            finish(trainer, folder, settings)
            break
        assert_same(folder, reference)
    assert_same(folder, reference)
    assert min(kills.values()) > 0
