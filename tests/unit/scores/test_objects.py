"""Scores of objects: closed-form cases, other libraries, check values of the ISBI-2012 labels."""

from pathlib import Path

import numpy as np
import pytest
from pictures import cells
from PIL import Image
from scipy import ndimage
from skimage import measure
from skimage.metrics import adapted_rand_error, variation_of_information

from maskmake.scores import objects as scores

ISBI_LABEL = Path(__file__).parents[4] / "shared" / "data" / "isbi2012" / "label" / "0.png"


def with_own_labels(segments: np.ndarray) -> np.ndarray:
    """Segments with a new label for each pixel that has none."""
    segments = segments.astype(np.int64)
    lines = segments == 0
    segments[lines] = segments.max() + 1 + np.arange(np.count_nonzero(lines))
    return segments


def accuracy(mask: np.ndarray, label: np.ndarray) -> float:
    return float(np.mean(mask == (label > 0)))


# Rand and information scores


def test_thinned_border_is_a_line_midway():
    mask = np.zeros((8, 20), bool)
    mask[:, :6] = mask[:, 13:] = True
    segments = scores.thin_borders(mask)
    assert np.array_equal(np.flatnonzero((segments == 0).all(axis=0)), [9])
    assert np.count_nonzero(segments == 0) == 8


def test_thinning_closes_what_divides_nothing():
    mask = np.ones((20, 20), bool)
    mask[5:9, 5:9] = False  # a pit
    mask[0:15, 15] = False  # a line that ends inside the segment
    assert (scores.thin_borders(mask) == 1).all()


def test_thinned_borders_are_one_pixel_wide_and_keep_the_segments():
    mask = ndimage.binary_erosion(cells(), iterations=3)
    segments = scores.thin_borders(mask)
    assert not ndimage.binary_erosion(segments == 0, np.ones((2, 2))).any()
    before, count = ndimage.label(mask)
    assert segments.max() == count
    assert len(np.unique(np.stack([before[mask], segments[mask]]), axis=1).T) == count


def test_identical_partitions_score_one():
    label = cells()
    assert scores.rand_and_information(label > 0, label) == pytest.approx(
        dict.fromkeys(scores.RAND_SCORES, 1)
    )


def test_two_segments_merged():
    label = np.ones((20, 21), np.uint8)
    label[:, 10] = 0  # n_1. = n_2. = 200 and n_.1 = 400
    assert scores.rand_and_information(np.ones(label.shape, bool), label) == pytest.approx(
        {
            "v_rand": 2 / 3,
            "v_split": 1,
            "v_merge": 1 / 2,
            "v_info": 0,
            "v_info_split": 1,
            "v_info_merge": 0,
        }
    )


def test_each_of_two_segments_split():
    label = np.ones((21, 41), np.uint8)
    label[:, 20] = 0  # two segments of 420 pixels
    mask = label > 0
    mask[10] = False  # each: two halves of 200 pixels and 20 pixels on a line
    true_pairs, pairs = 2 * 420**2, 4 * 200**2 + 40
    entropy = 4 * 200 / 840 * np.log(840 / 200) + 40 / 840 * np.log(840)
    assert scores.rand_and_information(mask, label) == pytest.approx(
        {
            "v_rand": 2 * pairs / (true_pairs + pairs),
            "v_info": 2 * np.log(2) / (np.log(2) + entropy),
            "v_info_split": np.log(2) / entropy,
            "v_info_merge": 1,
            "v_split": pairs / true_pairs,
            "v_merge": 1,
        }
    )


def test_pixels_outside_the_truth_do_not_count():
    label = np.zeros((30, 30), np.uint8)
    label[5:25, 5:14] = label[5:25, 16:25] = 1
    mask = label > 0
    mask[0:3] = True  # a third segment, where the label has none
    assert scores.rand_and_information(mask, label)["v_rand"] == pytest.approx(1)


def test_border_width_hardly_matters_and_a_gap_does():
    label = cells()
    thicker = ndimage.binary_erosion(label, iterations=2)
    gone = ndimage.binary_dilation(label, iterations=2)
    assert abs(accuracy(thicker, label) - accuracy(gone, label)) < 0.08
    assert scores.rand_and_information(thicker, label)["v_rand"] > 0.98
    assert scores.rand_and_information(gone, label)["v_rand"] < 0.15


