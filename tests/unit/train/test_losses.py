"""Each loss by its closed form, for a label and its negative, and far from zero."""

import numpy as np
import pytest
import tensorflow as tf

from maskmake.train.losses import LOSSES

LABELS = np.array([1, 0, 0, 1], "float32").reshape(1, 2, 2, 1)
PROBABILITIES = np.array([0.9, 0.2, 0.5, 0.4], "float32").reshape(1, 2, 2, 1)
LOGITS = np.log(PROBABILITIES / (1 - PROBABILITIES))
BORDERS = np.array([0, 51, 102, 255], "float32").reshape(1, 2, 2, 1)


def loss_of(name, labels, logits, labelled=None):
    borders = [tf.constant(BORDERS)] if name == "bce_borders" else []
    return LOSSES[name](tf.constant(labels), logits, *borders, labelled=labelled)


def loss(name, labels=LABELS, logits=LOGITS):
    return float(loss_of(name, labels, tf.constant(logits)))


# Probability of the true class of each pixel, and the sums of the labels and the predictions.
RIGHT = np.array([0.9, 0.8, 0.5, 0.4])
BCE = -np.log(RIGHT).mean()
DICE = 1 - ((2 * 1.3 + 1) / (2 + 2.0 + 1) + (2 * 1.3 + 1) / (2 + 2.0 + 1)) / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bce", BCE),
        ("bce_borders", -(np.array([1, 3, 5, 11]) * np.log(RIGHT)).mean()),
        ("dice", DICE),
        ("bce_dice", BCE + DICE),
        ("focal", -((1 - RIGHT) ** 2 * np.log(RIGHT)).mean()),
        ("tversky", 1 - (1.3 + 0.5) / (1.3 + 0.3 * 0.7 + 0.7 * 0.7 + 0.5)),
    ],
)
def test_closed_form(name, expected):
    assert loss(name) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("size", [30.0, 1e4])
@pytest.mark.parametrize("sign", [1, -1], ids=["right", "wrong"])
def test_extreme_logits_give_finite_losses_and_gradients(name, size, sign):
    logits = tf.Variable(sign * size * (2 * LABELS - 1))
    with tf.GradientTape() as tape:
        value = loss_of(name, LABELS, logits)
    assert np.isfinite(tape.gradient(value, logits)).all()
    if sign == 1:
        assert float(value) == pytest.approx(0, abs=1e-6)
    else:
        assert 0.5 < float(value) < np.inf


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"tversky"}))
def test_a_label_and_its_negative_are_equally_hard(name):
    assert loss(name, 1 - LABELS, -LOGITS) == pytest.approx(loss(name), rel=1e-6)


def test_tversky_counts_missed_foreground_more_than_false():
    missed, false = 4 * (2 * LABELS - 1), 4 * (2 * LABELS - 1)
    missed[0, 0, 0] *= -1
    false[0, 0, 1] *= -1
    assert loss("tversky", logits=missed) > loss("tversky", logits=false) + 0.1
    assert loss("dice", logits=missed) == pytest.approx(loss("dice", logits=false), abs=0.01)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_labels_of_one_class_give_finite_losses(name):
    for label in (np.zeros_like(LABELS), np.ones_like(LABELS)):
        assert np.isfinite(loss(name, label))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_pixels_that_are_not_labelled_count_nowhere(name):
    """The loss and its gradients are those of the labelled pixels alone."""
    labelled = tf.constant(np.array([1, 1, 0, 1], "float32").reshape(1, 2, 2, 1))
    found = []
    for label, logit in ((0, 0), (1, -7)):
        labels, logits = LABELS.copy(), LOGITS.copy()
        labels[0, 1, 0], logits[0, 1, 0] = label, logit
        logits = tf.Variable(logits)
        with tf.GradientTape() as tape:
            value = loss_of(name, labels, logits, labelled)
        found.append((float(value), tape.gradient(value, logits).numpy()))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][1][0, 1, 0] == 0
    everything = tf.ones_like(labelled)
    assert float(loss_of(name, LABELS, LOGITS, everything)) == pytest.approx(loss(name), rel=1e-6)
    assert np.isfinite(loss_of(name, LABELS, LOGITS, tf.zeros_like(labelled)))
