"""What a network is called with: batches and tiles that fit, of all images of a run."""

import keras
import numpy as np
import pytest
from saved_runs import build_small_network, write_fold
from stand_ins import PointwiseNetwork, predict, predict_logits, random_image, settings, untiled

from maskmake.data.pixel_store import open_probabilities
from maskmake.network import saved_networks
from maskmake.predict import predictor as predictors
from maskmake.predict.predictor import Predictor, predict_images
from maskmake.predict.tiling import PIXELS_A_CALL, logit_bands
from maskmake.runtime.errors import UserError

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("batches_are_shown", "unknown_memory"),
]


def test_images_of_all_sizes_share_batches_of_one_shape():
    shapes = [(50, 60), (200, 31), (300, 300), (5, 5), (128, 128)]
    images = {i: random_image(*shape, seed=i) for i, shape in enumerate(shapes)}
    network = PointwiseNetwork()
    found = predict(logit_bands, [network], images, settings(64, 0.5))
    assert list(found) == list(images)
    for i, image in images.items():
        np.testing.assert_allclose(found[i], untiled(image), atol=1e-4)
    tiles = 1 + 6 + 81 + 1 + 9
    assert network.batches == [(tiles, 64, 64, 1)], "not padded to what fits into a call"


def test_more_tiles_than_fit_into_a_call_share_batches_of_one_shape():
    images = {i: random_image(256, 256, seed=i) for i in range(20)}
    network = PointwiseNetwork()
    found = predict(logit_bands, [network], images, settings(256))
    for i, image in images.items():
        np.testing.assert_allclose(found[i], untiled(image), atol=1e-4)
    assert network.batches == [(16, 256, 256, 1)] * 2


class SmallMemory(PointwiseNetwork):
    """It fails as TensorFlow does where a call holds more pixels than fit."""

    fits = 0

    def see(self, tiles):
        if np.prod(tiles.shape) > self.fits:
            raise RuntimeError("RESOURCE_EXHAUSTED: failed to allocate")
        super().see(tiles)


@pytest.mark.parametrize(
    ("pixels", "batch", "side"), [(2**17, 2, 256), (2**16, 1, 256), (2**15, 1, 128)]
)
def test_batch_and_then_tile_are_halved_until_they_fit(pixels, batch, side, caplog, monkeypatch):
    monkeypatch.setattr(predictors.logger, "propagate", True)
    network = SmallMemory()
    network.fits = pixels
    image = random_image(300, 300)
    logits = predict_logits(network, image, settings(256))
    np.testing.assert_allclose(logits, untiled(image), atol=1e-4)
    assert set(network.batches) == {(batch, side, side, 1)}
    words = f"a batch of {batch} tile{'s' * (batch > 1)} of {side} x {side} pixels."
    assert words in caplog.records[-1].getMessage()


@pytest.mark.parametrize("side", [None, 96], ids=["any tile", "bound to its patch"])
def test_a_tile_that_cannot_be_smaller_is_refused(side):
    with pytest.raises(UserError, match=r"predict\.tile: a batch of 1 tile of .* does not fit"):
        Predictor([SmallMemory(side)], [(300, 300)], settings())


def test_an_estimate_keeps_a_processor_from_taking_too_much(monkeypatch):
    layers = [keras.Input((None, None, 1)), keras.layers.Conv2D(1, 1)]
    network = keras.Sequential(layers)
    monkeypatch.setattr(predictors, "describe_device", lambda: "CPU")
    monkeypatch.setattr(predictors, "available_memory", lambda: 2**16)
    assert Predictor([network], [(256, 256)], settings()).side < 256
    monkeypatch.setattr(predictors, "available_memory", lambda: 2**40)
    assert Predictor([network], [(256, 256)], settings()).side == 256


def test_a_network_bound_to_its_patch_sets_the_tile():
    network = PointwiseNetwork(side=96)
    image = random_image(200, 150)
    logits = predict_logits(network, image, settings(64))
    assert {shape[1:3] for shape in network.batches} == {(96, 96)}
    np.testing.assert_allclose(logits, untiled(image), atol=1e-4)


def test_a_call_holds_a_bounded_number_of_pixels():
    network = PointwiseNetwork()
    predict_logits(network, random_image(1100, 1100), settings(128, 0.5))
    assert len(network.batches) > 1
    assert max(np.prod(shape) for shape in network.batches) <= PIXELS_A_CALL
    assert {shape[1:] for shape in network.batches} == {(128, 128, 1)}


@pytest.fixture
def model(tmp_path, monkeypatch):
    """The folder of a fold whose logit is (pixel - 128) / 40."""
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    write_fold(tmp_path / "fold0", scale=[1 / 40], offset=[-128 / 40])
    return tmp_path / "fold0"


@pytest.mark.parametrize("planes", [[(40, 70)] * 3, [(40, 70), (33, 20), (64, 64)]])
def test_images_of_a_store_are_predicted_in_the_order_of_the_ids(
    make_stores, model, tmp_path, planes
):
    images = {i: random_image(*plane) for i, plane in zip("abc", planes, strict=True)}
    index, *_ = make_stores(images, images)
    flat = np.concatenate([image.reshape(-1) for image in images.values()])
    np.save(tmp_path / "images.npy", flat)
    path = tmp_path / "probabilities.npy"
    table = predict_images(
        model, tmp_path / "images.npy", index, ["c", "a"], settings(32, tta=True), path
    )
    written = np.load(path)
    assert written.dtype == np.float16
    assert written.ndim == (3 if len(set(planes)) == 1 else 1)
    assert table["id"].tolist() == ["c", "a"]
    probabilities = open_probabilities(path, index, ["c", "a"], table["sha256"])
    for image_id in ("c", "a"):
        expected = 1 / (1 + np.exp(-untiled(images[image_id])))
        np.testing.assert_allclose(probabilities[image_id], expected, atol=1e-3)
