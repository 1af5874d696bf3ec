"""What each change of intensity does to an image, and that labels stay as they are."""

import numpy as np
import pytest
import tensorflow as tf
from augmenting import BATCH, INTENSITY, SIDE, STD, augmented, random_batch
from scipy import ndimage

from maskmake.network.settings import AugmentationSettings
from maskmake.train.augmentation import blur, gamma, lower_resolution

pytestmark = pytest.mark.long


def test_brightness_contrast_and_noise_are_measured_in_standard_deviations():
    images, labels = random_batch()
    gains, factors, levels = [], [], []
    middle = images.mean(axis=(1, 2), keepdims=True)
    for seed in range(25):
        new, new_labels = augmented(images, labels, AugmentationSettings(brightness=0.5), seed)
        gain = new - images
        assert np.ptp(gain, axis=(1, 2)).max() < 1e-3
        gains.extend(gain[:, 0, 0, 0] / STD[0])
        new, _ = augmented(images, labels, AugmentationSettings(contrast=0.25), seed)
        factors.extend((new - middle).std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3)))
        new, _ = augmented(images, labels, AugmentationSettings(noise=0.2), seed)
        levels.extend((new - images).std(axis=(1, 2, 3)) / STD[0])
        np.testing.assert_array_equal(new_labels, labels)
    assert -0.501 < min(gains) < -0.4
    assert 0.4 < max(gains) < 0.501
    assert 0.749 < min(factors) < 0.8
    assert 1.2 < max(factors) < 1.251
    assert max(levels) < 0.22
    assert max(levels) > 0.15


@pytest.mark.parametrize("channels", [1, 3])
def test_intensity_leaves_labels_alone(channels):
    std = np.full(channels, 30.0, "float32")
    images, labels = random_batch(channels=channels)
    for seed in range(5):
        new_images, new_labels = augmented(images, labels, INTENSITY, seed, std)
        np.testing.assert_array_equal(new_labels, labels)
        assert (np.abs(new_images - images).max(axis=(1, 2, 3)) > 1).all()


def test_blur_is_that_of_scipy_and_keeps_the_mean():
    images, _ = random_batch(channels=2)
    sigma = np.array([0.0, 0.5, 1.0, 2.0], "float32")
    blurred = np.asarray(blur(tf.constant(images), tf.constant(sigma), 8))
    np.testing.assert_array_equal(blurred[0], images[0])
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)
    for image, result, width in zip(images[1:], blurred[1:], sigma[1:], strict=True):
        # scipy's "reflect" repeats the outermost pixel.
        expected = ndimage.gaussian_filter(
            image, (width, width, 0), mode="reflect", radius=(8, 8, 0)
        )
        np.testing.assert_allclose(result, expected, atol=0.02)


def test_blur_reaches_beyond_a_small_patch():
    images, _ = random_batch(side=4)
    blurred = np.asarray(blur(tf.constant(images), tf.fill([BATCH], 3.0), 9))
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-5)


def test_a_lower_resolution_keeps_a_part_of_the_pixels():
    ramp = np.tile(np.arange(SIDE, dtype="float32")[None, :, None, None], (3, 1, SIDE, 1))
    resolution = np.array([1.0, 0.5, 0.25], "float32")
    kept, half, quarter = np.asarray(lower_resolution(tf.constant(ramp), tf.constant(resolution)))
    np.testing.assert_array_equal(kept, ramp[0])
    # Of each two pixels the second is kept, and new pixels lie a quarter or three between them.
    np.testing.assert_allclose(half[1:5, 0, 0], [1.5, 2.5, 3.5, 4.5])
    np.testing.assert_allclose(half[[0, -1], 0, 0], [1, 31])
    np.testing.assert_allclose(quarter[[0, 1, -1], 0, 0], [2, 2, 30])
    assert (np.diff(quarter[:, 0, 0]) >= 0).all()


def test_a_lower_resolution_keeps_a_flat_image_and_mixes_no_images():
    flat = np.arange(1, 5, dtype="float32")[:, None, None, None] * np.ones(
        (4, 17, 23, 2), "float32"
    )
    resolution = np.array([0.1, 0.37, 0.83, 0.999], "float32")
    result = np.asarray(lower_resolution(tf.constant(flat), tf.constant(resolution)))
    np.testing.assert_allclose(result, flat, rtol=1e-6)


def test_gamma_keeps_the_range_of_each_image():
    images, _ = random_batch(channels=2)
    images[1] += 500
    exponent = np.array([1.0, 0.7, 1.5, 1.2], "float32")
    changed = np.asarray(gamma(tf.constant(images), tf.constant(exponent)))
    for extreme in (np.min, np.max):
        np.testing.assert_allclose(
            extreme(changed, axis=(1, 2)), extreme(images, axis=(1, 2)), atol=0.01
        )
    np.testing.assert_allclose(changed[0], images[0], atol=0.01)
    assert changed[1].mean() > images[1].mean() + 5
    assert changed[2].mean() < images[2].mean() - 5


def test_gamma_of_the_negative_turns_the_range_round():
    images, labels = random_batch(count=50)
    images[:, 0, :3, 0] = 0, 100, 255
    settings = AugmentationSettings(
        gamma=2.0, gamma_probability=0.0, gamma_negative_probability=1.0
    )
    changed, _ = augmented(images, labels, settings)
    negative = 1 - changed / 255
    for image, result in zip(images, negative, strict=True):
        exponent = np.log(result[0, 1, 0]) / np.log(155 / 255)
        assert 0.5 <= exponent <= 2
        np.testing.assert_allclose(result, (1 - image / 255) ** exponent, atol=0.02)


def test_a_flat_image_stays_finite():
    flat = np.full((BATCH, SIDE, SIDE, 1), 7.0, "float32")
    new_images, _ = augmented(flat, np.zeros_like(flat), INTENSITY)
    assert np.isfinite(new_images).all()


def test_gain_is_measured_from_the_darkest_pixel():
    images, labels = random_batch()
    images += 30000
    changed, _ = augmented(images, labels, AugmentationSettings(gain=0.25))
    dark = images.min(axis=(1, 2, 3))
    np.testing.assert_allclose(changed.min(axis=(1, 2, 3)), dark)
    factor = (changed.max(axis=(1, 2, 3)) - dark) / np.ptp(images, axis=(1, 2, 3))
    assert ((factor > 0.749) & (factor < 1.251)).all()
    assert len(np.unique(factor)) == BATCH
