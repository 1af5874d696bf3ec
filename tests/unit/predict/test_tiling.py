"""Tiles leave no trace: a whole image is predicted as if the network had seen it at once."""

import keras
import numpy as np
import pytest
from keras import ops
from saved_runs import build_small_network, write_fold

from maskmake.data.pixel_store import open_probabilities
from maskmake.network import saved_networks
from maskmake.network.settings import ENCODER_STRIDE, PredictSettings
from maskmake.network.tiles import LARGEST_WHOLE, tile_starts, tile_step
from maskmake.predict import predictor as predictors
from maskmake.predict.mean_logits import MeanLogits
from maskmake.predict.predictor import Predictor, predict_images
from maskmake.predict.tiling import (
    PIXELS_A_CALL,
    ImageStream,
    logit_bands,
    predict_bands,
    tile_profiles,
    tile_side,
)
from maskmake.runtime.errors import UserError

pytestmark = pytest.mark.long


class PointwiseNetwork(keras.layers.Layer):
    """Stands for a network: each logit follows from its own pixel; it keeps what it was given."""

    def __init__(self, side=None, channels=1):
        super().__init__()
        self.input_shape = (None, side, side, channels)
        self.batches = []

    def see(self, tiles):
        """Called with each batch, before it is predicted."""
        assert tiles.dtype == np.float32
        self.batches.append(tiles.shape)

    def call(self, tiles):
        return (ops.mean(tiles, axis=-1, keepdims=True) - 128) / 40


class ShiftingNetwork(PointwiseNetwork):
    """Its logits are those of the pixels one to the right and three below."""

    def call(self, tiles):
        return ops.roll(super().call(tiles), (-3, -1), axis=(1, 2))


class BorderBlindNetwork(PointwiseNetwork):
    """It errs badly on the outermost pixels of a tile, as a network without context does."""

    def call(self, tiles):
        inner = super().call(tiles)[:, 1:-1, 1:-1]
        return ops.pad(inner, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=30)


@pytest.fixture(autouse=True)
def batches_are_shown(monkeypatch):
    """The stand-ins see each batch; to compile them would take longer than to run them."""
    of = MeanLogits.of

    def show(self, tiles, symmetries):
        for network in self.networks:
            if isinstance(network, PointwiseNetwork):
                network.see(tiles)
                self.run_eagerly = True
        return of(self, tiles, symmetries)

    monkeypatch.setattr(MeanLogits, "of", show)


@pytest.fixture(autouse=True)
def unknown_memory(monkeypatch):
    """The stand-ins have no layers from which memory could be estimated."""
    monkeypatch.setattr(predictors, "available_memory", lambda: None)


def in_bands(image, rows=7):
    return (image[start : start + rows] for start in range(0, len(image), rows))


def collect(found):
    """The bands of each image, put together."""
    bands = {}
    for key, band in found:
        bands.setdefault(key, []).append(band)
    return {key: np.concatenate(parts) for key, parts in bands.items()}


def predict(bands_of, networks, images, settings):
    """What is predicted of each of some images by their keys, the probe of the memory left out."""
    planes = {key: image.shape[:2] for key, image in images.items()}
    predictor = Predictor(networks, planes.values(), settings)
    for network in networks:
        network.batches.clear()
    sources = [ImageStream(key, planes[key], in_bands(image)) for key, image in images.items()]
    return collect(bands_of(predictor, sources))


def predict_logits(network, image, settings):
    return predict(logit_bands, [network], {0: image}, settings)[0]


def predict_probability(networks, image, settings):
    return predict(predict_bands, networks, {0: image}, settings)[0]


def random_image(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def settings(tile="auto", overlap=0.5, tta=False):
    return PredictSettings(tile, overlap, tta)


def untiled(image):
    colours = image if image.ndim == 3 else image[..., None]
    return (colours.astype("float32").mean(axis=-1) - 128) / 40


# --- tiled as untiled -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(64, 64), (97, 131), (20, 45), (5, 200), (1, 1), (33, 70, 3), (10, 10, 3)]
)
@pytest.mark.parametrize(("tile", "overlap"), [(32, 0.5), (64, 0.0), (64, 0.9), ("auto", 0.5)])
@pytest.mark.parametrize("tta", [False, True])
def test_tiles_and_symmetries_leave_no_trace(shape, tile, overlap, tta):
    image = random_image(*shape)
    network = PointwiseNetwork(channels=shape[2] if len(shape) == 3 else 1)
    logits = predict_logits(network, image, settings(tile, overlap, tta))
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, untiled(image), atol=1e-4)


