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


LOSSES = {"bce": bce, "dice": dice, "bce_dice": bce_dice}
