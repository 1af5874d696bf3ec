"""Each loss by its closed form, for a label and its negative, and far from zero."""

from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from maskmake.train.losses import LOSSES, with_worst_neighbours, worst_neighbours

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


# --- the worst neighbours -----------------------------------------------------------------------


def random_case(seed):
    """Labels, logits and labelled pixels, (2, 7, 6, 1)."""
    random = np.random.default_rng(seed)
    shape = (2, 7, 6, 1)
    labels, labelled = ((random.random(shape) < share).astype("float32") for share in (0.4, 0.7))
    return labels, 3 * random.standard_normal(shape).astype("float32"), labelled


def brute_force(labels, logits, labelled):
    """Pixel by pixel: the worst of those around that are labelled and of the same class."""
    worst = logits.copy()
    _, height, width, _ = logits.shape
    for b, y, x, _ in np.argwhere(labelled > 0):
        around = product(
            range(max(y - 1, 0), min(y + 2, height)), range(max(x - 1, 0), min(x + 2, width))
        )
        same = [
            logits[b, i, j, 0]
            for i, j in around
            if labelled[b, i, j] and labels[b, i, j] == labels[b, y, x]
        ]
        worst[b, y, x] = min(same) if labels[b, y, x] else max(same)
    return worst


@pytest.mark.parametrize("seed", range(3))
def test_worst_neighbours_are_those_found_pixel_by_pixel(seed):
    labels, logits, labelled = random_case(seed)
    found = worst_neighbours(tf.constant(labels), tf.constant(logits), tf.constant(labelled))
    np.testing.assert_array_equal(found, brute_force(labels, logits, labelled))
    everywhere = np.ones_like(labelled)
    found = worst_neighbours(tf.constant(labels), tf.constant(logits))
    np.testing.assert_array_equal(found, brute_force(labels, logits, everywhere))


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"bce_borders"}))
def test_what_is_not_labelled_changes_neither_loss_nor_gradient(name):
    labels, logits, labelled = random_case(4)
    random = np.random.default_rng(5)
    loss_with_neighbours, found = with_worst_neighbours(LOSSES[name], 0.5), []
    for _ in range(4):
        hidden = labelled == 0
        labels[hidden] = random.integers(0, 2, hidden.sum())
        logits[hidden] = 50 * random.standard_normal(hidden.sum())
        variable = tf.Variable(logits)
        with tf.GradientTape() as tape:
            value = loss_with_neighbours(
                tf.constant(labels), variable, labelled=tf.constant(labelled)
            )
        found.append((float(value), tape.gradient(value, variable).numpy()))
        assert not found[-1][1][hidden].any()
    for value, gradient in found[1:]:
        assert value == found[0][0]
        np.testing.assert_array_equal(gradient, found[0][1])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_loss_of_the_neighbours_is_added_with_its_weight(name):
    labels, logits = tf.constant(LABELS), tf.constant(LOGITS)
    borders = [tf.constant(BORDERS)] if name == "bce_borders" else []
    worst = brute_force(LABELS, LOGITS, np.ones_like(LABELS))
    expected = loss(name) + 0.5 * loss(name, logits=worst)
    found = with_worst_neighbours(LOSSES[name], 0.5)(labels, logits, *borders)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_gap_in_a_thin_line_costs_more_than_its_pixels():
    """One wrong pixel of a line also stands for its neighbours; at its end it has only one."""
    labels = np.zeros((1, 9, 9, 1), "float32")
    labels[0, 4] = 1
    logits = 6 * (2 * labels - 1)

    def value(column):
        broken = logits.copy()
        broken[0, 4, column] = -6
        added = with_worst_neighbours(LOSSES["bce"], 1)(tf.constant(labels), tf.constant(broken))
        return float(added) - float(loss_of("bce", labels, tf.constant(broken)))

    assert value(4) > 1.4 * value(0)
