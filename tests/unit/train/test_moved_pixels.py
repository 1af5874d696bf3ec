"""Where pixels are moved to: flips, turns, maps, and what lies outside."""

import numpy as np
import pytest
import tensorflow as tf
from augmenting import BATCH, SIDE, augmented, random_batch, repeat
from scipy import ndimage

from maskmake.network.settings import AugmentationSettings
from maskmake.train.augmentation import warp

pytestmark = pytest.mark.long

# The eight symmetries of a square.
SYMMETRIES = [(turns, flipped) for flipped in (False, True) for turns in range(4)]


def symmetry(pixels, turns, flipped):
    turned = np.rot90(pixels, turns)
    return turned[:, ::-1] if flipped else turned


# --- flips and quarter turns ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"flip_horizontal": True}, {(0, False), (0, True)}),
        ({"flip_vertical": True}, {(0, False), (2, True)}),
        ({"quarter_turns": True}, {(turns, False) for turns in range(4)}),
        (
            {"flip_horizontal": True, "flip_vertical": True, "quarter_turns": True},
            set(SYMMETRIES),
        ),
    ],
    ids=["flip_horizontal", "flip_vertical", "quarter_turns", "all"],
)
@pytest.mark.parametrize("side", [32, 33])
@pytest.mark.parametrize("channels", [1, 3])
def test_flips_and_turns_only_permute_pixels(changes, allowed, side, channels):
    settings = AugmentationSettings(**changes)
    seen = set()
    for images, labels, new_images, new_labels in repeat(settings, side=side, channels=channels):
        for image, label, new_image, new_label in zip(
            images, labels, new_images, new_labels, strict=True
        ):
            matching = [
                s for s in SYMMETRIES if np.allclose(symmetry(image, *s), new_image, atol=0.01)
            ]
            assert len(matching) == 1
            np.testing.assert_array_equal(symmetry(label, *matching[0]), new_label)
            seen.add(matching[0])
    assert seen == allowed


def test_the_identity_map_keeps_pixels():
    images, _ = random_batch(channels=3)
    identity = np.tile(np.eye(2, 3, dtype="float32"), (BATCH, 1, 1))
    for fill in ("reflect", "nearest"):
        warped = warp(tf.constant(images), tf.constant(identity), fill)
        np.testing.assert_allclose(warped, images, atol=0.01)


# --- what lies outside ------------------------------------------------------------------------


@pytest.mark.parametrize(("fill", "padding"), [("reflect", "reflect"), ("nearest", "edge")])
@pytest.mark.parametrize("pixels", [(5, -9), (-31, 0), (0, 17)])
def test_fill_is_that_of_numpy(fill, padding, pixels):
    images, _ = random_batch(channels=2)
    shift = np.array(pixels, "float32") / SIDE
    matrix = np.concatenate([np.eye(2), shift[:, None]], axis=1).astype("float32")
    warped = warp(tf.constant(images), tf.constant(np.tile(matrix, (BATCH, 1, 1))), fill)
    padded = np.pad(images, [(0, 0), (SIDE - 1, SIDE - 1), (SIDE - 1, SIDE - 1), (0, 0)], padding)
    y, x = (SIDE - 1 + offset for offset in pixels)
    np.testing.assert_allclose(warped, padded[:, y : y + SIDE, x : x + SIDE], atol=0.02)


def test_a_map_between_pixels_is_bilinear():
    images, _ = random_batch()
    random = np.random.default_rng(4)
    matrix = np.eye(2, 3) + random.uniform(-0.15, 0.15, (2, 3))
    warped = warp(tf.constant(images), np.tile(matrix, (BATCH, 1, 1)).astype("float32"), "nearest")
    middle = (SIDE - 1) / 2
    offset = middle + matrix[:, 2] * SIDE - matrix[:, :2] @ [middle, middle]
    for image, result in zip(images, np.asarray(warped), strict=True):
        expected = ndimage.affine_transform(
            image[..., 0], matrix[:, :2], offset, order=1, mode="nearest"
        )
        np.testing.assert_allclose(result[..., 0], expected, atol=0.05)


# --- how far ----------------------------------------------------------------------------------


def test_zoom_and_shift_stay_in_their_range():
    ramp = np.tile(np.arange(SIDE, dtype="float32")[None, :, None, None], (BATCH, 1, SIDE, 1))
    zeros = np.zeros_like(ramp)
    slopes, shifts = [], []
    for seed in range(25):
        zoomed, _ = augmented(ramp, zeros, AugmentationSettings(zoom=0.25, fill="nearest"), seed)
        slopes.extend(zoomed[:, 17, 16, 0] - zoomed[:, 16, 16, 0])
        shifted, _ = augmented(ramp, zeros, AugmentationSettings(shift=0.25, fill="nearest"), seed)
        shifts.extend(shifted[:, 16, 16, 0] - 16)
    assert 1 / 1.25 - 1e-3 < min(slopes) < 0.84
    assert 1.25 < max(slopes) < 1 / 0.75 + 1e-3
    assert -8.01 < min(shifts) < -6.5
    assert 6.5 < max(shifts) < 8.01


def test_elastic_deformation_is_smooth_and_as_wide_as_asked_for():
    side, deviation = 64, 0.02
    ramp = np.tile(np.arange(side, dtype="float32")[None, None, :, None], (100, side, 1, 1))
    settings = AugmentationSettings(elastic=deviation, elastic_grid=3, fill="nearest")
    moved, _ = augmented(ramp, np.zeros_like(ramp), settings)
    moves = (moved - ramp)[:, :, 16:-16, 0]
    # Halfway between two grid points the mean of two draws is a share of sqrt(1/2) as wide.
    assert np.std(moves[:, 32, 16]) == pytest.approx(deviation * side, rel=0.25)
    steps = np.abs(np.diff(moves, axis=1)).max()
    assert 0 < steps < 6 * deviation * side / (side / 2)
