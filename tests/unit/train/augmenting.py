"""Batches that are augmented, and the settings of every change."""

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage

from maskmake.network.settings import AugmentationSettings
from maskmake.train.augmentation import augment

BATCH, SIDE = 4, 32
STD = np.array([30.0], "float32")
EVERYTHING = AugmentationSettings(
    flip_horizontal=True,
    flip_vertical=True,
    quarter_turns=True,
    rotation=20.0,
    zoom=0.3,
    shift=0.2,
    shear=10.0,
    elastic=0.02,
    brightness=0.3,
    contrast=0.25,
    noise=0.2,
)
INTENSITY = AugmentationSettings(
    noise=0.2,
    blur=1.0,
    gain=0.25,
    brightness=0.3,
    contrast=0.25,
    low_resolution=0.5,
    gamma=1.5,
    gamma_negative_probability=0.5,
)

# Each change that has a probability of its own, at a strength that cannot be overlooked.
AMOUNTS = {
    "rotation": 90.0,
    "zoom": 0.5,
    "shift": 0.3,
    "shear": 30.0,
    "elastic": 0.05,
    "noise": 0.5,
    "blur": 2.0,
    "gain": 0.5,
    "brightness": 0.5,
    "contrast": 0.5,
    "low_resolution": 0.3,
    "gamma": 2.0,
}


def random_batch(seed=0, channels=1, count=BATCH, side=SIDE):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, side, side, channels)).astype("float32")
    blobs = ndimage.gaussian_filter(random.standard_normal((count, side, side)), (0, 3, 3))
    return images, (blobs > 0).astype("float32")[..., None]


def augmented(images, labels, settings, seed=1, std=STD):
    seeds = keras.random.SeedGenerator(seed)
    results = augment(tf.constant(images), tf.constant(labels), settings, std, seeds)
    return tuple(keras.ops.convert_to_numpy(array) for array in results)


def repeat(settings, rounds=12, **batch):
    """Inputs and outputs of some rounds, one after the other, so that every draw has its chance."""
    images, labels = random_batch(**batch)
    for seed in range(rounds):
        yield images, labels, *augmented(images, labels, settings, seed)
