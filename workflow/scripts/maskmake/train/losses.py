"""Losses between logits and labels.

Each takes, besides labels and float32 logits (B, H, W, 1), which pixels are labelled: (B, H, W, 1)
of 1 and, for pixels that do not count, 0; None: all are.
"""

import keras
from keras import ops


def mean_over(values, labelled):
    """Mean of values (B, H, W, 1) over the labelled pixels; 0 without any."""
    if labelled is None:
        return ops.mean(values)
    return ops.sum(values * labelled) / ops.maximum(ops.sum(labelled), 1.0)


def _counted(values, labelled):
    return values if labelled is None else values * labelled


def bce(labels, logits, labelled=None):
    """Binary cross-entropy, mean over pixels."""
    if labelled is None:
        return ops.mean(keras.losses.binary_crossentropy(labels, logits, from_logits=True))
    return mean_over(ops.binary_crossentropy(labels, logits, from_logits=True), labelled)


def dice(labels, logits, labelled=None):
    """One minus the mean of the soft Dice of foreground and background, pooled over the batch.

    Counting both classes makes the loss the same for a label and its negative. Soft Dice:
    Milletari, Navab, Ahmadi 2016, V-Net (with plain sums in the denominator).
    """
    probability = ops.sigmoid(logits)

    def soft_dice(truth, prediction):
        truth, prediction = _counted(truth, labelled), _counted(prediction, labelled)
        overlap = ops.sum(truth * prediction)
        return (2.0 * overlap + 1.0) / (ops.sum(truth) + ops.sum(prediction) + 1.0)

    both = soft_dice(labels, probability) + soft_dice(1.0 - labels, 1.0 - probability)
    return 1.0 - both / 2.0


def bce_dice(labels, logits, labelled=None):
    """Sum of the two, as in nnU-Net (Isensee et al. 2021)."""
    return bce(labels, logits, labelled) + dice(labels, logits, labelled)


def bce_borders(labels, logits, borders, labelled=None):
    """Binary cross-entropy that weighs what lies between objects up to elevenfold.

    1 + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) is the weight of a pixel, with w0 10 and without the
    class balance: Ronneberger, Fischer, Brox 2015, U-Net. It is the same for a label and its
    negative, if the objects are.

    Args:
        labels: (B, H, W, 1).
        logits: (B, H, W, 1) float32.
        borders: (B, H, W, 1) in 0 to 255, from ``border_weights.border_map``.
        labelled: see the head of this module.
    """
    entropy = ops.binary_crossentropy(labels, logits, from_logits=True)
    return mean_over((1.0 + 10.0 / 255.0 * borders) * entropy, labelled)


def focal(labels, logits, labelled=None):
    """Cross-entropy of each pixel times the square of its error, mean over pixels.

    Pixels that are right already count little. Lin et al. 2017, Focal Loss for Dense Object
    Detection, with gamma 2 and without the weight alpha, so that the loss is the same for a
    label and its negative.
    """
    error = ops.abs(labels - ops.sigmoid(logits))
    entropy = ops.binary_crossentropy(labels, logits, from_logits=True)
    return mean_over(ops.square(error) * entropy, labelled)


def tversky(labels, logits, labelled=None):
    """One minus the Tversky index of the foreground, pooled over the batch.

    Salehi, Erdogmus, Gholipour 2017, Tversky loss function for image segmentation, with their
    best weights: 0.3 (alpha) for false and 0.7 (beta) for missed foreground. So it is not the
    same for a label and its negative, but made for foreground that is rare. Half and half would
    give the foreground's part of ``dice``.
    """
    probability = ops.sigmoid(logits)
    hit = ops.sum(_counted(labels * probability, labelled))
    false = ops.sum(_counted((1.0 - labels) * probability, labelled))
    missed = ops.sum(_counted(labels * (1.0 - probability), labelled))
    return 1.0 - (hit + 0.5) / (hit + 0.3 * false + 0.7 * missed + 0.5)


LOSSES = {
    "bce": bce,
    "bce_borders": bce_borders,
    "dice": dice,
    "bce_dice": bce_dice,
    "focal": focal,
    "tversky": tversky,
}
