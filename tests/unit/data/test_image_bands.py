"""Reading and writing by bands gives what reading and writing at once give."""

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from PIL import ExifTags, Image, ImageOps

from maskmake.data import file_decoders, images
from maskmake.data.images import open_image_files, read_pixels
from maskmake.data.png_writer import png_rows
from maskmake.runtime.errors import UserError

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"
HEIGHT, WIDTH = 90, 61


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(images, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(file_decoders, "BAND_PIXELS", 7 * WIDTH + 3)


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


# --- every kind of file, as another library decodes it -------------------------------------------


def by_pillow(path):
    with Image.open(path) as image:
        turned = ImageOps.exif_transpose(image)
        return np.asarray(turned.convert("RGB") if turned.mode in ("P", "CMYK") else turned)


def by_imagecodecs(path):
    pixels = imagecodecs.png_decode(path.read_bytes())
    return pixels[..., 0] if pixels.shape[2:] == (2,) else pixels[..., :3]


def pillow(mode="RGB", **options):
    """Write with Pillow in a mode of its own."""
    return lambda path: Image.fromarray(smooth(np.uint8, 3)).convert(mode).save(path, **options)


def libvips(dtype=np.uint8, channels=3, **options):
    """Write a PNG with libvips, which knows interlacing and 2 and 4 bits."""
    image = pyvips.Image.new_from_array(smooth(dtype, channels))
    return lambda path: image.pngsave(str(path), **options)


def tiff(dtype=np.uint8, channels=3, planar=False, **options):
    pixels = smooth(dtype, channels)
    if planar:
        pixels, options["planarconfig"] = np.moveaxis(pixels, -1, 0), "separate"
    return lambda path: tifffile.imwrite(
        path, pixels, photometric="rgb" if channels else "minisblack", **options
    )


def turned(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def by_tifffile(path):
    pixels = tifffile.imread(path)
    return np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>"""
PALETTE = Image.fromarray(smooth(np.uint8, 3)).quantize(40)

KINDS = {
    "1-bit.png": (pillow("1"), by_pillow),
    "2-bit.png": (libvips(channels=None, bitdepth=2), by_pillow),
    "4-bit.png": (libvips(channels=None, bitdepth=4), by_pillow),
    "palette.png": (PALETTE.save, by_pillow),
    "clear-palette.png": (lambda path: PALETTE.save(path, transparency=3), by_pillow),
    "clear-grey.png": (pillow("L", transparency=80), by_pillow),
    "clear-colour.png": (pillow(transparency=(80, 80, 80)), by_pillow),
    "interlaced-grey.png": (libvips(channels=None, interlace=True), by_pillow),
    "interlaced.png": (libvips(interlace=True), by_pillow),
    "interlaced-palette.png": (libvips(interlace=True, palette=True), by_pillow),
    "interlaced-16-grey.png": (libvips(np.uint16, None, interlace=True, bitdepth=16), by_pillow),
    "interlaced-16.png": (libvips(np.uint16, interlace=True, bitdepth=16), by_imagecodecs),
    "turned.png": (pillow(exif=turned(6)), by_pillow),
    "grey.jpg": (pillow("L"), by_pillow),
    "colour.jpg": (pillow(), by_pillow),
    "444.jpg": (pillow(subsampling=0), by_pillow),
    "progressive.jpg": (pillow(progressive=True), by_pillow),
    "rgb.jpg": (pillow(keep_rgb=True), by_pillow),
    "inks.jpg": (pillow("CMYK"), by_pillow),
    "xmp.jpg": (pillow(xmp=XMP), by_pillow),
    "two-pictures.jpg": (
        pillow(format="MPO", save_all=True, append_images=[PALETTE.convert("RGB")]),
        by_pillow,
    ),
    **{f"turned-{n}.jpg": (pillow(exif=turned(n)), by_pillow) for n in range(1, 9)},
    "grey.bmp": (pillow("L"), by_pillow),
    "colour.bmp": (pillow(), by_pillow),
    "1-bit.bmp": (pillow("1"), by_pillow),
    "palette.bmp": (PALETTE.save, by_pillow),
    "1-bit.tif": (pillow("1"), by_pillow),
    "palette.tif": (PALETTE.save, by_pillow),
    "inks.tif": (pillow("CMYK"), by_pillow),
    "planar.tif": (tiff(planar=True), by_tifffile),
    "planar-16.tif": (tiff(np.uint16, planar=True, compression="zlib"), by_tifffile),
    "one-strip.tif": (tiff(compression="lzw", rowsperstrip=HEIGHT), by_tifffile),
    "zstd.tif": (tiff(np.uint16, compression="zstd", tile=(16, 16)), by_tifffile),
    "jpeg2000.tif": (tiff(np.uint16, None, compression="jpeg2000", tile=(64, 64)), by_tifffile),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_as_another_library_reads_it(name, tmp_path, capfd):
    write, decode = KINDS[name]
    path = tmp_path / name
    write(path)
    expected = np.asarray(decode(path))
    if expected.dtype == bool:
        expected = expected.astype(np.uint8)
    capfd.readouterr()
    assert_read_by_bands(path, count=1)
    assert "".join(capfd.readouterr()) == ""
    read = read_pixels(path)
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read, expected)
    assert len(np.unique(read)) > 1


# --- damage -----------------------------------------------------------------------------------

DAMAGED = {
    "grey.png": pillow("L"),
    "colour.png": pillow(),
    "palette.png": lambda path: PALETTE.save(path, bits=8),
    "1-bit.png": pillow("1"),
    "16-bit.png": libvips(np.uint16, bitdepth=16),
    "stored.png": libvips(np.uint16, compression=0, bitdepth=16),
    "interlaced.png": libvips(interlace=True),
    "colour.jpg": pillow(),
    "progressive.jpg": pillow(progressive=True),
    "inks.jpg": pillow("CMYK"),
    "plain.tif": tiff(),
    "plain-16.tif": tiff(np.uint16, None),
    "strips.tif": tiff(rowsperstrip=8),
    "lzw.tif": tiff(compression="lzw", predictor=True, rowsperstrip=8),
    "one-strip.tif": tiff(compression="lzw", predictor=True, rowsperstrip=HEIGHT),
    "zlib.tif": tiff(np.uint16, compression="zlib", rowsperstrip=8),
    "tiles.tif": tiff(tile=(16, 16)),
    "zlib-tiles.tif": tiff(tile=(16, 16), compression="zlib"),
    "lzw-tiles.tif": tiff(tile=(16, 16), compression="lzw"),
    "planar.tif": tiff(planar=True),
    "planar-zlib.tif": tiff(planar=True, compression="zlib", rowsperstrip=8),
    "palette.tif": PALETTE.save,
    "inks.tif": pillow("CMYK"),
    "colour.bmp": pillow(),
}
SEALED = [name for name in DAMAGED if name.endswith((".png", ".jpg"))]


def by_bands(path):
    (image,) = open_image_files(path)
    return np.concatenate(list(image.read()))


def assert_refused_or_whole(path, pixels):
    """A damaged file is named, unless the damage spares every pixel."""
    for read in (read_pixels, by_bands):
        try:
            found = read(path)
        except UserError as error:
            assert re.match(rf"{re.escape(str(path))}: cannot be decoded \(.+\); ", str(error))
        else:
            np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_cut_anywhere_gives_no_rows_of_zeros(name, tmp_path):
    path = tmp_path / name
    DAMAGED[name](path)
    data, pixels = path.read_bytes(), read_pixels(path)
    for tenth in range(1, 10):
        path.write_bytes(data[: len(data) * tenth // 10])
        assert_refused_or_whole(path, pixels)


@pytest.mark.parametrize("name", SEALED)
def test_a_file_filled_with_zeros_from_anywhere_gives_no_rows_of_zeros(name, tmp_path):
    path = tmp_path / name
    DAMAGED[name](path)
    data, pixels = path.read_bytes(), read_pixels(path)
    for tenth in range(1, 10):
        kept = len(data) * tenth // 10
        path.write_bytes(data[:kept] + bytes(len(data) - kept))
        assert_refused_or_whole(path, pixels)


def test_bytes_behind_the_pixels_of_a_png_are_ignored(tmp_path):
    path = tmp_path / "a.png"
    DAMAGED["grey.png"](path)
    pixels, data = read_pixels(path), path.read_bytes()
    size = int.from_bytes(data[33:37])
    stream = b"IDAT" + data[41 : 41 + size] + b"?"
    length, seal = (value.to_bytes(4) for value in (size + 1, zlib.crc32(stream)))
    path.write_bytes(data[:33] + length + stream + seal + data[45 + size :])
    assert_refused_or_whole(path, pixels)
    path.write_bytes(data + b"?" * 1000)
    np.testing.assert_array_equal(by_bands(path), pixels)


# --- what libvips must not do -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grey.png", "colour.jpg"])
def test_a_file_replaced_under_its_name_is_read_again(name, tmp_path):
    path, other = tmp_path / name, tmp_path / f"other-{name}"
    DAMAGED[name](path)
    (image,) = open_image_files(path)
    list(image.read())
    Image.fromarray(255 - smooth(np.uint8, 3)).convert("L" if "grey" in name else "RGB").save(other)
    other.replace(path)
    np.testing.assert_array_equal(np.concatenate(list(image.read())), by_pillow(path))


@pytest.mark.parametrize("name", ["a[page=1].png", "[1].jpg", "a b ä.png", ":a.png", "%s.png"])
def test_no_part_of_a_name_is_an_option(name, tmp_path):
    path = tmp_path / name
    pillow()(path)
    assert_read_by_bands(path)


PEAK = """
import re, sys
from pathlib import Path
from maskmake.data.images import open_image_files
(image,) = open_image_files(Path(sys.argv[1]))
for band in image.read():
    pass
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_the_memory_does_not_grow_with_the_rows(suffix, tmp_path):
    tile = np.tile(smooth(np.uint8, 3), (1, 32, 1))
    peaks, env = [], {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    for name, copies in (("low", 25), ("high", 100)):
        path, pixels = tmp_path / f"{name}{suffix}", np.tile(tile, (copies, 1, 1))
        if suffix == ".tif":
            tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", rowsperstrip=64)
        else:
            Image.fromarray(pixels).save(path, compress_level=1)
        command = [sys.executable, "-c", PEAK, path]
        done = subprocess.run(command, capture_output=True, check=True, env=env)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 20  # MiB; the pixels take 13 and 50


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


def test_a_mask_has_the_name_that_it_is_given(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((2, 9, 8), np.uint8))
    (tmp_path / "image.png").write_bytes(imagecodecs.png_encode(np.zeros((9, 8), np.uint8)))
    (image,) = open_image_files(tmp_path / "image.png", name="sample 1")
    pages = open_image_files(tmp_path / "image.tif", name="sample 2")
    assert [page.id for page in (image, *pages)] == ["sample 1", "sample 2_0000", "sample 2_0001"]


@pytest.mark.parametrize("spoil", [lambda data: data[:-600], lambda data: data[:300] + b"?" * 99])
def test_a_damaged_png_is_named(spoil, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(smooth(np.uint16), level=6))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError, match=r"a\.png: cannot be decoded.*replace or remove"):
        by_bands(path)


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
