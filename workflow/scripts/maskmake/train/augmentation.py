"""Random changes of image and label together, as operations that compile into the training step.

Everything is a function of tensors and seeds, so it runs on every Keras backend and under XLA;
the geometric map is a gather, because TensorFlow's own projective transform does not compile.
Shapes stay fixed and nothing branches: an image that a geometric change leaves out is changed by an
amount of 0, and a change of intensity is computed only for the images that it may change.
"""

import math

import keras
import numpy as np
from keras import ops

from maskmake.network.settings import AugmentationSettings

BLUR_REACH = 3  # of the Gaussian kernel to each side, in standard deviations


def _uniform(shape, low, high, seeds):
    return keras.random.uniform(shape, low, high, seed=seeds)


def _amount(count, low, high, probability, seeds):
    """An amount for each image, (B,): from low to high, or 0 where the image is left out."""
    amount = _uniform((count,), low, high, seeds)
    if probability < 1:
        amount = ops.where(_uniform((count,), 0.0, 1.0, seeds) < probability, amount, 0.0)
    return amount


def _some(images, probability, seeds, change):
    """Change each image of a batch with a probability, and compute only those that may change.

    The number of images that change is the mean, rounded up or down at random. So its maximum is
    known in advance: shapes stay fixed, and the other images take no time.

    Args:
        images: (B, H, W, C) float32.
        probability: that an image is changed.
        seeds: random state.
        change: a function from images, (n, H, W, C), to changed images.

    Returns:
        (B, H, W, C) float32.
    """
    count = images.shape[0]
    most = math.ceil(probability * count)
    if not most:
        return images
    start = keras.random.randint((), 0, count, seed=seeds)
    chosen = (start + ops.arange(most)) % count
    changed = change(ops.take(images, chosen, axis=0))
    # A sum that float32 rounds up to the next whole number would be one image more.
    number = ops.minimum(ops.floor(probability * count + _uniform((), 0.0, 1.0, seeds)), most)
    place = (ops.arange(count) - start) % count
    source = ops.where(place < ops.cast(number, "int32"), count + place, ops.arange(count))
    return ops.take(ops.concatenate([images, changed]), source, axis=0)


def _for_pixels(amount):
    """(B,) as (B, 1, 1, 1)."""
    return amount[:, None, None, None]


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

    def either_way(largest, probability):
        return _amount(count, -largest, largest, probability, seeds)

    angle = either_way(math.radians(settings.rotation), settings.rotation_probability)
    if settings.quarter_turns:
        turns = ops.floor(_uniform((count,), 0.0, 4.0, seeds))
        angle = angle + turns * (math.pi / 2)
    shear = ops.tan(either_way(math.radians(settings.shear), settings.shear_probability))
    zoom = 1.0 / (1.0 + either_way(settings.zoom, settings.zoom_probability))
    flip_y = _sign(count, settings.flip_vertical, seeds)
    flip_x = _sign(count, settings.flip_horizontal, seeds)
    shift_y = either_way(settings.shift, settings.shift_probability)
    shift_x = either_way(settings.shift, settings.shift_probability)
    cos, sin = ops.cos(angle), ops.sin(angle)
    rows = [
        [zoom * flip_y * cos, zoom * flip_y * (-sin + shear * cos), shift_y],
        [zoom * flip_x * sin, zoom * flip_x * (cos + shear * sin), shift_x],
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=1)


def displacements(shape, settings: AugmentationSettings, seeds):
    """Smooth random displacements: normal ones on a coarse grid, bilinear in between.

    Ronneberger, Fischer, Brox 2015, U-Net, with bilinear in place of bicubic interpolation.

    Args:
        shape: (B, H, W).
        settings: standard deviation as a share of the patch, points of the grid along a side.
        seeds: random state.

    Returns:
        (2, B, H, W) float32: along y and x, in units of the patch.
    """
    count, height, width = shape
    points = settings.elastic_grid
    deviation = settings.elastic
    if settings.elastic_probability < 1:
        deviation = _amount(count, deviation, deviation, settings.elastic_probability, seeds)
        deviation = deviation[:, None, None]
    coarse = deviation * keras.random.normal((2, count, points, points), seed=seeds)

    def weights(size):
        """The weight of each grid point (column) for each pixel (row)."""
        position = np.linspace(0, points - 1, size, dtype="float32")[:, None]
        return np.maximum(0, 1 - np.abs(position - np.arange(points, dtype="float32")))

    return ops.matmul(ops.matmul(weights(height), coarse), weights(width).T)


def _inside(position, size: int, fill: str):
    """Pixel positions folded (reflect) or held (nearest) into 0 .. size - 1."""
    if fill == "reflect" and size > 1:
        period = 2.0 * (size - 1)
        position = ops.abs(position) % period
        position = (size - 1) - ops.abs(position - (size - 1))
    return ops.clip(position, 0.0, size - 1.0)