def test_agreement_with_scikit_image():
    label = cells()
    mask = label > 0
    mask[:, :64] = ndimage.binary_dilation(label, iterations=2)[:, :64]  # merges
    mask[::32, 128:] = False  # splits
    ours = scores.rand_and_information(mask, label)
    assert 0.1 < ours["v_rand"] < 0.95 and ours["v_split"] < 0.95 and ours["v_merge"] < 0.95

    truth = measure.label(label, connectivity=1)
    proposal = with_own_labels(scores.thin_borders(mask))
    # Of pairs of pixels scikit-image leaves out a pixel with itself, hence the tolerance. In its
    # wording "precision" is the share of the true pairs.
    error, precision, recall = adapted_rand_error(truth, proposal, ignore_labels=(0,))
    assert ours["v_rand"] == pytest.approx(1 - error, abs=5e-4)
    assert ours["v_split"] == pytest.approx(precision, abs=5e-4)
    assert ours["v_merge"] == pytest.approx(recall, abs=5e-4)

    splits, merges = variation_of_information(truth, proposal, ignore_labels=(0,))
    sizes = np.bincount(truth[truth > 0])[1:] / np.count_nonzero(truth)
    information = -(sizes * np.log2(sizes)).sum() - merges
    assert ours["v_info"] == pytest.approx(2 * information / (2 * information + splits + merges))
    assert ours["v_info_split"] == pytest.approx(information / (information + splits))
    assert ours["v_info_merge"] == pytest.approx(information / (information + merges))


def test_degenerate_masks_and_labels():
    label = cells()
    nothing, everything = np.zeros(label.shape, bool), np.ones(label.shape, bool)
    empty = scores.rand_and_information(nothing, label)
    assert empty["v_merge"] == 1 and empty["v_split"] < 0.01 and empty["v_rand"] < 0.01
    full = scores.rand_and_information(everything, label)
    assert full["v_split"] == 1 and full["v_merge"] < 0.2 and full["v_info"] == 0
    for mask in (nothing, everything):
        undefined = scores.rand_and_information(mask, np.zeros_like(label))
        assert all(np.isnan(value) for value in undefined.values())
    same = scores.rand_and_information(everything, np.ones_like(label))
    assert same == dict.fromkeys(scores.RAND_SCORES, 1)


@pytest.mark.skipif(not ISBI_LABEL.exists(), reason="the ISBI-2012 labels are not here")
@pytest.mark.parametrize(
    "change, expected_accuracy, v_rand",
    [(ndimage.binary_erosion, 0.864, 0.9966), (ndimage.binary_dilation, 0.867, 0.0611)],
)
def test_isbi_check_values(change, expected_accuracy, v_rand):
    label = np.asarray(Image.open(ISBI_LABEL)) > 127
    # The cells (white) change by two steps of the 4-neighbour cross; outside the image is 0.
    mask = change(label, ndimage.generate_binary_structure(2, 1), iterations=2)
    assert accuracy(mask, label) == pytest.approx(expected_accuracy, abs=5e-4)
    ours = scores.rand_and_information(mask, label.astype(np.uint8))
    assert ours["v_rand"] == pytest.approx(v_rand, abs=5e-5)

    truth = measure.label(label, connectivity=1)
    proposal = with_own_labels(scores.thin_borders(mask))
    error, precision, recall = adapted_rand_error(truth, proposal, ignore_labels=(0,))
    assert (ours["v_rand"], ours["v_split"], ours["v_merge"]) == pytest.approx(
        (1 - error, precision, recall), abs=2e-5
    )


# Object F1


def test_object_f1_by_hand():
    label = np.zeros((30, 60), np.uint8)
    label[2:12, 2:12] = label[2:12, 20:30] = label[2:12, 40:50] = 1
    mask = label > 0
    mask[2:12, 20:25] = False  # half of the second: 50 of 100 pixels, not more than half
    mask[2:6, 40:50] = False  # 60 of 100 pixels of the third
    mask[20:25, 5:10] = True  # a false one
    assert scores.object_f1(mask, label) == pytest.approx(2 * 2 / (3 + 4))


def test_objects_are_matched_one_to_one():
    label = np.zeros((10, 31), np.uint8)
    label[:, :15] = label[:, 16:] = 1
    merged = np.ones(label.shape, bool)  # holds both, each less than half of it
    assert scores.object_f1(merged, label) == 0
    larger = label > 0
    larger[:, 13:18] = True  # one object of 310 pixels, of which neither has more than half
    assert scores.object_f1(larger, label) == 0


@pytest.mark.parametrize("seed", range(5))
def test_object_f1_agrees_with_a_comparison_of_every_pair(seed):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(2, 96, 96)), (0, 3, 3))
    label, mask = field[0] > 0.06, field[0] + 0.4 * field[1] > 0.06
    truth, count = ndimage.label(label)
    objects, others = ndimage.label(mask)
    matches = sum(
        (truth[objects == j] == i).sum() > 0.5 * ((truth == i) | (objects == j)).sum()
        for j in range(1, others + 1)
        for i in np.unique(truth[objects == j])
        if i > 0
    )
    assert 0 < matches < min(count, others)
    f1 = scores.object_f1(mask, label.astype(np.uint8))
    assert f1 == pytest.approx(2 * matches / (count + others))
    assert f1 == scores.object_f1(label, mask.astype(np.uint8))


def test_object_f1_without_objects():
    label = cells(size=64, count=6)
    empty = np.zeros_like(label)
    assert scores.object_f1(label > 0, label) == 1
    assert scores.object_f1(empty > 0, label) == scores.object_f1(label > 0, empty) == 0
    assert np.isnan(scores.object_f1(empty > 0, empty))
