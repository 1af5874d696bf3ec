"""What rounds in a network is no fault of its graph; what does not is one."""

import keras
import numpy as np
import pytest
from scipy.special import expit

from maskmake.export.agreement import CLOSE, ROUNDINGS, in_float64, largest_allowed


def images_of(count=2):
    return np.random.default_rng(0).uniform(0, 255, (count, 16, 16, 1)).astype("float32")


def network_with(offset):
    """A network in a network whose values are large between two layers, where digits are lost."""
    keras.utils.set_random_seed(1)
    images, pixels = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.layers.BatchNormalization()(x)
    # ReLU, so that TensorFlow does not find that the two undo each other.
    x = keras.layers.ReLU()(keras.layers.Rescaling(1.0, offset)(x))
    x = keras.layers.Rescaling(1.0, -offset)(x)
    # A slice is an operation and no layer.
    core = keras.Model(pixels, keras.layers.Conv2D(1, 1)(x[..., 1:]))
    return keras.Model(images, core(images))


def test_a_network_that_rounds_little_is_held_to_the_usual_difference():
    network, images = network_with(10.0), images_of()
    logits = network.predict_on_batch(images)
    assert largest_allowed(network, images, logits) == CLOSE


def test_a_network_that_rounds_much_may_differ_by_some_times_that():
    network, images = network_with(1e5), images_of()
    logits = network.predict_on_batch(images)
    exact = network_with(10.0).predict_on_batch(images)
    rounding = np.abs(expit(logits) - expit(exact)).max()
    assert rounding > CLOSE
    allowed = largest_allowed(network, images, logits)
    assert allowed == pytest.approx(ROUNDINGS * rounding, rel=0.01)


def test_float64_has_its_digits():
    network, images = network_with(1e5), images_of()
    exact = in_float64(network).predict_on_batch(images)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(exact, network_with(10.0).predict_on_batch(images), atol=1e-6)
