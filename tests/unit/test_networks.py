"""The networks of the old library build, train, save and load, and Keras stays itself."""

from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from maskmake.networks import _lambda_layer, build_network, load_network

SAMPLE = [
    ("Unet", "resnet18"),
    ("Unet", "seresnet18"),
    ("Unet", "mobilenet"),
    ("Unet", "vgg16"),
    ("Unet", "densenet121"),
    ("Unet", "efficientnetb0"),
    ("FPN", "resnet18"),
    ("Linknet", "resnet18"),
    ("PSPNet", "resnet18"),
]
SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
TRAIN = yaml.safe_load(SCHEMA.read_text())["$defs"]["train"]["properties"]


def build(architecture="Unet", encoder="resnet18", channels=1, patch=64, **changes):
    settings = {
        "encoder_weights": None,
        "scale": [1 / 64] * channels,
        "offset": [-2.0] * channels,
        "precision": "float32",
    }
    patch = 96 if architecture == "PSPNet" else patch
    settings |= {"channels": channels, "patch": patch} | changes
    return build_network(architecture, encoder, **settings)


def raw_batch(side, channels=1, count=2):
    shape = (count, side, side, channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def logits_of(network, images):
    """Without a compiled step, which takes longer to build than to run."""
    return keras.ops.convert_to_numpy(network(images, training=False))


def check_a_round_trip(architecture, encoder, path):
    """Build, take one step, save, load, predict."""
    network = build(architecture, encoder)
    side = 96 if architecture == "PSPNet" else 64
    images = raw_batch(side)
    labels = (images > 128).astype("float32")
    before = network.get_weights()
    network.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True), run_eagerly=True)
    assert np.isfinite(network.train_on_batch(images, labels))
    changed = [(a != b).any() for a, b in zip(before, network.get_weights(), strict=True)]
    assert np.mean(changed) > 0.9

    logits = logits_of(network, images)
    assert logits.shape == (2, side, side, 1)
    assert np.isfinite(logits).all()
    network.save(path)
    np.testing.assert_array_equal(logits_of(load_network(path), images), logits)


@pytest.mark.parametrize(("architecture", "encoder"), SAMPLE)
def test_a_network_trains_and_is_saved_whole(architecture, encoder, tmp_path):
    check_a_round_trip(architecture, encoder, tmp_path / "model.keras")


@pytest.mark.slow
@pytest.mark.parametrize("encoder", TRAIN["encoder"]["enum"])
@pytest.mark.parametrize("architecture", TRAIN["architecture"]["enum"])
def test_every_network_trains_and_is_saved_whole(architecture, encoder, tmp_path):
    check_a_round_trip(architecture, encoder, tmp_path / "model.keras")


@pytest.fixture(scope="module")
def network():
    return build()


def test_a_network_takes_images_of_several_sizes(network):
    for side in (32, 96):
        assert logits_of(network, raw_batch(side)).shape == (2, side, side, 1)


def test_normalisation_is_inside(network):
    """Another scale and offset, undone in the pixel values, give the same logits."""
    other = build(scale=[1 / 4], offset=[7.0])
    other.set_weights(network.get_weights())
    images = raw_batch(32)
    same_to_the_network = ((images / 64 - 2) - 7) * 4
    np.testing.assert_allclose(
        logits_of(other, same_to_the_network), logits_of(network, images), atol=1e-3
    )


def test_channels_are_normalised_each_on_its_own():
    network = build(channels=3, scale=[1.0, 2.0, 4.0], offset=[0.0, 10.0, 20.0])
    normalized = keras.Model(network.inputs, network.get_layer("normalization").output)
    images = raw_batch(32, channels=3)
    expected = images * [1, 2, 4] + [0, 10, 20]
    np.testing.assert_allclose(normalized([images]), expected, rtol=1e-6)
    assert logits_of(network, images).shape == (2, 32, 32, 1)


def test_bfloat16_keeps_weights_and_logits_in_float32(tmp_path):
    network = build(precision="bfloat16")
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert network.output.dtype == "float32"
    core = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    assert core.get_layer("conv0").compute_dtype == "bfloat16"
    assert core.get_layer("final_conv").compute_dtype == "float32"

    images = raw_batch(32)
    logits = logits_of(network, images)
    assert logits.dtype == np.float32
    assert (logits.astype("bfloat16").astype("float32") != logits).any()
    network.save(tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits_of(loaded, images), logits)


def test_keras_is_left_as_it_was():
    modules = (keras.backend, keras.layers, keras.models, keras.utils)
    before = [dict(vars(module)) for module in modules]
    policy = keras.config.dtype_policy()
    build(precision="bfloat16")
    with pytest.raises(ValueError, match="resnet1"):
        build(encoder="resnet1", precision="bfloat16")
    assert [dict(vars(module)) for module in modules] == before
    assert keras.config.dtype_policy() == policy
    assert not hasattr(keras.utils, "generic_utils")


def test_building_twice_with_one_seed_gives_one_network():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        weights.append(build().get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_unknown_lambda_function_is_an_error():
    def mystery(x):
        return x

    with pytest.raises(NotImplementedError, match="mystery"):
        _lambda_layer(mystery)