def _pixels_around(position, size: int):
    """The two pixels around each position inside an image, and the share of the second one."""
    first = ops.floor(position)
    share = position - first
    first = ops.cast(first, "int32")
    return first, ops.minimum(first + 1, size - 1), share


def _bilinear(images, rows, columns):
    """Mix four pixels of an image into each new one.

    Args:
        images: (B, H, W, C) float32.
        rows: two pixel rows (int32) and the share of the second (float32); all of a shape that
            broadcasts to (B, H, W).
        columns: the same for pixel columns.

    Returns:
        (B, H, W, C) float32.
    """
    count, height, width, channels = images.shape
    (top, bottom, down), (left, right, across) = rows, columns
    down, across = down[..., None], across[..., None]
    start = (ops.arange(count, dtype="int32") * (height * width))[:, None, None]
    pixels = ops.reshape(images, (-1, channels))

    def at(row, column):
        return ops.take(pixels, start + row * width + column, axis=0)

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    return upper * (1 - down) + lower * down


def warp(images, matrices, fill: str, displacement=None):
    """Sample images at affinely mapped and displaced positions, bilinearly.

    Args:
        images: (B, H, W, C) float32.
        matrices: (B, 2, 3), from ``affine_matrices``.
        fill: what lies outside, ``reflect`` or ``nearest``.
        displacement: (2, B, H, W), from ``displacements``, or none.

    Returns:
        (B, H, W, C) float32.
    """
    _, height, width, _ = images.shape
    # Centred coordinates, so that a quarter turn maps pixel centres on pixel centres.
    y = ((ops.arange(height, dtype="float32") - (height - 1) / 2) / height)[:, None]
    x = ((ops.arange(width, dtype="float32") - (width - 1) / 2) / width)[None, :]
    # Sums, not a matrix product: a GPU may round its factors to ten bits (TF32).
    m = matrices[..., None, None]
    row = m[:, 0, 0] * y + m[:, 0, 1] * x + m[:, 0, 2]  # (B, H, W)
    column = m[:, 1, 0] * y + m[:, 1, 1] * x + m[:, 1, 2]
    if displacement is not None:
        row, column = row + displacement[0], column + displacement[1]
    row = _inside(row * height + (height - 1) / 2, height, fill)
    column = _inside(column * width + (width - 1) / 2, width, fill)
    return _bilinear(images, _pixels_around(row, height), _pixels_around(column, width))


def blur(images, sigma, radius: int):
    """Blur each image with a Gaussian of its own.

    The edges are mirrored with the outermost pixel repeated, so the mean of an image stays.

    Args:
        images: (B, H, W, C) float32.
        sigma: (B,) standard deviations in pixels; 0 leaves an image as it is.
        radius: pixels of the kernel to each side.

    Returns:
        (B, H, W, C) float32.
    """
    offsets = np.arange(-radius, radius + 1, dtype="float32")
    weights = ops.exp(-0.5 * (offsets / ops.maximum(sigma, 1e-3)[:, None]) ** 2)
    weights = weights / ops.sum(weights, axis=1, keepdims=True)
    for axis in (1, 2):
        size = images.shape[axis]
        padded = ops.take(images, np.pad(np.arange(size), radius, "symmetric"), axis=axis)
        before = (slice(None),) * axis
        # A sum, not a convolution: kernels differ in a batch, and TF32 would round the pixels.
        images = sum(
            _for_pixels(weights[:, k]) * padded[(*before, slice(k, k + size))]
            for k in range(2 * radius + 1)
        )
    return images


def lower_resolution(images, resolution):
    """Images as if taken at a lower resolution: nearest pixels, bilinear in between.

    Args:
        images: (B, H, W, C) float32.
        resolution: (B,) share of the pixels along a side that are kept; 1 keeps an image.

    Returns:
        (B, H, W, C) float32.
    """
    resolution = resolution[:, None]

    def coarse_neighbours(size):
        last = ops.maximum(ops.floor(size * resolution), 1.0) - 1
        position = (ops.arange(size, dtype="float32") + 0.5) * resolution - 0.5
        position = ops.clip(position, 0.0, last)
        first = ops.floor(position)

        def nearest(coarse):
            pixel = ops.floor((ops.minimum(coarse, last) + 0.5) / resolution)
            return ops.cast(ops.minimum(pixel, size - 1), "int32")

        return nearest(first), nearest(first + 1), position - first

    _, height, width, _ = images.shape
    rows = tuple(part[:, :, None] for part in coarse_neighbours(height))
    columns = tuple(part[:, None, :] for part in coarse_neighbours(width))
    return _bilinear(images, rows, columns)


