"""Ignored pixels of labels in a training step."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from trainings import SETTINGS

from maskmake.data.labels import IGNORED
from maskmake.train.engine import Engine
from maskmake.train.losses import LOSSES

SHAPE = (SETTINGS.batch, SETTINGS.patch, SETTINGS.patch)


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    """Images, labels of which a half is ignored, and maps of borders."""
    rng = np.random.default_rng(2)
    batch = rng.integers(0, (255, 2, 255), (*SHAPE, 3)).astype(np.uint8)
    batch[:, :, SETTINGS.patch // 2 :, 1] = IGNORED
    return batch


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("training", [False, True])
def test_what_is_predicted_for_ignored_pixels_changes_nothing(batch, name, training):
    network = keras.Sequential(
        [
            keras.Input((SETTINGS.patch, SETTINGS.patch, 1)),
            keras.layers.Conv2D(1, 3, padding="same"),
        ]
    )
    settings = replace(SETTINGS, loss=name)
    engine = Engine(network, settings, np.array([50.0]), partial=True)
    channels = 3 if name == "bce_borders" else 2
    output = np.array(engine(batch[..., :channels], training=training))
    assert output.shape == (*SHAPE, channels + 1)
    label, labelled = output[..., 1], output[..., -1]
    assert set(np.unique(label)) == set(np.unique(labelled)) == {0, 1}
    if not training:
        np.testing.assert_array_equal(labelled, batch[..., 1] != IGNORED)
    found = []
    for seed in range(2):
        changed = output.copy()
        noise = np.random.default_rng(seed).normal(0, 9, (2, *SHAPE))
        changed[..., 0] += noise[0] * (labelled == 0)
        changed[..., 1] = np.where(labelled == 0, noise[1] > 0, label)
        engine.reset_metrics()
        loss = float(engine.compute_loss(y_pred=keras.ops.convert_to_tensor(changed)))
        metrics = engine.compute_metrics(None, None, keras.ops.convert_to_tensor(changed))
        found.append([loss, *map(float, metrics.values())])
    np.testing.assert_array_equal(found[0], found[1])
