"""Whatever stands under ignored pixels changes no score, and nothing that is learned."""

import json

import numpy as np
import pytest
from scipy import ndimage

from maskmake.data.labels import IGNORED, is_labelled
from maskmake.data.object_class import find_object_class
from maskmake.masks.components import find_components
from maskmake.masks.decision import apply_decision, stored_decision
from maskmake.masks.learning import learn_calibration, learn_decision
from maskmake.masks.object_terms import object_cases
from maskmake.masks.specks import find_specks
from maskmake.scores.boundaries import boundary_f1, hausdorff_95
from maskmake.scores.calibration import assess_calibration
from maskmake.scores.cases import Case
from maskmake.scores.objects import object_f1
from maskmake.scores.pixels import Confusion, confusion
from maskmake.scores.probabilities import probability_histogram
from maskmake.scores.scorecard import score_card

SIDE = 64


def blobs(rng) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 4)
    return (noise > 0.05).astype(np.uint8)


def probability_of(label: np.ndarray, rng) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.normal(size=label.shape), 1)
    soft = ndimage.gaussian_filter(label.astype(float), 1.5) + 0.3 * noise
    return soft.clip(0.01, 0.99).astype(np.float16)


def boxes(rng) -> np.ndarray:
    """Ignored pixels: all but a few boxes."""
    ignored = np.ones((SIDE, SIDE), bool)
    for row, column in rng.integers(0, SIDE - 24, (3, 2)):
        ignored[row : row + 24, column : column + 24] = False
    return ignored


@pytest.mark.parametrize("objects", ["foreground", "background"])
def test_every_number_is_that_of_the_labelled_pixels(objects):
    """The same labels under other files' values give the same label, so the label is the check."""
    rng = np.random.default_rng(3)
    labels = [blobs(rng) for _ in range(4)]
    probabilities = [probability_of(label, rng) for label in labels]
    for label in labels:
        label[boxes(rng)] = IGNORED

    def cases(masks=(None,) * 4):
        together = zip(labels, probabilities, masks, strict=True)
        return (Case(str(i), *each) for i, each in enumerate(together))

    learned = learn_decision(object_cases(cases, objects), "dice", [4, 16, 64], "auto", objects)
    json.dumps(learned)
    decision = stored_decision(learned)
    calibration = learn_calibration(cases, decision)
    masks = [apply_decision(probability, decision) for probability in probabilities]
    card = score_card(cases(masks), calibration["temperature"], objects)
    reliability, _ = assess_calibration(cases(masks), calibration["temperature"])
    labelled = sum(int(is_labelled(label).sum()) for label in labels)
    assert reliability.groupby("probabilities")["pixels"].sum().tolist() == [labelled] * 2
    counts = Confusion(0, 0, 0, 0)
    for label, mask in zip(labels, masks, strict=True):
        known = is_labelled(label)
        counts += confusion(mask[known][None], label[known][None])
    assert sum(counts) == labelled
    assert card.scores["pixel_accuracy"] == pytest.approx((counts.tp + counts.tn) / labelled)
    assert 0.5 < card.scores["mean_dice"] < 1
    assert find_specks(cases, learned)["overlap"].between(0, 1).all()


def test_counts_are_those_of_the_labelled_pixels():
    rng = np.random.default_rng(1)
    label, mask = blobs(rng), blobs(rng) > 0
    probability = probability_of(label, rng)
    label[boxes(rng)] = IGNORED
    known = is_labelled(label)
    assert confusion(mask, label) == confusion(mask[known][None], label[known][None])
    np.testing.assert_array_equal(
        probability_histogram(probability, label),
        probability_histogram(probability[known][None], label[known][None]),
    )
    found = find_components(mask, label)
    assert found.labelled.sum() == known.sum() and found.sizes.sum() == label.size


def test_an_ignored_ring_around_objects_costs_nothing():
    y, x = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(y - 32, x - 32)
    label = (distance < 15).astype(np.uint8)
    label[(distance >= 13) & (distance < 17)] = IGNORED
    for radius in (13.5, 15, 16.5):
        mask = distance < radius
        assert object_f1(mask, label) == 1
        assert np.isnan(boundary_f1(mask, label)) and np.isnan(hausdorff_95(mask, label))
        assert confusion(mask, label)[1:3] == (0, 0)


def test_a_border_whose_counterpart_may_be_ignored_is_left_out():
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[:, 32:] = 1
    mask = label > 0
    label[:20] = IGNORED
    assert boundary_f1(mask, label) == 1 and hausdorff_95(mask, label) == 0
    label[20:, 34:] = IGNORED
    shifted = np.roll(mask, 3, axis=1)
    shifted[:, :3] = False
    assert np.isnan(boundary_f1(shifted, label)) and hausdorff_95(shifted, label) == 2


def test_ignored_pixels_far_away_hide_no_miss():
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[30:50, 30:50] = 1
    whole = label.copy()
    label[:4] = IGNORED
    elsewhere, empty, half = (np.zeros((SIDE, SIDE), bool) for _ in range(3))
    elsewhere[30:40, 8:18] = True
    half[30:50, 30:40] = True
    for mask in (elsewhere, empty, half):
        assert boundary_f1(mask, label) == boundary_f1(mask, whole)
    assert boundary_f1(empty, label) == 0
    # The counterpart of row 49 may be in row 3.
    assert 40 < hausdorff_95(empty, label) <= 46


@pytest.mark.parametrize("seed", range(3))
def test_borders_among_ignored_pixels_agree_with_the_distance_of_every_pair(seed):
    rng = np.random.default_rng(seed)
    label, mask = blobs(rng), blobs(rng) > 0
    label[boxes(rng)] = IGNORED

    def border(inside, outside):
        return inside & ndimage.binary_dilation(outside)

    def distances(a, b):
        return np.linalg.norm(np.argwhere(a)[:, None] - np.argwhere(b)[None], axis=2).min(axis=1)

    known = is_labelled(label)
    borders = [border(mask & known, ~mask & known), border(label == 1, label == 0)]
    shares, farthest = [], []
    for own, other in (borders, borders[::-1]):
        found, unknown = distances(own, other), distances(own, ~known)
        right, wrong = found <= 2, (found > 2) & (unknown > 2)
        shares.append(right.sum() / (right | wrong).sum())
        farthest.append(np.percentile(np.minimum(found, unknown), 95))
    expected = 2 * shares[0] * shares[1] / sum(shares)
    assert boundary_f1(mask, label) == pytest.approx(expected)
    assert hausdorff_95(mask, label) == pytest.approx(max(farthest))


def test_the_class_of_the_objects_is_that_of_the_labelled_pixels():
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[::8] = label[:, ::8] = 1
    assert find_object_class([label])["objects"] == "background"
    label[:, 40:] = IGNORED
    assert find_object_class([label])["objects"] == "background"
