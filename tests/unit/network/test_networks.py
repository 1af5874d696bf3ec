"""The networks of the old library build, train, save and load, and Keras stays itself."""

import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
import round_trip
import tensorflow as tf
from keras import ops
from round_trip import (
    build,
    check_a_round_trip,
    logits_of,
    raw_batch,
    save_example,
    save_fold,
    side_of,
)
from schema import SCHEMA

from maskmake.network.networks import (
    BatchNormalization,
    ChannelSlice,
    ScaledSum,
    _lambda_layer,
    _legacy_modules,
    build_network,
    save_network,
)
from maskmake.network.saved_networks import load_network

pytestmark = pytest.mark.long

# Of the 128 networks of make test-all.
SAMPLE = [("Unet", "resnet18"), ("PSPNet", "seresnet18")]
# Compiled on the other backend.
OTHER_BACKEND_SAMPLE = [("FPN", "seresnet18")]
TRAIN = SCHEMA["$defs"]["train"]["properties"]


@pytest.mark.parametrize(("architecture", "encoder"), SAMPLE)
def test_a_network_trains_and_is_saved_whole(architecture, encoder):
    images = raw_batch(side_of(architecture))
    check_a_round_trip(build(architecture, encoder), images)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", TRAIN["encoder"]["enum"])
@pytest.mark.parametrize("architecture", TRAIN["architecture"]["enum"])
def test_every_network_trains_and_is_saved_whole(architecture, encoder):
    images = raw_batch(side_of(architecture))
    check_a_round_trip(build(architecture, encoder), images)


