"""Full pictures for the viewer: tiles of a large image hold every pixel, and thin things stay."""

import itertools

import numpy as np
import pytest
from PIL import Image

from maskmake.pages import tiles

HEIGHT, WIDTH = 45, 37
COLOURS = [(255, 0, 0), (0, 0, 255)]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 8)
    monkeypatch.setattr(tiles, "LARGEST_FILE", 16)


def read_level(folder, level, suffix):
    """A level as the viewer shows it, from the tiles of a scale of 2 for each level."""
    found = [path.stem.split("-") for path in folder.iterdir() if path.suffix == suffix]
    places = {(int(row), int(column)) for at, column, row in found if int(at) == level}
    rows, columns = (sorted({place[axis] for place in places}) for axis in (0, 1))
    assert places == set(itertools.product(rows, columns))
    read = [
        [np.asarray(Image.open(folder / f"{level}-{column}-{row}{suffix}")) for column in columns]
        for row in rows
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in read])


def test_each_level_keeps_the_highest_value_of_its_pixels(tmp_path):
    kinds = np.zeros((HEIGHT, WIDTH), np.uint8)
    kinds[:, 21] = 1  # one pixel thin
    kinds[30, :9] = 2
    bands = np.split(kinds, [3, 20, 44])  # as a decoder gives them
    tiles.write_full_picture(tmp_path / "a.b", kinds.shape, bands, COLOURS)
    last = tiles.tiling(HEIGHT, WIDTH)["maxLevel"]
    assert last == 3
    for level in range(last + 1):
        step = 2 ** (last - level)
        expected = [
            [
                kinds[row : row + step, column : column + step].max()
                for column in range(0, WIDTH, step)
            ]
            for row in range(0, HEIGHT, step)
        ]
        np.testing.assert_array_equal(read_level(tmp_path / "a.b.tiles", level, ".png"), expected)


def test_a_photograph_is_averaged(tmp_path):
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[::2] = 200
    tiles.write_full_picture(tmp_path / "a", (HEIGHT, WIDTH), [picture])
    half = read_level(tmp_path / "a.tiles", 2, ".jpg")
    assert half.shape == (23, 19, 3) and abs(half[:22].astype(int) - 100).max() < 3


def test_few_bands_are_held_at_once(tmp_path):
    written = []

    def bands():
        for _ in range(0, 64, 8):
            written.append(len(list((tmp_path / "a.tiles").glob("3-*"))))
            yield np.zeros((8, WIDTH), np.uint8)

    tiles.write_full_picture(tmp_path / "a", (64, WIDTH), bands(), COLOURS)
    assert written == [5 * row for row in range(8)]


def test_a_picture_that_is_not_large_is_one_file(tmp_path):
    assert tiles.tiling(16, 9) is None and tiles.row_bands(16, 9) == [slice(0, 16)]
    tiles.write_full_picture(tmp_path / "a", (16, 9), [np.zeros((8, 9), np.uint8)] * 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]
    assert Image.open(tmp_path / "a.jpg").size == (9, 16)


def test_the_bands_of_a_large_image_are_all_its_rows():
    bands = tiles.row_bands(HEIGHT, WIDTH)
    rows = np.concatenate([np.arange(HEIGHT)[band] for band in bands])
    assert rows.tolist() == list(range(HEIGHT)) and len(bands) == 6
