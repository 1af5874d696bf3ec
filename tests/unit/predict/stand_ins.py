"""Networks whose logits are known, and what is predicted with them from images in bands."""

import keras
import numpy as np
from keras import ops

from maskmake.network.settings import PredictSettings
from maskmake.predict.predictor import Predictor
from maskmake.predict.tiling import ImageStream, logit_bands


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


def random_image(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def settings(tile="auto", overlap=0.5, tta=False):
    return PredictSettings(tile, overlap, tta)


def untiled(image):
    colours = image if image.ndim == 3 else image[..., None]
    return (colours.astype("float32").mean(axis=-1) - 128) / 40