def test_16_bit_images_are_not_clipped():
    image = random_image(40, 40, dtype=np.uint16) * 257
    logits = predict_logits(PointwiseNetwork(), image, settings(32))
    np.testing.assert_allclose(logits, untiled(image), rtol=1e-5, atol=1e-4)


def test_the_middle_of_a_tile_outweighs_its_border():
    image = random_image(160, 160)
    logits = predict_logits(BorderBlindNetwork(), image, settings(64, 0.5))
    error = np.abs(logits - untiled(image))[1:-1, 1:-1]
    assert error.max() < 0.5


class StridedNetwork(PointwiseNetwork):
    """An encoder of stride 32, convolutions before and after: it sees 65 pixels to each side."""

    reach = 65

    def __init__(self):
        super().__init__()

        def convolution(x, filters, seed):
            start = keras.initializers.GlorotNormal(seed)
            return keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=start)(x)

        images = keras.Input((None, None, 1))
        scaled = keras.layers.Rescaling(1 / 64, -2)(images)
        fine = convolution(scaled, 4, 0)
        coarse = keras.layers.AveragePooling2D(ENCODER_STRIDE)(fine)
        coarse = keras.layers.Rescaling(16)(convolution(coarse, 4, 1))
        coarse = keras.layers.UpSampling2D(ENCODER_STRIDE)(coarse)
        self._network = keras.Model(images, convolution(fine + coarse, 1, 2))

    def call(self, tiles):
        return self._network(tiles)


