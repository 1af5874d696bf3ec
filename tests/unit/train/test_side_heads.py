from dataclasses import replace
from unittest.mock import MagicMock

import keras
import numpy as np
import pytest
from round_trip import logits_of, raw_batch
from trainings import SETTINGS, train

from maskmake.network.networks import build_network
from maskmake.plan.rules import MIDDLE_LEVEL
from maskmake.train import checkpoints, engine, side_heads, training
from maskmake.train.losses import bce
from maskmake.train.side_heads import LEVELS, with_levels, with_side_heads

DEEP = replace(SETTINGS, deep_supervision=True, guard=False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("architecture", "pretrained"),
    [("Unet", False), ("Unet", True), ("Linknet", False), ("FPN", False)],
)
def test_the_logits_of_the_network_come_first_and_those_of_its_levels_follow(
    architecture, pretrained
):
    scale = {"scale": [1 / 64], "offset": [-2.0], "precision": "float32"}
    network = build_network(architecture, "resnet18", pretrained, 1, 64, **scale)
    wide = with_side_heads(network, architecture)
    images = raw_batch(64)
    logits = logits_of(wide, images)
    assert logits.shape == (2, 64, 64, 1 + len(LEVELS[architecture]))
    np.testing.assert_array_equal(logits[..., :1], logits_of(network, images))
    assert all(level.std() > 0 for level in np.moveaxis(logits, -1, 0))
    before = {id(variable) for variable in network.variables}
    heads = [variable.shape for variable in wide.variables if id(variable) not in before]
    assert len(heads) == 2 * len(LEVELS[architecture])  # a kernel and a bias each
    assert {shape[-1] for shape in heads} == {1}


def test_each_level_counts_by_its_size_and_in_training_alone():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (2, 8, 8, 1)).astype("float32")
    logits = random.normal(size=(2, 8, 8, 4)).astype("float32")
    loss = with_levels(bce, "Unet")
    parts = [float(bce(labels, logits[..., n : n + 1])) for n in range(4)]
    expected = (parts[0] + parts[1] / 8 + parts[2] / 4 + parts[3] / 2) / 1.875
    assert float(loss(labels, keras.ops.convert_to_tensor(logits))) == pytest.approx(expected)
    alone = keras.ops.convert_to_tensor(logits[..., :1])
    assert float(loss(labels, alone)) == pytest.approx(parts[0])


def test_the_plan_knows_the_middle_level():
    assert {sorted(levels)[1] for levels in LEVELS.values()} == {MIDDLE_LEVEL}


def two_levels(*arguments, scale, offset, precision, encoder_weights=None):
    """A network in a network, as all of them are, with a level of half the size."""
    images, pixels = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="half")(pixels)
    x = keras.layers.BatchNormalization()(keras.layers.UpSampling2D(2)(x))
    core = keras.Model(pixels, keras.layers.Conv2D(1, 3, padding="same")(x))
    return keras.Model(images, core(keras.layers.Rescaling(scale[0], offset[0])(images)))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(engine, "build_network", two_levels)
    monkeypatch.setitem(side_heads.LEVELS, "Unet", {2: "half"})
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", 1)


@pytest.mark.long
@pytest.mark.parametrize("changes", [{}, {"ema": 0.8}, {"loss": "bce_borders"}], ids=str)
def test_a_killed_training_goes_on_with_its_heads(dataset, tmp_path, monkeypatch, small, changes):
    settings = replace(DEEP, **changes)
    whole = train(dataset, tmp_path / "whole", settings)
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(training, "_log_early_stop", MagicMock(side_effect=KeyboardInterrupt))
        killing.setattr(training, "with_length", lambda found, _: replace(found, epochs=2))
        train(dataset, tmp_path / "killed", settings)
    resumed = train(dataset, tmp_path / "killed", settings)
    for column in ("epoch", "loss", "val_loss"):
        np.testing.assert_array_equal(whole.history[column], resumed.history[column])
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_heads_take_part_in_the_training_and_not_in_the_saved_network(dataset, tmp_path, small):
    deep = train(dataset, tmp_path / "deep", DEEP)
    plain = train(dataset, tmp_path / "plain", replace(DEEP, deep_supervision=False))
    assert [array.shape for array in deep.weights] == [array.shape for array in plain.weights]
    assert deep.training["parameters"] == plain.training["parameters"]
    # Both are means, so that the report may compare them with the validation's.
    assert deep.history["loss"][0] != plain.history["loss"][0]
    assert deep.history["loss"][0] == pytest.approx(plain.history["loss"][0], rel=0.2)
    assert deep.history["val_loss"][0] == pytest.approx(plain.history["val_loss"][0], rel=0.2)
    assert any((one != other).any() for one, other in zip(deep.weights, plain.weights, strict=True))
