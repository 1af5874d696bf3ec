"""A patch follows from seed and step; every pixel of an image can be seen."""

import itertools
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from maskmake.data.labels import IGNORED, is_foreground
from maskmake.runtime.errors import UserError
from maskmake.train.border_weights import with_border_weights
from maskmake.train.patches import ChosenPixels, FixedPatches, PatchSource, random_batches

PATCH, BATCH = 16, 8


def numbered_pixels(height, width, channels=None):
    """An image each of whose pixels holds its own position, row * 256 + column."""
    pixels = np.arange(height)[:, None] * 256 + np.arange(width)
    pixels = pixels.astype(np.uint16)
    return pixels if channels is None else np.dstack([pixels] * channels)


@pytest.fixture(scope="module")
def stores(make_stores):
    images = {"a": numbered_pixels(40, 56), "b": numbered_pixels(20, 16), "c": np.zeros((16, 90))}
    images["c"] = numbered_pixels(16, 90)
    labels = {i: (image % 7 < 3).astype(np.uint8) for i, image in images.items()}
    return make_stores(images, labels)[1:]


def batches(stores, ids="abc", count=5, seed=3, **options):
    endless = random_batches(PatchSource(*stores, list(ids), PATCH), BATCH, seed, **options)
    return list(islice(endless, count))


def test_patches_are_cut_from_image_and_label_at_one_place(stores):
    for batch in batches(stores):
        assert batch.shape == (BATCH, PATCH, PATCH, 2)
        assert batch.dtype == np.uint16
        rows, columns = batch[..., 0] // 256, batch[..., 0] % 256
        assert (np.diff(rows.astype(int), axis=1) == 1).all()
        assert (np.diff(columns.astype(int), axis=2) == 1).all()
        np.testing.assert_array_equal(batch[..., 1], batch[..., 0] % 7 < 3)


def test_a_patch_of_an_rgb_image_has_the_label_as_fourth_channel(make_stores):
    images = {"a": numbered_pixels(20, 30, channels=3)}
    labels = {"a": np.eye(20, 30, dtype=np.uint8)}
    _, *stores = make_stores(images, labels)
    patch = PatchSource(*stores, ["a"], PATCH).cut("a", 3, 9)
    np.testing.assert_array_equal(patch[..., :3], images["a"][3:19, 9:25])
    np.testing.assert_array_equal(patch[..., 3], labels["a"][3:19, 9:25])


def test_the_batches_follow_from_the_seed(stores):
    np.testing.assert_array_equal(batches(stores), batches(stores))
    assert (np.array(batches(stores)) != np.array(batches(stores, seed=4))).any()
    first, second, *_ = batches(stores)
    assert (first != second).any()


@pytest.mark.parametrize("step", [1, 4])
def test_a_resumed_sequence_goes_on_where_it_was(stores, step):
    resumed = batches(stores, count=5 - step, first_step=step)
    np.testing.assert_array_equal(resumed, batches(stores)[step:])


