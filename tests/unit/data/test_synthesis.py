"""The synthesiser: reproducible, exactly labelled, and no task for a mere threshold."""

import numpy as np
import pytest
from scipy import ndimage

from maskmake.data.images import read_pixels
from maskmake.data.label_files import read_label
from maskmake.data.synthesis import synthesize, write_dataset

SIZE = 192
MEMBRANE, INSIDE = 0, 255


@pytest.fixture(scope="module")
def samples():
    return [synthesize(index, SIZE, seed=1) for index in range(6)]


def best_threshold_dice(image, membrane):
    """Largest Dice of the membrane that any global threshold on ``image`` reaches."""
    scores = []
    for threshold in np.unique(image):
        dark = image <= threshold
        scores.append(2 * (dark & membrane).sum() / (dark.sum() + membrane.sum()))
    return max(scores)


def test_same_arguments_give_identical_arrays():
    for first, second in zip(synthesize(3, SIZE, seed=7), synthesize(3, SIZE, seed=7), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("index", "seed"), [(1, 1), (0, 2)])
def test_another_index_or_seed_gives_another_image(samples, index, seed):
    image, label = synthesize(index, SIZE, seed)
    assert (image != samples[0][0]).any()
    assert (label != samples[0][1]).any()


@pytest.mark.parametrize("size", [64, 100, 192])
def test_shape_type_and_values(size):
    image, label = synthesize(0, size, seed=1)
    assert image.shape == label.shape == (size, size)
    assert image.dtype == label.dtype == np.uint8
    assert set(np.unique(label)) == {MEMBRANE, INSIDE}


def test_membrane_share_is_that_of_nerve_tissue(samples):
    shares = [(label == MEMBRANE).mean() for _, label in samples]
    assert min(shares) > 0.14
    assert max(shares) < 0.26
    assert 0.17 < np.mean(shares) < 0.23


def test_membrane_is_darker_than_cells_but_no_threshold_finds_it(samples):
    for image, label in samples:
        membrane = label == MEMBRANE
        assert image[membrane].mean() < image[~membrane].mean() - 30
        assert best_threshold_dice(image, membrane) < 0.8
        smooth = ndimage.gaussian_filter(image.astype(float), 1).round()
        assert best_threshold_dice(smooth, membrane) < 0.8


def test_cells_hold_organelles_as_dark_as_membrane(samples):
    for image, label in samples:
        smooth = ndimage.gaussian_filter(image.astype(float), 1)
        as_dark_as_membrane = smooth < np.quantile(smooth[label == MEMBRANE], 0.75)
        # Four pixels off, so that blurred membrane is not taken for an organelle.
        deep_inside = ndimage.distance_transform_edt(label == INSIDE) > 4
        dark_parts, count = ndimage.label(as_dark_as_membrane & deep_inside)
        areas = ndimage.sum_labels(dark_parts > 0, dark_parts, range(1, count + 1))
        assert (areas >= 25).sum() >= 2


def test_cells_vary_in_size(samples):
    for _, label in samples:
        cells, count = ndimage.label(label == INSIDE)
        areas = ndimage.sum_labels(label == INSIDE, cells, range(1, count + 1))
        assert count >= 15
        assert np.quantile(areas, 0.9) > 8 * np.quantile(areas, 0.1)


def test_dataset_holds_images_and_labels_under_equal_names(tmp_path):
    write_dataset(tmp_path / "images", tmp_path / "labels", count=3, size=64, seed=5)
    expected = ["00.png", "01.png", "02.png"]
    for folder in ("images", "labels"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == expected
    image, label = synthesize(2, 64, seed=5)
    np.testing.assert_array_equal(read_pixels(tmp_path / "images/02.png"), image)
    np.testing.assert_array_equal(read_label(tmp_path / "labels/02.png").values, label)