@pytest.mark.parametrize(("length", "tta"), [(512, False), (460, True)])
def test_tiles_that_overlap_enough_are_as_the_whole(length, tta):
    image = random_image(length, length) // 2 + np.arange(length, dtype=np.uint8)
    network = StridedNetwork()
    side = -(-length // ENCODER_STRIDE) * ENCODER_STRIDE
    whole = predict_logits(network, image, settings(side, tta=tta))
    tile, overlap = 288, 0.75
    seen_from_one_step_away = tile / 2 - tile_step(tile, overlap)
    assert seen_from_one_step_away > network.reach
    tiled = predict_logits(network, image, settings(tile, overlap, tta))
    assert np.ptp(whole) > 3
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


# --- test-time augmentation -------------------------------------------------------------------


@pytest.mark.parametrize(("turns", "flipped"), [(1, False), (2, True), (3, True), (0, True)])
def test_augmented_prediction_turns_with_the_image(turns, flipped):
    def turned(pixels):
        pixels = np.rot90(pixels, turns)
        return pixels[:, ::-1] if flipped else pixels

    image = random_image(64, 64)
    with_tta, without = (
        [
            predict_logits(ShiftingNetwork(), pixels, settings(64, tta=tta))
            for pixels in (image, turned(image))
        ]
        for tta in (True, False)
    )
    np.testing.assert_allclose(turned(with_tta[0]), with_tta[1], atol=1e-5)
    assert not np.allclose(turned(without[0]), without[1], atol=1e-5)


def test_augmented_prediction_is_the_mean_over_eight_symmetries():
    image = random_image(32, 32)
    network = ShiftingNetwork()
    found = predict_logits(network, image, settings(32, tta=True))
    assert len(network.batches) == 1, "they are one call"
    expected = np.zeros((32, 32))
    for flipped in (False, True):
        for turns in range(4):
            seen = np.rot90(image[:, ::-1] if flipped else image, turns)
            logits = network(seen[None, ..., None].astype("float32")).numpy()[0, ..., 0]
            logits = np.rot90(logits, -turns)
            expected += (logits[:, ::-1] if flipped else logits) / 8
    np.testing.assert_allclose(found, expected, atol=1e-5)


# --- which tiles ------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("tile", [32, 96, 320])
def test_tiles_cover_every_length_and_share_the_overlap(tile, overlap):
    for length in [*range(1, 3 * tile, 7), tile, tile + 1, 2 * tile, 1000, 1999]:
        starts = tile_starts(length, tile, overlap)
        steps = np.diff(starts)
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        if length > tile:
            assert length <= starts[-1] + tile < length + ENCODER_STRIDE
            assert steps.max() <= max(ENCODER_STRIDE, tile - tile * overlap)
            assert steps.max() - steps.min() <= ENCODER_STRIDE
        else:
            assert starts == [0]


@pytest.mark.parametrize(
    ("tile", "overlap", "step"), [(320, 0.8, 64), (288, 0.5, 128), (64, 1, 32)]
)
def test_starts_are_multiples_of_the_stride_of_the_encoder(tile, overlap, step):
    assert tile_step(tile, overlap) == step
    for length in (321, 1000, 1999):
        starts = np.array(tile_starts(length, tile, overlap))
        assert not (starts % ENCODER_STRIDE).any() and np.diff(starts).max() <= step


@pytest.mark.parametrize(
    ("planes", "side"),
    [
        ([(512, 512)], 512),
        ([(500, 333)], 512),
        ([(1, 1)], 32),
        ([(LARGEST_WHOLE, 70)], 256),  # seven tiles of 256 are less than one of 1024
        ([(LARGEST_WHOLE, LARGEST_WHOLE)], LARGEST_WHOLE),
        ([(LARGEST_WHOLE + 1, 70)], 320),
        ([(4000, 6000)], LARGEST_WHOLE // 2),
        ([(256, 256)] * 100 + [(600, 600)], 256),
    ],
)
def test_auto_takes_one_side_for_all_images_and_few_pixels(planes, side):
    assert tile_side(planes, settings("auto")) == side
    assert side % 32 == 0
    assert tile_side(planes, settings(192)) == 192


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


def test_a_fault_ends_its_image_alone():
    def broken(image):
        yield image[:70]
        raise UserError("cut short")

    images = [random_image(128, 64, seed=i) for i in range(3)]
    predictor = Predictor([PointwiseNetwork()], [(128, 64)] * 3, settings(32, 0.5))
    bands = [in_bands(images[0]), broken(images[1]), in_bands(images[2])]
    found = list(
        logit_bands(predictor, [ImageStream(i, (128, 64), b) for i, b in enumerate(bands)])
    )
    faults = [(key, str(band)) for key, band in found if isinstance(band, UserError)]
    assert faults == [(1, "cut short")]
    whole = collect((key, band) for key, band in found if key != 1)
    for i in (0, 2):
        np.testing.assert_allclose(whole[i], untiled(images[i]), atol=1e-4)


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


@pytest.mark.parametrize("tile", [32, 96, 512])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_tile_weights_fall_from_the_middle_but_not_to_the_border_of_the_image(tile, overlap):
    first, inner, last = weights = tile_profiles(3, tile, overlap)
    assert weights.dtype == np.float32
    assert weights.min() ** 2 > 0 and weights.max() <= 1
    np.testing.assert_array_equal(inner, inner[::-1])
    assert (np.diff(inner[tile // 2 :]) <= 0).all() and inner[0] < 0.2 < 0.9 < inner[tile // 2]
    assert (first[: tile // 2] == 1).all() and (last[tile // 2 :] == 1).all()
    np.testing.assert_array_equal(first[tile // 2 :], inner[tile // 2 :])
    np.testing.assert_array_equal(last[: tile // 2], inner[: tile // 2])
    assert (tile_profiles(1, tile, overlap) == 1).all()


# --- probabilities ----------------------------------------------------------------------------


def test_probabilities_are_the_sigmoid_of_the_mean_logit():
    image = random_image(40, 50)
    image[0, :2] = 0, 255
    networks = [PointwiseNetwork(), PointwiseNetwork()]
    networks[1].call = lambda tiles: ops.full_like(tiles, -200)
    (one, two) = (predict_probability(networks[:n], image, settings(32)) for n in (1, 2))
    np.testing.assert_allclose(one, 1 / (1 + np.exp(-untiled(image))), atol=1e-3)
    assert two.dtype == one.dtype == np.float16
    assert (two < 1e-6).all()


def test_extreme_logits_stay_in_range_and_are_no_negative_zero():
    network = PointwiseNetwork()
    network.call = lambda tiles: ops.where(tiles > 128, 1e4, -1e4)
    probability = predict_probability([network], random_image(40, 40), settings(32, tta=True))
    assert set(np.unique(probability)) == {0.0, 1.0}
    assert not np.signbit(probability).any()


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
