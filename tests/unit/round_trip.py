"""A network builds, takes a step, is saved, loaded, and predicts the same.

As a program, on another backend than TensorFlow, which Keras chooses once per process:
``round_trip.py <backend> <folder>`` checks the networks that ``save_example`` left in the folder.
"""

import os
import sys
import tempfile
import zipfile
from pathlib import Path

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = sys.argv[1]
    # Each network runs a few times only, so that optimising its code takes longest.
    os.environ["XLA_FLAGS"] = (
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        " --xla_cpu_use_fusion_emitters=false"
    )
    sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))
    sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
from saved_runs import record

from maskmake.network.networks import build_network, save_network
from maskmake.network.saved_networks import load_network
from maskmake.runtime.files import write_json

COMPILED = keras.backend.backend() == "jax"  # which compiles each operation otherwise


def build(architecture="Unet", encoder="resnet18", channels=1, patch=64, **changes):
    settings = {
        "encoder_weights": None,
        "scale": [1 / 64] * channels,
        "offset": [-2.0] * channels,
        "precision": "float32",
    }
    settings |= {"channels": channels, "patch": side_of(architecture, patch)} | changes
    pretrained = settings["encoder_weights"] is not None
    return build_network(architecture, encoder, pretrained, **settings)


def side_of(architecture, side=64):
    """Smaller patches leave batch normalisation so few pixels that a step may end in NaN."""
    return 96 if architecture == "PSPNet" else side


def raw_batch(side, channels=1, count=2):
    shape = (count, side, side, channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def logits_of(network, images):
    if COMPILED:
        return network.predict_on_batch(images)
    return keras.ops.convert_to_numpy(network(images, training=False))


def check_a_round_trip(network, images):
    """One step, save, load, predict."""
    labels = (images > 128).astype("float32")
    before = network.get_weights()
    # As in a training, the network itself is not compiled, so its file has no optimizer.
    trained = keras.Model(network.inputs, network.outputs)
    trained.compile(
        "sgd",
        keras.losses.BinaryCrossentropy(from_logits=True),
        run_eagerly=not COMPILED,
        jit_compile=COMPILED,
    )
    assert np.isfinite(trained.train_on_batch(images, labels))
    changed = [(a != b).any() for a, b in zip(before, network.get_weights(), strict=True)]
    assert np.mean(changed) > 0.7  # an EfficientNet leaves out some blocks in each step

    logits = logits_of(network, images)
    assert logits.shape == images.shape
    assert np.isfinite(logits).all()
    with tempfile.TemporaryDirectory() as folder:
        save_fold(network, Path(folder))
        with zipfile.ZipFile(Path(folder, "model.keras")) as archive:
            assert b"maskmake" not in archive.read("config.json"), "Keras alone opens it"
        loaded, _ = load_network(folder)
    np.testing.assert_array_equal(logits_of(loaded, images), logits)


def save_fold(network, folder, precision="float32"):
    """Write ``model.keras`` and ``training.json`` of a network of ``build``."""
    save_network(network, folder / "model.keras")
    architecture, encoder = network.name.split("_")
    channels = network.input_shape[-1]
    contents = record(network, channels, "uint8", [1 / 64] * channels, [-2.0] * channels)
    of_network = {"architecture": architecture, "encoder": encoder, "patch": side_of(architecture)}
    settings = {**contents["settings"], **of_network}
    write_json(folder / "training.json", {**contents, "settings": settings, "precision": precision})


def save_example(architecture, encoder, folder):
    """Leave a network and the logits of a batch in a folder."""
    network, path = build(architecture, encoder), folder / f"{architecture}-{encoder}.keras"
    halve_activations(network)
    save_network(network, path)
    np.save(path.with_suffix(".npy"), logits_of(network, example(architecture)))


def halve_activations(network):
    """Let each batch normalisation halve its values.

    Untrained, they grow to thousands in the deepest squeeze-and-excitation encoders, whose gates
    then turn a millionth of the input into half of the output, on one backend alone.
    """
    for weight in network.weights:
        if weight.name == "moving_variance":
            weight.assign(weight * 4)


def example(architecture):
    return raw_batch(side_of(architecture))


def check_an_example(path):
    """The same weights give the same logits on this backend, and the network trains."""
    architecture, encoder = path.stem.split("-")
    network, images = build(architecture, encoder), example(architecture)
    network.load_weights(path)
    logits = np.load(path.with_suffix(".npy"))
    tolerance = 1e-4 * np.abs(logits).max()
    np.testing.assert_allclose(logits_of(network, images), logits, rtol=0, atol=tolerance)
    check_a_round_trip(network, images)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[2]).glob("*.keras")):
        check_an_example(path)
        print(path.stem, flush=True)
