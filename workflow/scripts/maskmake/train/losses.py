"""Losses between logits and labels."""

import keras
from keras import ops


def bce(labels, logits):
    """Binary cross-entropy, mean over pixels. Labels and float32 logits are (B, H, W, 1)."""
    return ops.mean(keras.losses.binary_crossentropy(labels, logits, from_logits=True))


def dice(labels, logits):
    """One minus the mean of the soft Dice of foreground and background, pooled over the batch.

    Counting both classes makes the loss the same for a label and its negative. Soft Dice:
    Milletari, Navab, Ahmadi 2016, V-Net (with plain sums in the denominator).
    """
    probability = ops.sigmoid(logits)

    def soft_dice(truth, prediction):
        overlap = ops.sum(truth * prediction)
        return (2.0 * overlap + 1.0) / (ops.sum(truth) + ops.sum(prediction) + 1.0)

    both = soft_dice(labels, probability) + soft_dice(1.0 - labels, 1.0 - probability)
    return 1.0 - both / 2.0


def bce_dice(labels, logits):
    """Sum of the two, as in nnU-Net (Isensee et al. 2021)."""
    return bce(labels, logits) + dice(labels, logits)


def bce_borders(labels, logits, borders):
    """Binary cross-entropy that weighs the background between objects up to elevenfold.

    1 + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) is the weight of a pixel, with w0 10 and without the
    class balance: Ronneberger, Fischer, Brox 2015, U-Net. So it is not the same for a label and
    its negative.

    Args:
        labels: (B, H, W, 1).
        logits: (B, H, W, 1) float32.
        borders: (B, H, W, 1) in 0 to 255, from ``border_weights.border_map``.
    """
    entropy = ops.binary_crossentropy(labels, logits, from_logits=True)
    return ops.mean((1.0 + 10.0 / 255.0 * borders) * entropy)


def focal(labels, logits):
    """Cross-entropy of each pixel times the square of its error, mean over pixels.

    Pixels that are right already count little. Lin et al. 2017, Focal Loss for Dense Object
    Detection, with gamma 2 and without the weight alpha, so that the loss is the same for a
    label and its negative.
    """
    error = ops.abs(labels - ops.sigmoid(logits))
    return ops.mean(ops.square(error) * ops.binary_crossentropy(labels, logits, from_logits=True))


def tversky(labels, logits):
    """One minus the Tversky index of the foreground, pooled over the batch.

    Salehi, Erdogmus, Gholipour 2017, Tversky loss function for image segmentation, with their
    best weights: 0.3 (alpha) for false and 0.7 (beta) for missed foreground. So it is not the
    same for a label and its negative, but made for foreground that is rare. Half and half would
    give the foreground's part of ``dice``.
    """
    probability = ops.sigmoid(logits)
    hit = ops.sum(labels * probability)
    false = ops.sum((1.0 - labels) * probability)
    missed = ops.sum(labels * (1.0 - probability))
    return 1.0 - (hit + 0.5) / (hit + 0.3 * false + 0.7 * missed + 0.5)


LOSSES = {
    "bce": bce,
    "bce_borders": bce_borders,
    "dice": dice,
    "bce_dice": bce_dice,
    "focal": focal,
    "tversky": tversky,
}
