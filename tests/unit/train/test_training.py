"""A training follows from its settings alone, and goes on after a kill as if nothing happened."""

import json
import logging
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from unittest.mock import MagicMock

import keras
import numpy as np
import pytest
from trainer import small_network
from trainings import CODE, FOLD, SETTINGS, outputs_in, train

from maskmake.data.splits import fold_ids
from maskmake.network.networks import build_network
from maskmake.network.settings import AUGMENTATION_PRESETS, AugmentationSettings, TrainSettings
from maskmake.runtime.errors import UserError
from maskmake.train import checkpoints, engine, training
from maskmake.train.callbacks import Recorder
from maskmake.train.engine import Engine
from maskmake.train.optimizers import build_optimizer
from maskmake.train.patches import FixedPatches, PatchSource
from maskmake.train.preprocessing import normalization_of, std_of
from maskmake.train.training import State, _state_key

pytestmark = pytest.mark.long


def assert_same_training(first, second):
    for key in ("epoch", "loss", "val_loss", "learning_rate"):
        np.testing.assert_array_equal(first.history[key], second.history[key])
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module", autouse=True)
def two_convolutions():
    """A small network in all trainings but one, since a U-Net takes most of a minute to trace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "build_network", small_network)
        yield


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    return train(dataset, tmp_path_factory.mktemp("trained"))


AVERAGED = replace(SETTINGS, ema=0.8)


@pytest.fixture(scope="module")
def averaged(dataset, tmp_path_factory):
    return train(dataset, tmp_path_factory.mktemp("averaged"), AVERAGED)


# --- determinism --------------------------------------------------------------------------------


# A small network twice is test_killed_once_in_every_job.
@pytest.mark.slow
def test_the_same_settings_give_the_same_network(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "build_network", build_network)
    settings = replace(SETTINGS, epochs=1, guard=False)
    first, second = (train(dataset, tmp_path / name, settings) for name in ("first", "second"))
    assert_same_training(first, second)


def test_the_same_step_gives_the_same_weights(dataset, monkeypatch):
    """Of a U-Net and a batch so large that TensorFlow would save memory by sums in any order."""
    monkeypatch.setattr(engine, "build_network", build_network)
    settings = replace(SETTINGS, patch=128, batch=8, deep_supervision=True)
    random = np.random.default_rng(0)
    images, labels = (
        random.integers(0, 256, (8, 128, 128, 1)),
        random.integers(0, 2, (8, 128, 128, 1)),
    )
    batch = np.concatenate([images, labels], axis=-1).astype("float32")
    weights = []
    for _ in range(2):
        built = engine.build_engine(settings, dataset.plan, "float32", partial=False)
        built.train_on_batch(batch, np.zeros(len(batch)))
        weights.append([keras.ops.convert_to_numpy(each) for each in built.variables])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_training_leaves_its_outputs_alone(trained):
    names = sorted(path.name for path in trained.folder.iterdir())
    assert names == ["augmented.npy", "history.csv", "model.keras", "training.json"]


def test_a_training_keeps_patches_as_it_sees_them(dataset, trained):
    samples = np.load(trained.folder / "augmented.npy")
    side = SETTINGS.patch
    assert samples.shape == (6, side, side, 2)
    assert samples.dtype == np.uint8
    assert set(np.unique(samples[..., -1])) <= {0, 1}
    assert len({sample.tobytes() for sample in samples}) == 6


@pytest.mark.parametrize(
    "change",
    ["seed", "epochs", "augmentation", "fold", "code", "splits", "plan", "labels"],
)
def test_a_state_belongs_to_settings_code_and_data(dataset, tmp_path, change):
    def folder(settings=SETTINGS, fold=FOLD, code=CODE):
        return State(tmp_path, _state_key(settings, fold, code, inputs)).folder

    inputs = {}
    for name, path in dataset.inputs.items():
        inputs[name] = Path(shutil.copy2(path, tmp_path))
    before = folder()
    assert folder() == before
    arguments = {
        "seed": {"settings": replace(SETTINGS, seed=2)},
        "epochs": {"settings": replace(SETTINGS, epochs=4)},
        "augmentation": {"settings": replace(SETTINGS, augmentation=AugmentationSettings())},
        "fold": {"fold": 1},
        "code": {"code": "other"},
    }
    if change in inputs:
        inputs[change].write_bytes(inputs[change].read_bytes() + b"\n")
    assert folder(**arguments.get(change, {})) != before


# --- outputs ----------------------------------------------------------------------------------


def test_the_history_has_a_row_for_each_epoch(trained):
    history = trained.history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(history[["loss", "val_loss"]]).all(axis=None)
    assert (history[["images_per_second", "seconds"]] > 0).all(axis=None)
    # A half cosine from the learning rate to 0, as it stands after each third of the steps.
    expected = SETTINGS.learning_rate * (1 + np.cos(np.pi * np.array([1, 2, 3]) / 3)) / 2
    np.testing.assert_allclose(history["learning_rate"], expected, atol=1e-9)


@pytest.mark.parametrize("fixture", ["trained", "averaged"])
def test_the_model_is_that_of_the_lowest_validation_loss(dataset, request, fixture):
    trained = request.getfixturevalue(fixture)
    best = trained.history.loc[trained.history["val_loss"].idxmin()]
    assert trained.training["best_epoch"] == best["epoch"]
    assert trained.training["val_loss"] == pytest.approx(best["val_loss"])

    network = keras.models.load_model(trained.folder / "model.keras", compile=False)
    engine = Engine(network, SETTINGS, std_of(SETTINGS, dataset.plan))
    engine.compile(build_optimizer(SETTINGS))
    validation = fold_ids(dataset.splits, FOLD).validation
    most = SETTINGS.steps * SETTINGS.batch
    source = PatchSource(dataset.images, dataset.labels, validation, SETTINGS.patch)
    patches = FixedPatches(source, SETTINGS.batch, most)
    loss = engine.evaluate(patches, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(best["val_loss"], rel=1e-5)


def test_training_goes_on_with_the_raw_weights_where_the_averaged_are_kept(trained, averaged):
    np.testing.assert_array_equal(averaged.history["loss"], trained.history["loss"])
    assert (averaged.history["val_loss"] != trained.history["val_loss"]).all()


def test_a_training_with_border_weights_keeps_no_map_of_them(dataset, tmp_path):
    run = train(dataset, tmp_path, replace(SETTINGS, loss="bce_borders", epochs=1))
    assert np.isfinite(run.history["val_loss"]).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "augmented.npy",
        "history.csv",
        "model.keras",
        "training.json",
    ]


def test_training_json_says_what_was_done(dataset, trained):
    training = trained.training
    assert training["settings"] == json.loads(json.dumps(asdict(SETTINGS)))
    assert training["preprocessing"] == {
        "channels": 1,
        "dtype": "uint8",
        "per_image": False,
        "seen": {
            key: dataset.plan["intensity"][key]
            for key in ("minimum", "maximum", "smallest_maximum")
        },
        **normalization_of(SETTINGS, dataset.plan),
    }
    assert (training["precision"], training["device"], training["xla"]) == ("float32", "CPU", False)
    assert training["patches"] == 12
    network = keras.models.load_model(trained.folder / "model.keras", compile=False)
    assert training["parameters"] == network.count_params()
    assert training["seconds"] == pytest.approx(trained.history["seconds"].sum())
    assert 2**26 < training["peak_memory"] < 2**36  # bytes, of a process with TensorFlow
    assert set(training["versions"]) == {"maskmake", "python", "keras", "tensorflow"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", training["versions"]["maskmake"])


# --- early stopping ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ([], 1, False),
        ([3.0], 1, False),
        ([3.0, 2.0], 1, False),
        ([3.0, 3.0], 1, True),
        ([3.0, 4.0, 3.5], 3, False),
        ([3.0, 4.0, 3.5, 3.1], 3, True),
        ([3.0, 4.0, 3.5, 2.9], 3, False),
        ([3.0, 4.0, 5.0, 6.0], None, False),
    ],
)
def test_patience_counts_epochs_since_the_best(tmp_path, losses, patience, stops):
    history = [{"epoch": i, "val_loss": loss} for i, loss in enumerate(losses, start=1)]
    settings = replace(SETTINGS, patience=patience)
    recorder = Recorder(settings, history, tmp_path / "history.csv")
    assert recorder.out_of_patience is stops


def still_network(*arguments, scale, offset, precision, encoder_weights=None):
    """One convolution: at a rate of 0 its validation loss stays as it is, on every processor."""
    images = keras.Input((None, None, 1))
    scaled = keras.layers.Rescaling(scale[0], offset[0])(images)
    return keras.Model(images, keras.layers.Conv2D(1, 3, padding="same")(scaled))


def test_a_training_out_of_patience_stops_for_good(dataset, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(engine, "build_network", still_network)
    settings = replace(SETTINGS, learning_rate=0.0, patience=1, guard=False)
    blocked = outputs_in(tmp_path)["training"]
    blocked.mkdir()  # so that it ends after its last epoch without its outputs
    with pytest.raises(OSError):
        train(dataset, tmp_path, settings)
    blocked.rmdir()
    with caplog.at_level(logging.INFO, logger="maskmake"):
        resumed = train(dataset, tmp_path, settings)
    first, second = resumed.history["val_loss"]
    assert first == second
    assert resumed.training["patches"] == 2 * settings.steps * settings.batch
    assert "stopped after epoch 2 of 3: validation loss no lower than in epoch 1" in caplog.text


def test_states_that_are_left_out_change_nothing(dataset, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", 1e-9)
    written = []
    write = State._write
    monkeypatch.setattr(
        State, "_write", lambda *arguments: (written.append(len(arguments[2])), write(*arguments))
    )
    assert trained.training["best_epoch"] > 1, "it would be in the only file"
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(training, "_keep_best", MagicMock(side_effect=KeyboardInterrupt))
        train(dataset, tmp_path)
    assert written == [1]
    assert_same_training(train(dataset, tmp_path), trained)  # resumed after the first epoch


# --- what the user can fix --------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2], ids=["validation loss", "training loss"])
def test_a_loss_that_is_no_number_ends_with_a_sentence(dataset, tmp_path, steps):
    # The first step is still finite; what follows it is not.
    settings = replace(
        SETTINGS,
        guard=False,
        optimizer="sgd",
        learning_rate=1e30,
        schedule="constant",
        epochs=1,
        steps=steps,
    )
    with pytest.raises(UserError, match=r"epoch 1: the .*loss is .*train\.learning_rate"):
        train(dataset, tmp_path, settings)
    assert not outputs_in(tmp_path)["model"].exists()


# --- settings ---------------------------------------------------------------------------------


PLAN = {
    "channels": 3,
    "dtype": "uint16",
    "intensity": {"mean": [10.0, 200.0, 7.0], "std": [5.0, 20.0, 0.0]},
}


@pytest.mark.parametrize(
    ("normalization", "pixels", "expected"),
    [
        ("standard", [15.0, 160.0, 9.0], [1.0, -2.0, 2.0]),
        ("unit", [0.0, 65535.0, 13107.0], [0.0, 1.0, 0.2]),
        ("none", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
    ],
)
def test_normalisation(normalization, pixels, expected):
    found = normalization_of(replace(SETTINGS, normalization=normalization), PLAN)
    result = np.array(pixels) * found["scale"] + found["offset"]
    np.testing.assert_allclose(result, expected)


def test_settings_come_from_the_configuration():
    section = asdict(SETTINGS)
    assert TrainSettings.from_section(section) == SETTINGS
    preset = TrainSettings.from_section({**section, "augmentation": "none"})
    assert preset.augmentation == AugmentationSettings()
    preset = TrainSettings.from_section({**section, "augmentation": "default"})
    assert preset.augmentation == AUGMENTATION_PRESETS["default"]
