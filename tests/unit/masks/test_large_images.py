"""A decision applied band by band is the decision applied at once."""

import numpy as np
import pytest
from scipy import ndimage

from maskmake.data import file_decoders
from maskmake.masks import large_images
from maskmake.masks.decision import Decision, apply_decision
from maskmake.masks.large_images import DiskArray, masked

SHAPE = (150, 130)


def probabilities(seed, smoothness):
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    field = ndimage.gaussian_filter(noise, smoothness)
    return (1 / (1 + np.exp(-3 * field / field.std()))).astype(np.float16)


def by_bands(probability, decision, folder, rows=7):
    parts = (probability[start : start + rows] for start in range(0, len(probability), rows))
    found = list(masked(parts, probability.shape, decision, folder))
    np.testing.assert_array_equal(np.concatenate([p for p, _ in found]), probability)
    assert list(folder.iterdir()) == []
    return np.concatenate([mask for _, mask in found])


@pytest.fixture(params=[3, 11, 64])
def small(request, monkeypatch):
    """Bands of a few rows, and blocks that are smaller than the image."""
    monkeypatch.setattr(large_images, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(file_decoders, "BAND_PIXELS", request.param * SHAPE[1])
    monkeypatch.setattr(large_images, "BLOCK", 50)
    monkeypatch.setattr(large_images, "MARGIN", 40)


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 4])
@pytest.mark.parametrize("sizes", [(0, 0), (5, 0), (0, 5), (60, 30), (4000, 4000), (10**5, 10**5)])
def test_sizes_are_those_of_the_whole_image(smoothness, sizes, small, tmp_path):
    for seed in range(3):
        probability = probabilities(seed, smoothness)
        decision = Decision(0.5, *sizes)
        expected = apply_decision(probability, decision)
        np.testing.assert_array_equal(by_bands(probability, decision, tmp_path), expected)


@pytest.mark.parametrize("smoothness", [1.5, 3])
@pytest.mark.parametrize("min_seed", [0, 20])
def test_lines_between_objects_are_those_of_the_whole_image(smoothness, min_seed, small, tmp_path):
    for seed in range(3):
        probability = probabilities(seed, smoothness)
        decision = Decision(0.4, 8, 8, 0.9, min_seed)
        expected = apply_decision(probability, decision)
        assert (expected != apply_decision(probability, Decision(0.4, 8, 8))).any()
        np.testing.assert_array_equal(by_bands(probability, decision, tmp_path), expected)


def test_objects_of_the_background_are_those_of_the_whole_image(small, tmp_path):
    probability = probabilities(0, 1.5)
    for upper in (None, 0.9):
        decision = Decision(0.4, 8, 8, upper, 5, "background")
        expected = apply_decision(probability, decision)
        assert (expected != apply_decision(probability, Decision(0.6, 8, 8))).any()
        np.testing.assert_array_equal(by_bands(probability, decision, tmp_path), expected)


def test_a_snake_through_all_bands_is_one_object(small, tmp_path):
    probability = np.zeros(SHAPE, np.float16)
    probability[:, 10:-10:4] = 1
    probability[2, 10:-10] = 1
    size = np.count_nonzero(probability)
    for least, kept in ((size, True), (size + 1, False)):
        mask = by_bands(probability, Decision(0.5, least, 0), tmp_path)
        np.testing.assert_array_equal(mask, (probability > 0.5) & kept)


def test_one_seed_that_leaves_the_window_gets_no_line_through_itself(small, tmp_path):
    probability = np.zeros(SHAPE, np.float16)
    probability[:140, 20:60] = 0.6  # two arms of one seed, joined far below, meet in the middle
    probability[:140, 24:36] = probability[:140, 44:56] = 0.95
    probability[130:140, 24:56] = 0.95
    mask = by_bands(probability, Decision(0.5, 0, 0, 0.9, 0), tmp_path)
    np.testing.assert_array_equal(mask, probability > 0.5)


def test_a_small_image_needs_no_disk(tmp_path):
    probability = probabilities(0, 2)
    decision = Decision(0.5, 10, 10, 0.9, 5)
    folder = tmp_path / "arrays"  # which an array on disk would make
    ((_, mask),) = masked(iter([probability]), probability.shape, decision, folder)
    np.testing.assert_array_equal(mask, apply_decision(probability, decision))
    assert not folder.exists()


def test_a_disk_array_keeps_what_is_written_and_has_no_name(tmp_path):
    array = DiskArray(tmp_path, SHAPE, np.int32)
    array.rows(10, 20)[:, 5:9] = 7
    expected = np.zeros(SHAPE, np.int32)
    expected[10:20, 5:9] = 7
    np.testing.assert_array_equal(array.rows(0, SHAPE[0]), expected)
    assert list(tmp_path.iterdir()) == []
