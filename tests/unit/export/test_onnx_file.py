"""The graph of ONNX gives the probabilities of Keras: which networks can be exported."""

import keras
import numpy as np
import pytest
from scipy.special import expit

pytest.importorskip("onnxruntime", reason="locked, but not installed; run make setup")
pytest.importorskip("tf2onnx", reason="locked, but not installed; run make setup")

import onnxruntime
from network_table import networks
from saved_runs import build_small_network

from maskmake.export.agreement import CLOSE, largest_allowed
from maskmake.export.onnx_file import mean_network, write_onnx
from maskmake.network.networks import build_network

pytestmark = pytest.mark.slow

SIDES = [(32, 32), (64, 96), (96, 96), (128, 160)]
SIDE = 96  # what a PSPNet is bound to, which has to divide by 48


def tiles_of(batch, height, width):
    return np.random.default_rng(0).uniform(0, 255, (batch, height, width, 1)).astype(np.float32)


def build(decoder, encoder, seed=1):
    """A network with random weights whose values have the size of those of a trained one.

    Each batch normalisation gets the statistics of its values. Without that they grow from layer
    to layer, logits reach 200, and what float32 rounds is as large as the allowed difference. So it
    is with statistics of images of 96 x 96, of whose deepest values too few are left.
    """
    keras.utils.set_random_seed(seed)
    network = build_network(decoder, encoder, False, 1, SIDE, [1 / 64], [-2.0], "float32")
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    side = network.input_shape[1] or max(map(max, SIDES))
    network(tiles_of(4, side, side), training=True)
    return network


def differences(folds, path, rounding=False):
    """Of probabilities of Keras and ONNX, at four sizes and two batches: found and allowed."""
    network = mean_network(folds)
    write_onnx(folds, path)
    session = onnxruntime.InferenceSession(path)
    (images,) = session.get_inputs()
    bound = network.input_shape[1]
    sides = [(bound, bound)] if bound else SIDES
    assert images.shape == ["batch", *([bound] * 2 if bound else ["height", "width"]), 1]
    rows = []
    for batch in (1, 3):
        for side in sides:
            tiles = tiles_of(batch, *side)
            expected = np.asarray(network(tiles, training=False))
            assert 0.05 < expected.std() < 20  # neither nothing nor 0 and 1 alone
            (found,) = session.run(["logits"], {"images": tiles})
            difference = np.abs(expit(found) - expit(expected)).max()
            allowed = CLOSE
            if rounding and difference >= CLOSE:  # else the answer is the same, and a minute sooner
                allowed = largest_allowed(network, tiles, expected)
            rows.append((difference, allowed))
    return rows


def assert_close(folds, path, rounding=False):
    for difference, allowed in differences(folds, path, rounding):
        assert difference < allowed


@pytest.mark.parametrize(
    "row", [row for row in networks() if row.encoder == "resnet18"], ids=lambda row: row.decoder
)
def test_each_decoder(row, tmp_path):
    network = build(row.decoder, row.encoder)
    assert_close([network], tmp_path / "model.onnx")


def test_the_mean_of_an_ensemble(tmp_path):
    folds = [build("Unet", "resnet18", seed) for seed in (1, 2)]
    mean = mean_network(folds)
    tiles = tiles_of(1, 64, 64)
    expected = np.mean([network.predict_on_batch(tiles) for network in folds], axis=0)
    np.testing.assert_allclose(mean.predict_on_batch(tiles), expected, atol=1e-5)
    assert_close(folds, tmp_path / "model.onnx")


def test_one_network_of_an_ensemble_that_is_far_too_sure_is_cut(tmp_path):
    """As stored probabilities are, whose logits are 8.3 at most."""
    sure = build_small_network("", "", False, 1, SIDE, [1 / 64], [18.0], "float32")
    other = build_small_network("", "", False, 1, SIDE, [1 / 64], [-6.0], "float32")
    assert_close([sure, other], tmp_path / "model.onnx")
    tiles = tiles_of(1, 64, 64)
    expected = (np.log(2**12 - 1) + tiles / 64 - 6) / 2
    found = mean_network([sure, other]).predict_on_batch(tiles)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "row", [row for row in networks() if row.decoder == "Unet"], ids=lambda row: row.encoder
)
def test_each_encoder(row, tmp_path):
    network = build(row.decoder, row.encoder)
    assert_close([network], tmp_path / "model.onnx", rounding=True)
