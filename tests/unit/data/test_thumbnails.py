"""Thumbnails, and how alike images are by them."""

import numpy as np
import pytest

from maskmake.data.likeness import near_copies, own_content
from maskmake.data.thumbnails import SIDE, read_thumbnails, thumbnail, write_thumbnails
from maskmake.runtime.errors import UserError


@pytest.mark.parametrize("shape", [(64, 48), (67, 131), (32, 32, 3)])
def test_a_thumbnail_holds_the_mean_of_each_step(shape):
    pixels = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
    found = thumbnail(pixels)
    rows, columns = (np.arange(SIDE + 1) * length // SIDE for length in shape[:2])
    for y in range(SIDE):
        for x in range(SIDE):
            part = pixels[rows[y] : rows[y + 1], columns[x] : columns[x + 1]]
            assert found[y, x] == pytest.approx(part.mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (5, 40)])
def test_an_image_that_is_smaller_than_a_thumbnail_has_one_too(shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    found = thumbnail(pixels)
    assert found.shape == (SIDE, SIDE)
    assert found[0, 0] == pixels[0, : max(1, shape[1] // SIDE)].mean()
    assert found[-1, -1] == pixels[-1, 15 * shape[1] // SIDE :].mean()


@pytest.mark.parametrize(
    "change", [lambda found: found[1:], lambda found: found * np.nan, lambda found: found[:, :8]]
)
def test_damaged_thumbnails_are_named(tmp_path, change):
    path = tmp_path / "thumbnails.npy"
    write_thumbnails(path, np.ones((4, SIDE, SIDE)))
    assert read_thumbnails(path, 4).sum() == 4 * SIDE**2
    write_thumbnails(path, change(np.ones((4, SIDE, SIDE))))
    with pytest.raises(UserError, match=r"thumbnails\.npy: .* add -R binarize to the command"):
        read_thumbnails(path, 4)


def test_near_copies_are_those_of_a_comparison_of_all_pairs():
    rng = np.random.default_rng(2)
    images = rng.normal(100, 20, (500, SIDE, SIDE))
    images[400:] = images[:100] + rng.normal(0, 2, (100, SIDE, SIDE))
    images[450:] = np.rot90(images[450:], axes=(1, 2))[:, ::-1]
    # The largest that float32 can hold, and the smallest whose digits it holds, too.
    for scale in (1, 2.0**120, 2.0**-110):
        found = near_copies(own_content((images * scale).astype(np.float32)))
        expected = np.stack([np.arange(100), np.arange(400, 500)], axis=1)
        np.testing.assert_array_equal(found, expected)


def test_content_is_the_same_at_every_scale():
    images = np.random.default_rng(2).normal(100, 20, (9, SIDE, SIDE)).astype(np.float32)
    expected = own_content(images)
    assert expected.any(axis=1).all()
    np.testing.assert_array_equal(own_content(images * np.float32(2.0**119)), expected)
    assert not own_content(np.zeros((3, SIDE, SIDE), np.float32)).any()
