"""Scores: closed-form cases, other libraries and the check values of the ISBI-2012 labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import measure
from skimage.metrics import adapted_rand_error, variation_of_information
from skimage.segmentation import find_boundaries, watershed

from maskmake import scores
from maskmake.scores import Confusion

ISBI_LABEL = Path(__file__).parents[3] / "shared" / "data" / "isbi2012" / "label" / "0.png"


def cells(size: int = 256, count: int = 60, seed: int = 0) -> np.ndarray:
    """A label of cells, 1, with walls of three pixels between them, 0."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((size, size), np.int32)
    seeds[tuple(rng.integers(0, size, (2, count)))] = np.arange(count) + 1
    walls = find_boundaries(watershed(np.zeros_like(seeds), seeds), mode="thick")
    return (~ndimage.binary_dilation(walls)).astype(np.uint8)


def with_own_labels(segments: np.ndarray) -> np.ndarray:
    """Segments with a new label for each pixel that has none."""
    segments = segments.astype(np.int64)
    lines = segments == 0
    segments[lines] = segments.max() + 1 + np.arange(np.count_nonzero(lines))
    return segments


def accuracy(mask: np.ndarray, label: np.ndarray) -> float:
    return float(np.mean(mask == (label > 0)))


# Pixel scores


def test_confusion_and_pixel_scores_by_hand():
    label = np.array([[1, 1, 1, 0, 0]], np.uint8)
    mask = np.array([[1, 1, 0, 1, 0]], bool)
    counts = scores.confusion(mask, label)
    assert counts == Confusion(tp=2, fp=1, fn=1, tn=1)
    assert scores.pixel_scores(counts) == pytest.approx(
        {
            "pixel_accuracy": 3 / 5,
            "majority_accuracy": 3 / 5,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "foreground_dice": 4 / 6,
            "foreground_iou": 2 / 4,
            "background_dice": 2 / 4,
            "background_iou": 1 / 3,
        }
    )


def test_confusions_pool_by_addition():
    assert Confusion(1, 2, 3, 4) + Confusion(10, 20, 30, 40) == Confusion(11, 22, 33, 44)
    assert sum([Confusion(1, 2, 3, 4)] * 2, Confusion()) == Confusion(2, 4, 6, 8)


def test_confusion_refuses_to_broadcast():
    with pytest.raises(ValueError, match="shape"):
        scores.confusion(np.zeros((4, 4), bool), np.zeros((4, 1), np.uint8))


def test_empty_mask_against_empty_label_is_undefined():
    empty = np.zeros((4, 4), np.uint8)
    values = scores.pixel_scores(scores.confusion(empty > 0, empty))
    undefined = {"precision", "recall", "foreground_dice", "foreground_iou"}
    assert {name for name, value in values.items() if np.isnan(value)} == undefined
    assert values["background_dice"] == values["majority_accuracy"] == 1


def test_empty_mask_against_a_label_scores_zero():
    label = cells()
    values = scores.pixel_scores(scores.confusion(np.zeros(label.shape, bool), label))
    assert values["foreground_dice"] == values["recall"] == 0
    assert np.isnan(values["precision"])


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
        {"v_rand": 1, "v_info": 1, "v_split": 1, "v_merge": 1}
    )


