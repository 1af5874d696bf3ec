"""Prediction of whole images of any size: overlapping tiles, averaged as logits."""

from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd
from scipy.special import expit

from maskmake.arrays import offsets_of, open_images, stacked_shape
from maskmake.files import writable_array
from maskmake.log import logger
from maskmake.networks import ENCODER_STRIDE, load_network
from maskmake.settings import PredictSettings

# Up to this side an image is predicted whole; beyond it, in tiles of half the side.
LARGEST_WHOLE = 1024
# Pixels of one network call: 16 tiles of 256 x 256.
PIXELS_A_CALL = 2**20
# Standard deviation of the tile weights as a share of the tile (nnU-Net, Isensee et al. 2021).
WEIGHT_SIGMA = 1 / 8


def _symmetries(whole_group: bool) -> list[tuple[int, bool]]:
    """Quarter turns and flips of a square, or the identity alone."""
    if not whole_group:
        return [(0, False)]
    return [(turns, flipped) for flipped in (False, True) for turns in range(4)]


def _apply(tiles: np.ndarray, turns: int, flipped: bool) -> np.ndarray:
    turned = np.rot90(tiles, turns, axes=(1, 2))
    return turned[:, :, ::-1] if flipped else turned


def _undo(tiles: np.ndarray, turns: int, flipped: bool) -> np.ndarray:
    turned = tiles[:, :, ::-1] if flipped else tiles
    return np.rot90(turned, -turns, axes=(1, 2))


def tile_side(height: int, width: int, tile: int | str) -> int:
    """Side of the square tiles for an image: the setting, or with ``auto`` the whole image."""
    if tile != "auto":
        return tile
    longest = max(height, width)
    if longest > LARGEST_WHOLE:
        return LARGEST_WHOLE // 2
    return -(-longest // ENCODER_STRIDE) * ENCODER_STRIDE


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Evenly spaced starts of tiles that cover ``length`` and share at least ``overlap``."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(start) for start in np.linspace(0, length - tile, count)]


def tile_weights(tile: int) -> np.ndarray:
    """Gaussian weights of a tile, (tile, tile) float32, 1 in the middle and never 0."""
    distance = (np.arange(tile) - (tile - 1) / 2) / (tile * WEIGHT_SIGMA)
    profile = np.exp(-0.5 * distance**2)
    return np.outer(profile, profile).astype(np.float32)


def _pad(image: np.ndarray, side: int) -> np.ndarray:
    """Mirror an image at its lower and right border until it is at least ``side`` in both."""
    missing = [max(0, side - length) for length in image.shape[:2]]
    return np.pad(image, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")


def _batches(places: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]


def predict_logits(
    network: keras.Model, image: np.ndarray, settings: PredictSettings
) -> np.ndarray:
    """Logits of one image.

    Args:
        network: from raw pixels (B, H, W, C) to logits (B, H, W, 1).
        image: (H, W) or (H, W, C), raw pixel values.
        settings: tile, overlap, test-time augmentation.

    Returns:
        (H, W) float32: Gaussian-weighted mean over the tiles, plain mean over the symmetries.
    """
    image = image[:, :, None] if image.ndim == 2 else image
    height, width = image.shape[:2]
    # A network that is bound to the size of its patches (PSPNet) sets the tile.
    side = network.input_shape[1] or tile_side(height, width, settings.tile)
    padded = _pad(image, side)
    places = [
        (y, x)
        for y in tile_starts(padded.shape[0], side, settings.overlap)
        for x in tile_starts(padded.shape[1], side, settings.overlap)
    ]
    weights = tile_weights(side)
    total = np.zeros(padded.shape[:2], np.float32)
    weight = np.zeros(padded.shape[:2], np.float32)
    symmetries = _symmetries(settings.tta)
    for batch in _batches(places, max(1, PIXELS_A_CALL // side**2)):
        tiles = np.stack([padded[y : y + side, x : x + side] for y, x in batch])
        tiles = tiles.astype(np.float32)
        logits = sum(
            _undo(network.predict_on_batch(_apply(tiles, *symmetry)), *symmetry)
            for symmetry in symmetries
        )
        for (y, x), tile in zip(batch, logits[..., 0] / len(symmetries), strict=True):
            total[y : y + side, x : x + side] += weights * tile
            weight[y : y + side, x : x + side] += weights
    return (total / weight)[:height, :width]


def predict_probability(
    networks: list[keras.Model], image: np.ndarray, settings: PredictSettings
) -> np.ndarray:
    """Foreground probability, (H, W) float16: the sigmoid of the mean logit of the networks."""
    logits = sum(predict_logits(network, image, settings) for network in networks)
    return expit(logits / len(networks)).astype(np.float16)


def predict_images(
    model_path: str,
    images_path: str,
    index: pd.DataFrame,
    ids: list[str],
    settings: PredictSettings,
    probabilities_path: str,
) -> None:
    """Write the probabilities of some images of a pixel store, one after the other.

    Args:
        model_path: ``model.keras``.
        images_path: ``images.npy``.
        index: table of ``index.csv``.
        ids: the images, in the order of the output.
        settings: tile, overlap, test-time augmentation.
        probabilities_path: output, float16: N x H x W if all have one shape, else flat.
    """
    network = load_network(model_path)
    images = open_images(images_path, index)
    shapes = [images.shape(image_id)[:2] for image_id in ids]
    with writable_array(probabilities_path, stacked_shape(shapes), np.float16) as array:
        flat = array.reshape(-1)
        for image_id, offset in zip(ids, offsets_of(shapes), strict=True):
            probability = predict_probability([network], images[image_id], settings)
            flat[offset : offset + probability.size] = probability.reshape(-1)
            logger.info("%s: %.1f %% above 0.5", image_id, 100 * (probability > 0.5).mean())
