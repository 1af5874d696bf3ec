"""Tiles leave no trace: a whole image is predicted as if the network had seen it at once."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import expit
from stand_ins import (
    PointwiseNetwork,
    ShiftingNetwork,
    collect,
    in_bands,
    predict,
    predict_logits,
    random_image,
    settings,
    untiled,
)

from maskmake.network.settings import ENCODER_STRIDE
from maskmake.network.tiles import LARGEST_WHOLE, tile_step
from maskmake.predict.predictor import Predictor
from maskmake.predict.tiling import (
    ImageStream,
    logit_bands,
    predict_bands,
    tile_profiles,
    tile_side,
)
from maskmake.runtime.errors import UserError

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("batches_are_shown", "unknown_memory"),
]


class BorderBlindNetwork(PointwiseNetwork):
    """It errs badly on the outermost pixels of a tile, as a network without context does."""

    def call(self, tiles):
        inner = super().call(tiles)[:, 1:-1, 1:-1]
        return ops.pad(inner, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=30)


def predict_probability(networks, image, settings):
    return predict(predict_bands, networks, {0: image}, settings)[0]


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


# --- the side and the weights of tiles ---------------------------------------------------------


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
    assert tile_side(planes, settings(192)) == 192


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
    # The second one counts as -8.3, as in the mean of stored probabilities.
    np.testing.assert_allclose(two, expit((untiled(image) - np.log(2**12 - 1)) / 2), rtol=2e-3)


def test_extreme_logits_stay_in_range_and_are_no_negative_zero():
    network = PointwiseNetwork()
    network.call = lambda tiles: ops.where(tiles > 128, 1e4, -1e4)
    probability = predict_probability([network], random_image(40, 40), settings(32, tta=True))
    assert set(np.unique(probability)) == {0.0, 1.0}
    assert not np.signbit(probability).any()
