"""Reading and writing by bands gives what reading and writing at once give."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskmake import images
from maskmake.images import open_image_files, png_rows, read_pixels
from maskmake.log import UserError

HEIGHT, WIDTH = 90, 61


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(images, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(images, "BAND_PIXELS", 7 * WIDTH + 3)


def smooth(dtype, channels=None, height=HEIGHT):
    """Pixels with slopes and noise, for which encoders choose all kinds of row filters."""
    rng = np.random.default_rng(1)
    shape = (height, WIDTH) if channels is None else (height, WIDTH, channels)
    slopes = np.add.outer(np.arange(height) * 2, np.arange(WIDTH))
    slopes = slopes if channels is None else slopes[..., None]
    pixels = slopes + rng.integers(0, 30, shape) * (rng.random(shape) > 0.5)
    return (pixels * (np.iinfo(dtype).max / 300)).astype(dtype)


def assert_read_by_bands(path, count=2):
    (picture,) = open_image_files(path)
    read = list(picture.read())
    whole = read_pixels(path)
    assert len(read) >= count
    assert (picture.shape, picture.dtype) == (whole.shape, whole.dtype)
    assert {band.dtype for band in read} == {whole.dtype}
    np.testing.assert_array_equal(np.concatenate(read), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 2, 3, 4])
@pytest.mark.parametrize("level", [0, 6])
def test_png(dtype, channels, level, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(smooth(dtype, channels), level=level))
    assert_read_by_bands(path)


def test_png_of_one_colour_shrinks_a_thousandfold(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((5000, WIDTH), np.uint8)).save(path)
    assert_read_by_bands(path, count=700)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"rowsperstrip": 8},
        {"compression": "lzw", "rowsperstrip": 8, "predictor": True},
        {"compression": "zlib", "tile": (16, 32)},
        {"tile": (32, 16)},
    ],
    ids=["plain", "strips", "lzw", "zlib tiles", "tiles"],
)
def test_tiff(dtype, channels, order, layout, tmp_path):
    path = tmp_path / "a.tif"
    colours = "rgb" if channels else "minisblack"
    tifffile.imwrite(path, smooth(dtype, channels), photometric=colours, byteorder=order, **layout)
    assert_read_by_bands(path)


def test_tiff_whose_0_is_white(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", smooth(np.uint8), photometric="miniswhite")
    assert_read_by_bands(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["a.jpg", "a.bmp", "palette.png", "one-bit.png", "planar.tif"])
def test_other_kinds_are_read_whole(kind, tmp_path):
    path, pixels = tmp_path / kind, smooth(np.uint8, 3)
    if kind == "planar.tif":
        planes = np.moveaxis(pixels, -1, 0)
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    else:
        picture = Image.fromarray(pixels)
        picture = {"palette.png": picture.quantize(8), "one-bit.png": picture.convert("1")}.get(
            kind, picture
        )
        picture.save(path)
    assert_read_by_bands(path, count=1)


@pytest.mark.parametrize("limit", [100, 10**6], ids=["by bands", "whole"])
@pytest.mark.parametrize("channels", [None, 3])
def test_pages_of_a_stack(limit, channels, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "WHOLE_PIXELS", limit)
    stack = [smooth(np.uint8, channels, height) for height in (HEIGHT, 50, 70)]
    colours = "rgb" if channels else "minisblack"
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in stack:
            writer.write(page, photometric=colours, compression="zlib")
    pictures = open_image_files(tmp_path / "a.tif")
    assert [picture.id for picture in pictures] == ["a_0000", "a_0001", "a_0002"]
    for picture, page in zip(pictures, stack, strict=True):
        assert picture.shape == page.shape
        np.testing.assert_array_equal(np.concatenate(list(picture.read())), page)


@pytest.mark.parametrize("spoil", [lambda data: data[:-600], lambda data: data[:300] + b"?" * 99])
def test_a_damaged_png_is_named(spoil, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(smooth(np.uint16), level=6))
    path.write_bytes(spoil(path.read_bytes()))
    (picture,) = open_image_files(path)
    with pytest.raises(UserError, match=r"a\.png: cannot be decoded.*replace or remove"):
        list(picture.read())


def test_rows_become_a_png_when_it_is_complete(tmp_path):
    mask = smooth(np.uint8) > 120
    with pytest.raises(RuntimeError), png_rows(tmp_path / "a.png", *mask.shape) as write:
        write(mask[:50])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with png_rows(tmp_path / "a.png", *mask.shape) as write:
        write(mask[:50])
        write(mask[50:])
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), mask * np.uint8(255))
