"""Random changes of image and label together, as operations that compile into the training step.

Everything is a function of tensors and seeds, so it runs on every Keras backend and under XLA;
the geometric map is a gather, because TensorFlow's own projective transform does not compile.
"""

import math

import keras
from keras import ops

from maskmake.settings import AugmentationSettings


def _uniform(shape, low, high, seeds):
    return keras.random.uniform(shape, low, high, seed=seeds)


def _sign(count, enabled, seeds):
    """-1 or 1 for each image, (B,); 1 where the flip is not enabled."""
    if not enabled:
        return ops.ones((count,))
    return ops.where(_uniform((count,), 0.0, 1.0, seeds) < 0.5, -1.0, 1.0)


def affine_matrices(count, settings: AugmentationSettings, seeds):
    """Random maps from output to input coordinates, in units of the patch, about its centre.

    Returns:
        (B, 2, 3) float32: columns for y, x and 1.
    """
    angle = _uniform((count,), -1.0, 1.0, seeds) * math.radians(settings.rotation)
    if settings.quarter_turns:
        turns = ops.floor(_uniform((count,), 0.0, 4.0, seeds))
        angle = angle + turns * (math.pi / 2)
    shear = ops.tan(_uniform((count,), -1.0, 1.0, seeds) * math.radians(settings.shear))
    zoom = 1.0 / (1.0 + _uniform((count,), -settings.zoom, settings.zoom, seeds))
    flip_y = _sign(count, settings.flip_vertical, seeds)
    flip_x = _sign(count, settings.flip_horizontal, seeds)
    shift = _uniform((2, count), -settings.shift, settings.shift, seeds)
    cos, sin = ops.cos(angle), ops.sin(angle)
    rows = [
        [zoom * flip_y * cos, zoom * flip_y * (-sin + shear * cos), shift[0]],
        [zoom * flip_x * sin, zoom * flip_x * (cos + shear * sin), shift[1]],
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)


def _inside(position, size: int, fill: str):
    """Pixel positions folded (reflect) or held (nearest) into 0 .. size - 1."""
    if fill == "reflect" and size > 1:
        period = 2.0 * (size - 1)
        position = ops.abs(position) % period
        position = (size - 1) - ops.abs(position - (size - 1))
    return ops.clip(position, 0.0, size - 1.0)


def warp(images, matrices, fill: str):
    """Sample images at affinely mapped positions, bilinearly.

    Args:
        images: (B, H, W, C) float32.
        matrices: (B, 2, 3), as ``affine_matrices`` gives them.
        fill: ``reflect`` or ``nearest``: what lies outside.

    Returns:
        (B, H, W, C) float32.
    """
    count, height, width, channels = images.shape
    # Centred coordinates, so that a quarter turn maps pixel centres on pixel centres.
    y = (ops.arange(height, dtype="float32") - (height - 1) / 2) / height
    x = (ops.arange(width, dtype="float32") - (width - 1) / 2) / width
    y = ops.reshape(ops.broadcast_to(y[:, None], (height, width)), (1, -1))
    x = ops.reshape(ops.broadcast_to(x[None, :], (height, width)), (1, -1))
    # Sums, not a matrix product: a GPU may round its factors to ten bits (TF32).
    m = matrices[..., None]
    row = m[:, 0, 0] * y + m[:, 0, 1] * x + m[:, 0, 2]  # (B, H*W)
    column = m[:, 1, 0] * y + m[:, 1, 1] * x + m[:, 1, 2]
    row = _inside(row * height + (height - 1) / 2, height, fill)
    column = _inside(column * width + (width - 1) / 2, width, fill)
    top, left = ops.floor(row), ops.floor(column)
    down, right = (row - top)[..., None], (column - left)[..., None]
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    bottom, rightmost = ops.minimum(top + 1, height - 1), ops.minimum(left + 1, width - 1)
    start = (ops.arange(count, dtype="int32") * (height * width))[:, None]
    pixels = ops.reshape(images, (-1, channels))

    def at(i, j):
        return ops.take(pixels, start + i * width + j, axis=0)

    upper = at(top, left) * (1 - right) + at(top, rightmost) * right
    lower = at(bottom, left) * (1 - right) + at(bottom, rightmost) * right
    return ops.reshape(upper * (1 - down) + lower * down, images.shape)


def change_intensity(images, settings: AugmentationSettings, spread, seeds):
    """Random contrast and brightness of each image and noise of each pixel.

    Args:
        images: (B, H, W, C) float32, raw pixel values.
        settings: ranges in units of ``spread``.
        spread: standard deviation of the training images for each channel.
        seeds: random state.

    Returns:
        (B, H, W, C) float32.
    """
    count = images.shape[0]
    each = (count, 1, 1, 1)
    if settings.contrast:
        middle = ops.mean(images, axis=(1, 2), keepdims=True)
        factor = 1 + _uniform(each, -settings.contrast, settings.contrast, seeds)
        images = middle + (images - middle) * factor
    if settings.brightness:
        images = images + spread * _uniform(each, -settings.brightness, settings.brightness, seeds)
    if settings.noise:
        level = spread * _uniform(each, 0.0, settings.noise, seeds)
        images = images + level * keras.random.normal(images.shape, seed=seeds)
    return images


def augment(images, labels, settings: AugmentationSettings, spread, seeds):
    """Change a batch of images and their labels at random.

    Args:
        images: (B, H, W, C) float32, raw pixel values.
        labels: (B, H, W, K) float32; the first channel is 0 or 1 and stays exactly that, any
            other is moved with it and interpolated.
        settings: what to change and how far.
        spread: standard deviation of the training images for each channel, in pixel values.
        seeds: ``keras.random.SeedGenerator``, advanced by every draw.

    Returns:
        images and labels of the same shapes.
    """
    channels = images.shape[-1]
    new_images, new_labels = images, labels
    if settings.moves_pixels:
        matrices = affine_matrices(images.shape[0], settings, seeds)
        both = warp(ops.concatenate([images, labels], axis=-1), matrices, settings.fill)
        new_images = both[..., :channels]
        new_labels = ops.cast(both[..., channels : channels + 1] > 0.5, "float32")
        new_labels = ops.concatenate([new_labels, both[..., channels + 1 :]], axis=-1)
    new_images = change_intensity(new_images, settings, spread, seeds)
    if settings.probability < 1:
        change = _uniform((), 0.0, 1.0, seeds) < settings.probability
        new_images = ops.where(change, new_images, images)
        new_labels = ops.where(change, new_labels, labels)
    return new_images, new_labels