def gamma(images, exponent):
    """Raise pixel values to a power, inside the range that each channel of each image has.

    Args:
        images: (B, H, W, C) float32.
        exponent: (B,), above 0; 1 leaves an image as it is.

    Returns:
        (B, H, W, C) float32.
    """
    low = ops.min(images, axis=(1, 2), keepdims=True)
    extent = ops.maximum(ops.max(images, axis=(1, 2), keepdims=True) - low, 1e-6)
    # Clipped, since XLA may compute a pixel twice with different rounding, once for the minimum.
    share = ops.clip((images - low) / extent, 0.0, 1.0)
    return low + extent * share ** _for_pixels(exponent)


def change_intensity(images, settings: AugmentationSettings, std, seeds):
    """Random noise, blur, brightness, contrast, resolution and gamma of each image, in that order.

    The order is that of nnU-Net (Isensee et al. 2021). All channels of an image are changed alike.

    Args:
        images: (B, H, W, C) float32, raw pixel values.
        settings: what to change and how far.
        std: standard deviation of the training images for each channel.
        seeds: random state.

    Returns:
        (B, H, W, C) float32.
    """
    std = ops.convert_to_tensor(std, "float32")  # PyTorch multiplies no array by a tensor
    if settings.noise:

        def add_noise(images):
            level = _uniform(images.shape[:1], 0.0, settings.noise, seeds)
            noise = keras.random.normal(images.shape, seed=seeds)
            return images + std * _for_pixels(level) * noise

        images = _some(images, settings.noise_probability, seeds, add_noise)
    if settings.blur:

        def blur_some(images):
            sigma = _uniform(images.shape[:1], settings.blur / 2, settings.blur, seeds)
            return blur(images, sigma, math.ceil(BLUR_REACH * settings.blur))

        images = _some(images, settings.blur_probability, seeds, blur_some)
    images = _change_brightness(images, settings, std, seeds)
    if settings.low_resolution < 1:

        def lower(images):
            return lower_resolution(
                images, _uniform(images.shape[:1], settings.low_resolution, 1.0, seeds)
            )

        images = _some(images, settings.low_resolution_probability, seeds, lower)
    return _change_gamma(images, settings, seeds)


def _change_brightness(images, settings: AugmentationSettings, std, seeds):
    def either_way(images, largest):
        return _for_pixels(_uniform(images.shape[:1], -largest, largest, seeds))

    def amplify(images):
        # From the darkest pixel, so that the zero of the camera does not matter.
        dark = ops.min(images, axis=(1, 2), keepdims=True)
        return images + (images - dark) * either_way(images, settings.gain)

    def brighten(images):
        return images + std * either_way(images, settings.brightness)

    def raise_contrast(images):
        middle = ops.mean(images, axis=(1, 2), keepdims=True)
        return images + (images - middle) * either_way(images, settings.contrast)

    if settings.gain:
        images = _some(images, settings.gain_probability, seeds, amplify)
    if settings.brightness:
        images = _some(images, settings.brightness_probability, seeds, brighten)
    if settings.contrast:
        images = _some(images, settings.contrast_probability, seeds, raise_contrast)
    return images


def _change_gamma(images, settings: AugmentationSettings, seeds):
    """Gamma of the negative image, then of the image, each with its own probability."""
    largest = math.log(settings.gamma)

    def change(images):
        exponent = ops.exp(_uniform(images.shape[:1], -largest, largest, seeds))
        return gamma(images, exponent)

    if largest:
        negative = settings.gamma_negative_probability
        images = _some(images, negative, seeds, lambda images: -change(-images))
        images = _some(images, settings.gamma_probability, seeds, change)
    return images


def augment(images, labels, settings: AugmentationSettings, std, seeds):
    """Change a batch of images and their labels at random.

    Args:
        images: (B, H, W, C) float32, raw pixel values.
        labels: (B, H, W, K) float32; the first channel is 0 or 1 and stays so, any other is
            moved with it and interpolated.
        settings: what to change and how far.
        std: standard deviation of the training images for each channel, in pixel values.
        seeds: ``keras.random.SeedGenerator``, advanced by every draw.

    Returns:
        images and labels of the same shapes.
    """
    new_images, new_labels = images, labels
    if settings.moves_pixels:
        matrices = affine_matrices(images.shape[0], settings, seeds)
        displacement = None
        if settings.elastic:
            displacement = displacements(images.shape[:3], settings, seeds)
        both = ops.concatenate([images, labels], axis=-1)
        both = warp(both, matrices, settings.fill, displacement)
        channels = images.shape[-1]
        new_images = both[..., :channels]
        new_labels = ops.cast(both[..., channels : channels + 1] > 0.5, "float32")
        new_labels = ops.concatenate([new_labels, both[..., channels + 1 :]], axis=-1)
    new_images = change_intensity(new_images, settings, std, seeds)
    if settings.probability < 1:
        change = _uniform((), 0.0, 1.0, seeds) < settings.probability
        new_images = ops.where(change, new_images, images)
        new_labels = ops.where(change, new_labels, labels)
    return new_images, new_labels
