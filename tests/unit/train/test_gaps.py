"""Structures look broken, at random places, and everything else stays."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from maskmake.network.settings import AugmentationSettings
from maskmake.train.gaps import EDGE, break_structures

SIDE, COUNT, BRIGHT, DARK = 64, 6, 150, 50


def lines(channels=1):
    """A dark line through each image of noise, blurred as a camera blurs it, and its label."""
    random = np.random.default_rng(0)
    labels = np.zeros((COUNT, SIDE, SIDE, 1), "float32")
    for number in range(COUNT):
        labels[number, 10 + 8 * number : 13 + 8 * number] = 1
    images = np.where(labels, DARK, BRIGHT) + random.normal(0, 5, (COUNT, SIDE, SIDE, channels))
    return ndimage.gaussian_filter(images, (0, 0.5, 0.5, 0)).astype("float32"), labels


def broken(images, labels, number=2, length=10.0, seed=1, labelled=None):
    seeds = keras.random.SeedGenerator(seed)
    settings = AugmentationSettings(gaps=number, gaps_length=length)
    tensors = [ops.convert_to_tensor(array) for array in (images, labels)]
    labelled = labelled if labelled is None else ops.convert_to_tensor(labelled)
    return ops.convert_to_numpy(break_structures(*tensors, labelled, settings, seeds))


def middles(images):
    """The pixels along the middle of each line, (COUNT, SIDE)."""
    return np.stack([images[number, 11 + 8 * number, :, 0] for number in range(COUNT)])


def test_a_gap_looks_like_the_background_and_the_rest_of_the_line_stays():
    images, labels = lines()
    along = middles(broken(images, labels, number=1))
    hidden = along > (BRIGHT + DARK) / 2
    # Ten pixels in the middle of a line, fewer at its end; half of the contrast is left at their
    # ends and, for the noise, a pixel more or less.
    assert ((hidden.sum(axis=1) >= 5) & (hidden.sum(axis=1) <= 13)).all()
    assert along.max(axis=1) == pytest.approx(BRIGHT, abs=20)
    assert ((along < DARK + 10).sum(axis=1) >= SIDE - 24).all()


def test_what_is_no_structure_stays():
    images, labels = lines(channels=3)
    beyond = ndimage.binary_dilation(labels[..., 0], np.ones((1, 2 * EDGE + 1, 2 * EDGE + 1)))
    changed = broken(images, labels)
    np.testing.assert_array_equal(changed[~beyond], images[~beyond])
    assert (changed[beyond] != images[beyond]).any(axis=0).all()  # all channels


@pytest.mark.parametrize("value", [0, 1])
def test_an_image_without_structures_stays(value):
    images, labels = lines()
    images = np.full_like(images, 0) + images
    np.testing.assert_array_equal(broken(images, np.full_like(labels, value)), images)


def test_the_rarer_class_is_the_structure():
    """Membranes are what a label of cells does not mark."""
    images, labels = lines()
    np.testing.assert_array_equal(broken(images, 1 - labels), broken(images, labels))


@pytest.mark.parametrize("inverted", [False, True])
def test_the_rarer_class_is_that_of_the_labelled_pixels(inverted):
    """Of pixels that are not labelled the label says 0, whatever they show."""
    images, labels = lines()
    labelled = np.zeros_like(labels)
    for number in range(COUNT):
        labelled[number, 4 + 8 * number : 20 + 8 * number] = 1
    marks = (1 - labels if inverted else labels) * labelled
    changed = broken(images, marks, labelled=labelled)
    assert (middles(changed).max(axis=1) > BRIGHT - 30).all()  # each line has a gap
    beyond = ndimage.binary_dilation(labels[..., 0], np.ones((1, 2 * EDGE + 1, 2 * EDGE + 1)))
    np.testing.assert_array_equal(changed[~beyond], images[~beyond])


def test_an_image_without_labelled_pixels_stays():
    images, labels = lines()
    np.testing.assert_array_equal(
        broken(images, 0 * labels, labelled=np.zeros_like(labels)), images
    )


def test_gaps_follow_from_the_seed_and_are_elsewhere_in_each_image():
    images, labels = lines()
    first = broken(images, labels)
    np.testing.assert_array_equal(broken(images, labels), first)
    assert (broken(images, labels, seed=2) != first).any()
    places = middles(first).argmax(axis=1)
    assert len(set(places)) > COUNT / 2


def test_thick_structures_with_no_background_near_stay_finite():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, SIDE, SIDE, 1)).astype("float32")
    labels = np.zeros_like(images)
    labels[:, :, : SIDE // 2 - 1] = 1
    changed = broken(images, labels, number=20, length=2.0)
    assert np.isfinite(changed).all()
    assert changed.min() > -256
    assert changed.max() < 512
