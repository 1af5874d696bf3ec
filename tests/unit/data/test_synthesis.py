"""The synthesiser: reproducible, exactly labelled, and no task for a mere threshold."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from maskmake.data.audit import audit_dataset
from maskmake.data.images import read_pixels
from maskmake.data.label_files import read_label
from maskmake.data.synthesis import KINDS, synthesize, write_dataset

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


def best_level_dice(image, foreground):
    """Largest Dice of the foreground by any threshold, foreground being darker or brighter."""
    return max(best_threshold_dice(image, foreground), best_threshold_dice(-image, foreground))


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


def test_the_membranes_of_earlier_versions_keep_their_bytes():
    digest = hashlib.sha256()
    for index, size, seed in ((0, 96, 1), (3, 128, 7)):
        for array in synthesize(index, size, seed):
            digest.update(array.tobytes())
    assert digest.hexdigest() == "40c060af514641c8825d0bac1e9a845e1c4581295d1fa80ac27cb61f340b4045"


@pytest.mark.parametrize(
    ("kind", "size", "index", "digest"),
    [
        (
            "membranes",
            420,
            1,
            "56d3b2123c2c00f83ad52dff946fcf42177bd6316d0aee226cb5b38590a641b4",
        ),
        ("blobs", 512, 1, "7742549c82c3cccbe211d10c069ad13b83a0cbd9c126ff572699bbfb192b0a0c"),
    ],
)
def test_larger_images_of_earlier_versions_keep_their_bytes(kind, size, index, digest):
    """Which were compared with every cell and every blob, not with those that are near."""
    drawn = synthesize(index, size, 4, kind, 0.5 if kind == "membranes" else 0)
    assert hashlib.sha256(b"".join(array.tobytes() for array in drawn)).hexdigest() == digest


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_repeatable_and_its_label_does_not_depend_on_the_difficulty(kind):
    image, label = synthesize(1, 100, 3, kind, 1)
    assert image.shape == label.shape == (100, 100)
    assert image.dtype == label.dtype == np.uint8
    assert set(np.unique(label)) == {0, 255}
    for first, second in zip((image, label), synthesize(1, 100, 3, kind, 1), strict=True):
        np.testing.assert_array_equal(first, second)
    easy, same_label = synthesize(1, 100, 3, kind, 0)
    np.testing.assert_array_equal(label, same_label)
    assert (easy != image).any()
    assert (synthesize(1, 100, 4, kind, 1)[1] != label).any()


# Measured, the mean of 8 images of 256 x 256: 0.46 and 0.14 for cracks, 0.85 and 0.65 for blobs,
# 0.52 and 0.51 for textures; a third of which is foreground, so that taking all reaches 0.5.
@pytest.mark.parametrize(
    ("kind", "middle", "hard"),
    [("cracks", 0.6, 0.25), ("blobs", 0.88, 0.75), ("textures", 0.6, 0.6)],
)
def test_no_level_of_grey_finds_what_is_not_easy(kind, middle, hard):
    for difficulty, most in ((0.5, middle), (1, hard)):
        drawn = [synthesize(index, 256, 1, kind, difficulty) for index in range(3)]
        for blur in (0, 1):
            scores = [
                best_level_dice(
                    ndimage.gaussian_filter(image.astype(float), blur).round(), label > 0
                )
                for image, label in drawn
            ]
            assert np.mean(scores) < most


@pytest.mark.parametrize("size", [64, 192, 256])
def test_cracks_are_rare_thin_and_long(size):
    for index in range(6):
        image, label = synthesize(index, size, 2, "cracks")
        cracks = label > 0
        assert 0.002 <= cracks.mean() <= 0.02
        assert ndimage.distance_transform_edt(cracks).max() <= 4
        parts, count = ndimage.label(cracks, np.ones((3, 3)))
        extents = [max(s.stop - s.start for s in box) for box in ndimage.find_objects(parts)]
        assert count and np.median(extents) >= 5
        assert image[cracks].mean() < image[~cracks].mean() - 20


def test_blobs_touch_but_for_one_pixel_of_background():
    for index in range(3):
        _, label = synthesize(index, 192, 2, "blobs")
        _, count = ndimage.label(label)
        closed = ndimage.binary_closing(np.pad(label > 0, 4), np.ones((3, 3)))
        _, joined = ndimage.label(closed)
        assert count >= 15
        assert joined < 0.75 * count
        # Where one pixel of background separates two blobs, it has foreground at opposite sides.
        objects, _ = ndimage.label(label)
        up, down, left, right = (
            np.roll(objects, *how) for how in ((1, 0), (-1, 0), (1, 1), (-1, 1))
        )
        lines = (objects == 0) & (
            ((up != down) & (up > 0) & (down > 0)) | ((left != right) & (left > 0) & (right > 0))
        )
        assert lines.sum() >= 20


def test_textures_have_the_same_grey():
    differences, ratios = [], []
    for index in range(6):
        image, label = synthesize(index, 192, 2, "textures")
        fine, coarse = image[label > 0].astype(float), image[label == 0].astype(float)
        differences.append(fine.mean() - coarse.mean())
        ratios.append(fine.std() / coarse.std())
        slopes = np.abs(ndimage.sobel(image.astype(float)))
        assert slopes[label > 0].mean() > 1.3 * slopes[label == 0].mean()
        assert 0.15 < (label > 0).mean() < 0.55
    assert abs(np.mean(differences)) < 5
    assert 0.85 < np.mean(ratios) < 1.15


@pytest.mark.parametrize("kind", ["cracks", "blobs", "textures"])
@pytest.mark.parametrize("difficulty", [0, 1])
def test_the_audit_accepts_a_kind(tmp_path, kind, difficulty):
    write_dataset(tmp_path / "images", tmp_path / "labels", 6, 96, 1, kind, difficulty)
    audit = audit_dataset(images=str(tmp_path / "images"), labels=str(tmp_path / "labels"))
    assert not audit.faults
    assert not audit.warnings


def test_dataset_holds_images_and_labels_under_equal_names(tmp_path):
    write_dataset(tmp_path / "images", tmp_path / "labels", count=3, size=64, seed=5)
    expected = ["00.png", "01.png", "02.png"]
    for folder in ("images", "labels"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == expected
    image, label = synthesize(2, 64, seed=5)
    np.testing.assert_array_equal(read_pixels(tmp_path / "images/02.png"), image)
    np.testing.assert_array_equal(read_label(tmp_path / "labels/02.png").values, label)
