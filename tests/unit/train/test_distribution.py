"""A training on several devices: two virtual ones of the processor, under JAX where it is there."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from trainings import SETTINGS, outputs_in

from maskmake.network.settings import AugmentationSettings
from maskmake.runtime.files import read_csv

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX"),
]

# A network of two convolutions stands in, since a U-Net takes most of a minute to compile.
PROGRAM = """
import json, os, sys
from pathlib import Path
from maskmake.network.device import select_device
select_device("jax", 0, os.devnull)
import keras
from maskmake.train import engine, training
from maskmake.network.settings import TrainSettings

def build_network(*arguments, scale, offset, precision, encoder_weights=None):
    layers = keras.layers
    x = images = keras.Input((None, None, 1))
    x = layers.Rescaling(scale, offset)(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
    return keras.Model(images, layers.Conv2D(1, 3, padding="same")(x))

engine.build_network = build_network
settings, inputs, *runs = json.loads(sys.argv[1])

def train(run, state=training.State):
    training.State = state
    paths = [{key: Path(path) for key, path in group.items()} for group in (inputs, run)]
    training.train_fold(TrainSettings.from_section(settings), 0, "0123", *paths)

class KilledAfterAnEpoch(training.State):
    def save(self, *arguments):
        super().save(*arguments)
        raise KeyboardInterrupt

train(runs[0])
keras.distribution.set_distribution(keras.distribution.DataParallel())
train(runs[1])
try:
    train(runs[2], KilledAfterAnEpoch)
except KeyboardInterrupt:
    train(runs[2])
weights = [keras.models.load_model(run["model"]).get_weights() for run in runs]
differences = [[float(abs(a - b).max()) for a, b in zip(weights[i], weights[1])] for i in (0, 2)]
print(json.dumps([*map(max, differences)]))
"""


@pytest.fixture(scope="module")
def trainings(dataset, tmp_path_factory):
    """Folders of a training on one device, on two, and on two with a kill; and what was printed."""
    folder = tmp_path_factory.mktemp("devices")
    names = ("one", "two", "killed")
    runs = [{key: str(p) for key, p in outputs_in(folder / name).items()} for name in names]
    few = AugmentationSettings(flip_horizontal=True, noise=0.1)
    settings = asdict(replace(SETTINGS, backend="jax", batch=4, augmentation=few, guard=False))
    inputs = {key: str(path) for key, path in dataset.inputs.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([settings, inputs, *runs])],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(SCRIPTS),
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_dump_hlo_as_text "
            # On busy processors one device may wait long for the other; 40 s end the process.
            "--xla_cpu_collective_call_terminate_timeout_seconds=300 "
            # A few steps are no reason to optimise the code they run.
            "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
            f"--xla_dump_to={folder / 'hlo'} --xla_dump_hlo_module_re=.*train_step.*",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_two_devices_train_as_one_does(trainings):
    folder, (difference, _) = trainings
    one, two = (read_csv(folder / name / "history.csv") for name in ("one", "two"))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-4)
    np.testing.assert_allclose(one["val_loss"], two["val_loss"], rtol=1e-4)
    assert difference < 1e-3


def test_a_killed_training_goes_on_on_two_devices(trainings):
    folder, (_, difference) = trainings
    assert difference == 0
    whole, killed = (read_csv(folder / name / "history.csv") for name in ("two", "killed"))
    np.testing.assert_array_equal(whole["loss"], killed["loss"])


def test_each_device_computes_its_part_of_the_batch(trainings):
    folder, _ = trainings
    one, two, *_ = sorted((folder / "hlo").glob("*after_optimizations.txt"))
    assert "f32[4,32,32,8]" in one.read_text()
    assert "f32[4,32,32,8]" not in two.read_text()
    assert "f32[2,32,32,8]" in two.read_text()