def check_on_another_backend(backend, networks, folder):
    """One process for all networks, since a backend takes long to start."""
    if find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    for architecture, encoder in networks:
        save_example(architecture, encoder, folder)
    done = subprocess.run(
        [sys.executable, round_trip.__file__, backend, folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(networks)


# A small network on JAX is in tests/workflow/test_logs.py.
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_network_of_tensorflow_is_the_same_on_another_backend(backend, tmp_path):
    check_on_another_backend(backend, OTHER_BACKEND_SAMPLE, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("encoder", TRAIN["encoder"]["enum"])
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_network_of_tensorflow_is_the_same_on_another_backend(backend, encoder, tmp_path):
    networks = [(architecture, encoder) for architecture in TRAIN["architecture"]["enum"]]
    check_on_another_backend(backend, networks, tmp_path)


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
    save_fold(network, tmp_path, precision="bfloat16")
    loaded, _ = load_network(tmp_path)
    np.testing.assert_array_equal(logits_of(loaded, images), logits)


@pytest.mark.parametrize("architecture", TRAIN["architecture"]["enum"])
def test_logits_have_the_digits_of_float32_in_bfloat16(architecture):
    network = build(architecture, precision="bfloat16")
    logits = logits_of(network, raw_batch(side_of(architecture)))
    assert logits.dtype == np.float32
    assert (logits.astype("bfloat16").astype("float32") != logits).any()
    # What is large stays in bfloat16: all layers before the last convolution.
    core = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    large = {layer.compute_dtype for layer in core.layers[1:] if layer.output.shape[-1] > 1}
    assert large == {"bfloat16"}


def of_groups():
    """What a ResNeXt and an Inception-ResNet have, within a network as the encoders are."""
    images, pixels = keras.Input((None, None, 1)), keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(pixels)
    groups = [keras.layers.Conv2D(2, 1)(ChannelSlice(start, start + 2)(x)) for start in (0, 2)]
    x = ScaledSum(0.17)([x, keras.layers.Concatenate()(groups)])
    return keras.Model(images, keras.Model(pixels, keras.layers.Conv2D(1, 1)(x))(images))


def test_a_saved_network_is_made_of_keras_own_layers(network, tmp_path):
    """So that whoever has the file needs nothing but Keras."""
    networks = {"plain": network, "groups": of_groups()}
    settings = (1, 64, [1 / 64], [-2.0], "float32")
    networks["photographs"] = build_network("Unet", "resnet18", True, *settings)
    script = (
        "import pathlib, sys, keras, numpy\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.keras'):\n"
        "    network = keras.models.load_model(path)\n"
        "    numpy.save(path.with_suffix('.npy'), network(numpy.load(sys.argv[2])))\n"
    )
    images = raw_batch(32)
    np.save(tmp_path / "images.npy", images)
    for name, each in networks.items():
        save_network(each, tmp_path / f"{name}.keras")
    arguments = [tmp_path, tmp_path / "images.npy"]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    for name, each in networks.items():
        logits = np.load(tmp_path / f"{name}.npy")
        expected = logits_of(each, images)
        tolerance = 1e-4 * max(1, np.abs(expected).max())  # untrained, some are in the hundreds
        np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance)


def test_normalisation_by_batch_agrees_with_keras_own():
    rng = np.random.default_rng(0)
    batches = rng.normal(3.0, 2.0, (2, 4, 9, 9, 5)).astype("float32")
    layers = [BatchNormalization(momentum=0.5), keras.layers.BatchNormalization(momentum=0.5)]
    for layer in layers:
        layer.build(batches[0].shape)
        layer.set_weights([w + rng.random(5) for w in layer.get_weights()])
    layers[1].set_weights(layers[0].get_weights())
    gradients = []
    for layer in layers:
        with tf.GradientTape() as tape:
            inputs = tf.constant(batches[0])
            tape.watch(inputs)
            loss = ops.sum(layer(inputs, training=True) ** 3)
        gradients.append(tape.gradient(loss, [inputs, layer.gamma, layer.beta]))
    for ours, own in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, own, rtol=1e-4, atol=1e-3)
    ours, own = (layer(batches[1], training=False) for layer in layers)
    # The running variance differs by n / (n - 1), n the pixels of a batch.
    np.testing.assert_allclose(ours, own, rtol=4 / 324, atol=1e-2)


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


def check_layer(layer, inputs, expected, tmp_path):
    """A layer gives what is expected, and again after it was saved and loaded."""
    nodes = [keras.Input(array.shape[1:]) for array in inputs]
    network = keras.Model(nodes, layer(nodes if len(nodes) > 1 else nodes[0]))
    save_network(network, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    for each in (network, loaded):
        np.testing.assert_allclose(each(inputs), expected, rtol=1e-6)


def test_a_slice_of_channels_is_that_of_numpy(tmp_path):
    """The groups of a ResNeXt."""
    images = raw_batch(8, channels=6)
    check_layer(ChannelSlice(2, 4), [images], images[..., 2:4], tmp_path)


def test_a_scaled_sum_is_that_of_numpy(tmp_path):
    """The residual connections of an Inception-ResNet."""
    first, second = raw_batch(8, channels=6).reshape(2, 2, 8, 8, 3)
    check_layer(ScaledSum(0.17), [first, second], first + 0.17 * second, tmp_path)


def slice_tensor(x, start, stop):
    """Named as in the library, which hands it over as the function of a Lambda layer."""


def test_lambda_functions_of_the_library_become_layers_that_can_be_saved():
    sliced = _lambda_layer(slice_tensor, {"start": 4, "stop": 8}, name="group")
    assert (type(sliced), sliced.start, sliced.stop) == (ChannelSlice, 4, 8)
    summed = _lambda_layer(lambda inputs, scale: None, {"scale": 0.1}, name="sum")
    assert (type(summed), summed.scale, summed.name) == (ScaledSum, 0.1, "sum")


def test_a_slash_in_the_name_of_a_layer_is_replaced():
    """DenseNet's names have one, which Keras 3 refuses."""
    layers = _legacy_modules()["layers"]
    assert layers.Conv2D(1, 1, name="conv1/conv").name == "conv1_conv"
    assert layers.BatchNormalization(name="conv1/bn").name == "conv1_bn"
    assert layers.Activation("relu", name="conv1/relu").name == "conv1_relu"


def test_an_unknown_lambda_function_is_an_error():
    def mystery(x):
        return x

    with pytest.raises(NotImplementedError, match="mystery"):
        _lambda_layer(mystery)
