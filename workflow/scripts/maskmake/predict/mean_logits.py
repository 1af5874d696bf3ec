"""The mean logits of networks over the symmetries of the square, in one compiled call.

A batch goes to the device once, and its logits come back once. With a call for
each symmetry a GPU waits most of the time for the tiles that the host turns and sends again.

The mean of each of several networks is cut at ``LARGEST_LOGIT``, so that new images have the masks
that ``fold_probabilities`` gives test images.
"""

import keras
import numpy as np
from keras import ops

from maskmake.network.device import uses_xla
from maskmake.network.logit_range import LARGEST_LOGIT

SYMMETRIES = 8  # four quarter turns, each with and without a flip


class MeanLogits(keras.Model):
    """Networks that share their input and whose logits are averaged.

    Args:
        networks: from raw pixels (B, H, W, C) to logits (B, H, W, 1).
    """

    def __init__(self, networks: list[keras.Model]):
        super().__init__()
        self.networks = networks
        self.compile(jit_compile=uses_xla(keras.backend.backend()))

    def of(self, tiles: np.ndarray, symmetries: int) -> np.ndarray:
        """Mean logits (B, S, S) float32 of square tiles of raw pixel values.

        Args:
            tiles: (B, S, S, C) float32. Each new shape is compiled once.
            symmetries: how many of the ``SYMMETRIES`` to take; the first one is the identity.
        """
        return self.predict_on_batch((tiles, np.int32(symmetries)))[..., 0]

    def call(self, inputs):
        tiles, symmetries = inputs
        means = [_mean_logits(network, tiles, symmetries) for network in self.networks]
        if len(means) > 1:
            means = [ops.clip(mean, -LARGEST_LOGIT, LARGEST_LOGIT) for mean in means]
        return sum(means) / len(means)


def _mean_logits(network, tiles, symmetries):
    """Of one network, over the first ones of the symmetries."""

    # A loop, because eight copies of a network would take eight times as long to compile.
    def add(number, total):
        return total + _undo(network(_apply(tiles, number), training=False), number)

    total = ops.fori_loop(0, symmetries, add, ops.zeros_like(tiles[..., :1]))
    return total / ops.cast(symmetries, "float32")


def _apply(tiles, number):
    """A symmetry by its number: each of its three bits stands for one step."""
    tiles = ops.where(number % 2 > 0, ops.flip(tiles, 1), tiles)
    tiles = ops.where(number // 2 % 2 > 0, ops.flip(tiles, 2), tiles)
    return ops.where(number // 4 > 0, ops.transpose(tiles, (0, 2, 1, 3)), tiles)


def _undo(tiles, number):
    tiles = ops.where(number // 4 > 0, ops.transpose(tiles, (0, 2, 1, 3)), tiles)
    tiles = ops.where(number // 2 % 2 > 0, ops.flip(tiles, 2), tiles)
    return ops.where(number % 2 > 0, ops.flip(tiles, 1), tiles)
