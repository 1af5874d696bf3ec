"""Gaps in structures of training images, under a label that stays whole.

So a network learns that what looks broken is connected: Valverde et al. 2025, Disconnect to
Connect: A Data Augmentation Method for Improving Topology Accuracy in Image Segmentation
(arXiv 2503.05541). There a second network paints what lies behind a structure; here it is made of
the pixels around it, so that it compiles into the training step.
"""

import keras
from keras import ops

from maskmake.network.settings import AugmentationSettings

# The edge of a structure is blurred over this many pixels beyond its label.
EDGE = 2


def break_structures(images, labels, labelled, settings: AugmentationSettings, seeds):
    """Hide pieces of the structures of each image.

    The structures are the rarer class of the labelled pixels of each image: cracks in a wall, or
    the membranes between cells. A gap lies around a random pixel of them. There they fade into what
    surrounds them: the mean of the background near by, and, for its grain, the background of
    another place. Pixels that are no structure stay, and those that are not labelled are neither.

    Args:
        images: (B, H, W, C) float32.
        labels: (B, H, W, 1), 0 or 1.
        labelled: (B, H, W, 1), share of each pixel that is labelled; None: all are.
        settings: ``gaps`` of each image, at least 1, which may overlap, and their ``gaps_length``
            in pixels, where half of the contrast is left.
        seeds: random state.

    Returns:
        (B, H, W, C) float32.
    """
    counted = ops.ones_like(labels) if labelled is None else ops.cast(labelled > 0.5, labels.dtype)
    foreground, background = labels * counted, (1.0 - labels) * counted
    rare = _total(foreground) <= _total(background)
    rarer = ops.where(rare, foreground, background)
    hole = ops.max_pool(rarer, 2 * EDGE + 1, strides=1, padding="same")
    outside = (1.0 - hole) * counted
    length = settings.gaps_length
    depth = _depth(rarer[..., 0], settings.gaps, length, seeds)[..., None]
    return images + depth * hole * (_background(images, outside, length, seeds) - images)


def _total(values):
    """Sum over the pixels of each image: (B, 1, 1, 1)."""
    return ops.sum(values, axis=(1, 2, 3), keepdims=True)


def _depth(structures, number: int, length: float, seeds):
    """How much of the contrast each pixel loses: (B, H, W), 1 in the middle of a gap."""
    count, height, width = structures.shape
    scores = structures * keras.random.uniform(structures.shape, 0.5, 1.0, seed=seeds)
    highest, centres = ops.top_k(ops.reshape(scores, (count, -1)), number)
    found = ops.cast(highest > 0, "float32")  # an image may have no structure
    row, column = centres // width, centres % width

    def profile(size, centre):
        """Gaussians along one axis, (B, number, size)."""
        distance = ops.arange(size, dtype="float32") - ops.cast(centre, "float32")[..., None]
        return ops.exp2(-ops.square(distance / (length / 2)))

    whole = ops.ones_like(structures)
    for gap in range(number):
        down = profile(height, row[:, gap : gap + 1])[:, 0, :, None] * found[:, gap, None, None]
        across = profile(width, column[:, gap : gap + 1])[:, 0, None, :]
        whole = whole * (1.0 - down * across)
    return 1.0 - whole


def _background(images, outside, length: float, seeds):
    """What could lie behind structures: (B, H, W, C)."""
    side = 2 * round(length) + 1

    def mean_around(pixels):
        pixels = ops.average_pool(pixels, (side, 1), strides=1, padding="same")
        return ops.average_pool(pixels, (1, side), strides=1, padding="same")

    share = mean_around(outside)
    # Where nothing outside is near, the mean of the image.
    far = ops.mean(images, axis=(1, 2), keepdims=True)
    mean = (mean_around(images * outside) + 1e-3 * far) / (share + 1e-3)
    grain = (images - mean) * outside
    for axis in (1, 2):
        size = images.shape[axis]
        shift = keras.random.randint((), 0, size, seed=seeds)
        grain = ops.take(grain, (ops.arange(size) + shift) % size, axis=axis)
    return mean + grain