def test_corners_cover_the_borders(stores):
    drawn = np.concatenate(batches(stores, ids="a", count=150))[..., 0]
    corners = drawn[:, 0, 0]
    assert set(corners // 256) == set(range(40 - PATCH + 1))
    assert set(corners % 256) == set(range(56 - PATCH + 1))


def test_every_pixel_of_every_image_is_equally_likely(stores):
    drawn = np.concatenate(batches(stores, ids="ab", count=1600))[..., 0]
    pixels = {"a": 40 * 56, "b": 20 * 16}
    # Only "b" is 16 pixels wide, so all of its patches begin in column 0; of "a", one of 41 does.
    share = (drawn[:, 0, 0] % 256 == 0).mean()
    expected = (pixels["b"] + pixels["a"] / 41) / sum(pixels.values())
    assert share == pytest.approx(expected, abs=0.012)


def test_an_image_of_the_size_of_a_patch_is_taken_whole(stores):
    small = np.concatenate(batches(stores, ids="b", count=20))[..., 0]
    assert set(small[:, 0, 0] // 256) == set(range(5))
    assert set(small[:, 0, 0] % 256) == {0}


# --- patches centred on foreground ------------------------------------------------------------


@pytest.fixture(scope="module")
def rare(make_stores):
    """Three foreground pixels in one image, one in another, none in the third."""
    images = {"a": numbered_pixels(40, 56), "b": numbered_pixels(48, 64), "c": np.zeros((32, 32))}
    images["c"] = numbered_pixels(32, 32)
    labels = {name: np.zeros(image.shape, np.uint8) for name, image in images.items()}
    for name, y, x in [("a", 20, 30), ("a", 0, 0), ("a", 39, 20), ("b", 17, 40)]:
        labels[name][y, x] = 1
    return make_stores(images, labels)[1:]


def test_every_foreground_pixel_is_drawn_equally_often(rare):
    foreground = ChosenPixels(rare[1], list("abc"), is_foreground, "foreground")
    random = np.random.default_rng(1)
    drawn = Counter(tuple(int(n) for n in foreground.draw(random)) for _ in range(2000))
    assert set(drawn) == {(0, 20, 30), (0, 0, 0), (0, 39, 20), (1, 17, 40)}
    assert all(count == pytest.approx(500, abs=80) for count in drawn.values())


def test_a_draw_reads_few_pixels_however_wide_an_image_is(make_stores, monkeypatch):
    """The pixels that are drawn are the same ones for bands of any height."""
    labels = {"a": np.zeros((300, 70), np.uint8), "b": np.zeros((90, 9000), np.uint8)}
    random = np.random.default_rng(1)
    for label in labels.values():
        label[:] = random.random(label.shape) < 0.3
    stored = make_stores(labels, labels)[2]
    drawn, read = [], []

    def seen(label):
        read.append(label.size)
        return is_foreground(label)

    for pixels in (2**16, 1, 20_000, 10**9):
        monkeypatch.setattr("maskmake.train.patches.BAND_PIXELS", pixels)
        foreground = ChosenPixels(stored, list("ab"), seen, "foreground")
        random = np.random.default_rng(1)
        drawn.append([tuple(map(int, foreground.draw(random))) for _ in range(50)])
        assert max(read) <= max(pixels, 9000)
        read.clear()
    assert drawn[0] == drawn[1] == drawn[2] == drawn[3]
    assert all(labels["ab"[i]][y, x] for i, y, x in drawn[0])


def test_the_foreground_is_that_of_the_first_channel_of_a_label(rare, tmp_path):
    both = with_border_weights(rare[1], list("ab"), tmp_path / "borders.npy", "foreground")
    random = np.random.default_rng(1)
    drawn = {ChosenPixels(both, list("ab"), is_foreground, "x").draw(random) for _ in range(40)}
    assert drawn == {(0, 20, 30), (0, 0, 0), (0, 39, 20), (1, 17, 40)}


def test_patches_are_centred_on_foreground_as_far_as_the_image_allows(rare):
    drawn = np.concatenate(batches(rare, foreground_share=1.0, count=20))
    half = PATCH // 2
    corners = {(int(c) // 256, int(c) % 256) for c in drawn[:, 0, 0, 0]}
    assert corners == {
        (20 - half, 30 - half),
        (0, 0),
        (40 - PATCH, 20 - half),
        (17 - half, 40 - half),
    }
    assert drawn[..., 1].any(axis=(1, 2)).all()


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_share_of_patches_is_centred_on_foreground(rare, share):
    drawn = np.concatenate(batches(rare, foreground_share=share, count=250))[..., 1]
    anywhere = np.concatenate(batches(rare, count=250))[..., 1]
    by_chance = anywhere.any(axis=(1, 2)).mean()
    expected = share + (1 - share) * by_chance
    assert drawn.any(axis=(1, 2)).mean() == pytest.approx(expected, abs=0.04)


def test_patches_on_foreground_follow_from_seed_and_step(rare):
    options = {"foreground_share": 0.5}
    once = batches(rare, **options)
    np.testing.assert_array_equal(batches(rare, **options), once)
    resumed = batches(rare, count=3, first_step=2, **options)
    np.testing.assert_array_equal(resumed, once[2:])


def test_patches_cannot_be_centred_where_there_is_no_foreground(rare):
    with pytest.raises(UserError, match=r"dataset\.labels: found no foreground"):
        batches(rare, ids="c", foreground_share=0.5)


# --- images smaller than a patch ----------------------------------------------------------------

SMALL = {"a": (40, 3), "b": (15, 16), "c": (5, 90), "d": (2, 3), "e": (40, 56)}


@pytest.fixture(scope="module")
def small(make_stores):
    """Images of which at least one side is shorter than a patch, one of them by one pixel."""
    images = {name: numbered_pixels(*size) for name, size in SMALL.items()}
    labels = {name: (image % 7 < 3).astype(np.uint8) for name, image in images.items()}
    return make_stores(images, labels)[1:]


def assert_mirrored(patch, image, label):
    """The labelled pixels are those of the image, without a gap; the others mirror them."""
    inside = patch[..., 1] != IGNORED
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert inside[box].all() and inside.sum() == inside[box].size
    seen, first = patch[box][..., 0], patch[box][0, 0, 0]
    y, x = int(first) // 256, int(first) % 256
    place = np.s_[y : y + len(seen), x : x + seen.shape[1]]
    np.testing.assert_array_equal(seen, image[place])
    np.testing.assert_array_equal(patch[box][..., 1], label[place])
    assert seen.shape == tuple(min(side, PATCH) for side in image.shape)
    margins = [(found[0], PATCH - 1 - found[-1]) for found in (rows, columns)]
    np.testing.assert_array_equal(patch[..., 0], np.pad(seen, margins, mode="symmetric"))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("share", [0, 1])
def test_a_small_image_is_mirrored_and_its_margin_ignored(small, name, share):
    images, labels = small
    drawn = np.concatenate(batches(small, name, count=20, foreground_share=share))
    drawn = np.concatenate([drawn, *(patches for (patches,) in fixed(small, name))])
    for patch in drawn:
        assert_mirrored(patch, images[name], labels[name])


def test_a_small_image_lies_anywhere_in_its_patches(small):
    drawn = np.concatenate(batches(small, "c", count=150))
    inside = drawn[..., 1] != IGNORED
    assert set(inside.any(axis=2).argmax(axis=1)) == set(range(PATCH - 5 + 1))
    validation = np.concatenate([patches for (patches,) in fixed(small, "c")])
    assert (validation[:, :5, :, 1] != IGNORED).all()  # at the corner, as in prediction


def test_a_small_image_is_drawn_as_often_as_the_pixels_of_a_patch(small):
    drawn = np.concatenate(batches(small, "de", count=300))
    share = (drawn[..., 1] == IGNORED).any(axis=(1, 2)).mean()
    assert share == pytest.approx(PATCH**2 / (PATCH**2 + 40 * 56), abs=0.015)


def test_the_margin_is_where_foreground_is_centred(make_stores):
    label = np.zeros((5, 90), np.uint8)
    label[4, 50] = 1
    _, *stores = make_stores({"a": numbered_pixels(5, 90)}, {"a": label})
    for patch in np.concatenate(batches(stores, "a", foreground_share=1.0)):
        (y,), (x,) = np.nonzero(patch[..., 1] == 1)
        assert (y, x) == (PATCH // 2, PATCH // 2)


def test_a_small_image_with_ignored_pixels_is_seen_whole(make_stores):
    label = np.full((5, 90), IGNORED, np.uint8)
    label[2, 40:43] = 0, 1, 0
    _, *stores = make_stores({"a": numbered_pixels(5, 90)}, {"a": label})
    source = PatchSource(*stores, ["a"], PATCH, partial=True)
    for batch in itertools.islice(random_batches(source, 4, seed=1), 10):
        assert (batch[..., 1] != IGNORED).any(axis=(1, 2)).all()


def test_the_border_weights_are_those_of_the_image(make_stores, tmp_path):
    label = np.zeros((10, 40), np.uint8)
    label[:, 4:8] = label[:, 10:14] = 1
    _, images, labels = make_stores({"a": numbered_pixels(10, 40)}, {"a": label})
    both = with_border_weights(labels, ["a"], tmp_path / "borders.npy", "foreground")
    patch = PatchSource(images, both, ["a"], PATCH).cut("a", -3, 2)
    assert patch.shape == (PATCH, PATCH, 3)
    np.testing.assert_array_equal(patch[3:13, :, 1:], both["a"][:, 2:18])
    assert (patch[:3, :, 1] == IGNORED).all() and (patch[13:, :, 1] == IGNORED).all()


# --- validation patches -----------------------------------------------------------------------


def fixed(stores, ids="abc", batch=1, most=1000):
    return FixedPatches(PatchSource(*stores, list(ids), PATCH), batch, most)


def covered(patches, height, width):
    """How many patches hold each pixel of the only image."""
    counts = np.zeros((height, width), int)
    for index in range(len(patches)):
        (batch,) = patches[index]
        np.add.at(counts, (batch[..., 0] // 256, batch[..., 0] % 256), 1)
    return counts


@pytest.mark.parametrize(("name", "height", "width"), [("a", 40, 56), ("b", 20, 16), ("c", 16, 90)])
def test_the_patches_cover_every_pixel(stores, name, height, width):
    patches = fixed(stores, name)
    assert covered(patches, height, width).min() >= 1
    fewest = -(-height // PATCH) * -(-width // PATCH)
    assert len(patches) == fewest


def test_the_patches_are_the_same_in_every_epoch(stores):
    patches = fixed(stores, batch=4)
    first = [patches[index][0] for index in range(len(patches))]
    patches.on_epoch_end()
    again = [patches[index][0] for index in range(len(patches))]
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("batch", [1, 3, 4, 8])
@pytest.mark.parametrize("most", [8, 12, 1000])
def test_every_batch_is_full(stores, batch, most):
    patches = fixed(stores, batch=batch, most=most)
    sizes = [patches[index][0].shape for index in range(len(patches))]
    assert set(sizes) == {(batch, PATCH, PATCH, 2)}
    assert len(patches) * batch <= most


def test_fewer_patches_than_a_batch_are_all_taken(stores):
    patches = fixed(stores, ids="b", batch=8)
    assert len(patches) == 1
    assert patches[0][0].shape == (2, PATCH, PATCH, 2)


def test_thinned_patches_are_spread_over_all_images(stores):
    (batch,) = fixed(stores, batch=4, most=4)[0]
    widths = batch[:, 0, -1, 0] % 256
    assert len(np.unique(batch[:, 0, 0, 0])) == 4
    assert widths.max() == 89  # the last patch of the last image


def test_with_ignored_pixels_each_patch_has_a_labelled_one(make_stores):
    label = np.full((200, 300), IGNORED, np.uint8)
    label[150:160, 20:30], label[155:158, 22:25] = 0, 1
    image = np.zeros(label.shape, np.uint8)
    _, *stores = make_stores({"a": image}, {"a": label})
    source = PatchSource(*stores, ["a"], 64, partial=True)
    for batch in itertools.islice(random_batches(source, 4, seed=1), 10):
        assert (batch[..., 1] != IGNORED).any(axis=(1, 2)).all()
    (validation,) = [patches for (patches,) in FixedPatches(source, 32, most=100)]
    assert (validation[..., 1] != IGNORED).any(axis=(1, 2)).all()