def test_two_segments_merged():
    label = np.ones((20, 21), np.uint8)
    label[:, 10] = 0  # n_1. = n_2. = 200 and n_.1 = 400
    assert scores.rand_and_information(np.ones(label.shape, bool), label) == pytest.approx(
        {"v_rand": 2 / 3, "v_info": 0, "v_split": 1, "v_merge": 1 / 2}
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
    assert same == {"v_rand": 1, "v_info": 1, "v_split": 1, "v_merge": 1}


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


# Boundary F1


def test_boundary_f1_tolerates_a_shift_up_to_the_tolerance():
    label = np.zeros((40, 40), np.uint8)
    label[10:30, 10:30] = 1
    assert scores.boundary_f1(label > 0, label) == 1
    assert scores.boundary_f1(np.roll(label, 2, axis=1) > 0, label, tolerance=2) == 1
    assert scores.boundary_f1(np.roll(label, 3, axis=1) > 0, label, tolerance=2) < 1


def test_boundary_f1_by_hand():
    label = np.zeros((6, 40), np.uint8)
    label[:, :10] = 1  # border: column 9
    mask = label > 0
    mask[:, 20:30] = True  # borders: columns 9, 20 and 29
    assert scores.boundary_f1(mask, label) == pytest.approx(2 * (1 / 3) / (1 + 1 / 3))


def test_boundary_f1_without_borders():
    label = np.zeros((40, 40), np.uint8)
    label[:, :10] = 1
    empty = np.zeros_like(label)
    assert scores.boundary_f1(empty > 0, label) == 0
    assert scores.boundary_f1(label > 0, empty) == 0
    assert scores.boundary_f1(label[:, ::-1] > 0, label) == 0
    assert np.isnan(scores.boundary_f1(empty > 0, empty))
    assert np.isnan(scores.boundary_f1(np.ones_like(label) > 0, empty))


# Probability scores


def random_probabilities(seed: int = 0, shape=(64, 64)) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many ties, and a label that follows them in part."""
    rng = np.random.default_rng(seed)
    probability = np.round(rng.random(shape), 2).astype(np.float16)
    return probability, (rng.random(shape) < probability.astype(float) ** 2).astype(np.uint8)


def test_levels_are_all_float16_numbers_from_0_to_1():
    levels = scores.FLOAT16_LEVELS
    assert levels[0] == 0 and levels[-1] == 1 and (np.diff(levels.astype(float)) > 0).all()
    assert np.array_equal(np.nextafter(levels[:-1], np.float16(1)), levels[1:])


def test_histogram_is_exact_and_pools():
    parts = [random_probabilities(seed) for seed in (0, 1)]
    pooled = sum(scores.probability_histogram(*part) for part in parts)
    assert pooled.dtype == np.int64
    for row, label_value in enumerate((0, 1)):
        values = np.concatenate([p[label == label_value] for p, label in parts])
        levels, counts = np.unique(values, return_counts=True)
        occurs = pooled[row] > 0
        assert np.array_equal(scores.FLOAT16_LEVELS[occurs], levels)
        assert np.array_equal(pooled[row][occurs], counts)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_histogram_refuses_what_is_no_probability(value):
    probability = np.full((2, 2), value, np.float16)
    with pytest.raises(ValueError, match="between 0 and 1"):
        scores.probability_histogram(probability, np.zeros((2, 2), np.uint8))


def test_histogram_refuses_another_type():
    with pytest.raises(ValueError, match="float16"):
        scores.probability_histogram(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.uint8))


def test_average_precision_by_its_definition():
    probability, label = random_probabilities()
    expected, previous = 0.0, 0.0
    for threshold in np.unique(probability)[::-1]:
        positive = probability >= threshold
        tp = np.count_nonzero(positive & (label > 0))
        recall = tp / np.count_nonzero(label)
        expected += (recall - previous) * tp / np.count_nonzero(positive)
        previous = recall
    values = scores.probability_scores(scores.probability_histogram(probability, label))
    assert values["average_precision"] == pytest.approx(expected)


def test_brier_and_calibration_error_by_their_definitions():
    probability, label = random_probabilities()
    values = scores.probability_scores(scores.probability_histogram(probability, label))
    p, y = probability.astype(float).ravel(), label.ravel()
    assert values["brier"] == pytest.approx(np.mean((p - y) ** 2))
    ece = 0.0
    for lower in np.arange(15) / 15:
        inside = (p > lower) & (p <= lower + 1 / 15) | ((lower == 0) & (p == 0))
        if inside.any():
            ece += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert values["ece"] == pytest.approx(ece)


def test_certain_pixels_share_the_last_bin_of_the_calibration_error():
    probability = np.array([[1, 1, 0.9375, 0.9375]], np.float16)
    label = np.array([[1, 0, 1, 1]], np.uint8)
    values = scores.probability_scores(scores.probability_histogram(probability, label))
    assert values["ece"] == pytest.approx((1 - 2 * 0.0625) / 4)


def test_perfect_and_worthless_probabilities():
    label = cells()
    perfect = scores.probability_scores(
        scores.probability_histogram(label.astype(np.float16), label)
    )
    assert perfect == {"average_precision": 1, "ece": 0, "brier": 0}
    constant = np.full(label.shape, 0.3, np.float16)
    worthless = scores.probability_scores(scores.probability_histogram(constant, label))
    assert worthless["average_precision"] == pytest.approx(label.mean())
    assert worthless["ece"] == pytest.approx(abs(label.mean() - float(constant[0, 0])))


def test_average_precision_without_foreground_is_undefined():
    histogram = scores.probability_histogram(
        np.full((4, 4), 0.5, np.float16), np.zeros((4, 4), np.uint8)
    )
    assert np.isnan(scores.probability_scores(histogram)["average_precision"])


# Score card


def case(image_id: str, seed: int):
    label = cells(size=96, count=12, seed=seed)
    rng = np.random.default_rng(seed)
    probability = np.clip(label * 0.6 + rng.random(label.shape) * 0.4, 0, 1).astype(np.float16)
    return image_id, probability > 0.62, label, probability


def test_score_card_pools_pixels_and_averages_images():
    cases = [case("a", 0), case("b", 1)]
    pooled, per_image = scores.score_card(iter(cases))
    assert tuple(pooled) == scores.SCORES
    assert list(per_image.columns) == ["id", *scores.SCORES]
    assert list(per_image["id"]) == ["a", "b"]
    # Side by side the images have the pixels of both.
    both = [np.hstack(arrays) for arrays in list(zip(*cases, strict=True))[1:]]
    expected = scores.pixel_scores(scores.confusion(both[0], both[1]))
    expected |= scores.probability_scores(scores.probability_histogram(both[2], both[1]))
    assert {name: pooled[name] for name in expected} == pytest.approx(expected)
    for name in scores.OBJECT_SCORES:
        assert pooled[name] == pytest.approx(per_image[name].mean())


def test_score_card_leaves_undefined_scores_out_of_means():
    empty = np.zeros((96, 96), np.uint8)
    cases = [case("a", 0), ("empty", empty > 0, empty, empty.astype(np.float16))]
    pooled, per_image = scores.score_card(cases)
    assert per_image.set_index("id").loc["empty", "v_rand":"v_merge"].isna().all()
    assert pooled["v_rand"] == per_image["v_rand"][0]
    assert pooled["boundary_f1"] == per_image["boundary_f1"][0]


def test_score_card_of_no_image_is_undefined():
    pooled, per_image = scores.score_card([])
    assert per_image.empty and list(per_image.columns) == ["id", *scores.SCORES]
    assert all(np.isnan(value) for value in pooled.values())
