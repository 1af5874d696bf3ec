"""Every picture a microscope may hand over is read alike."""

import re
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskmake.data.images import read_pixels
from maskmake.data.label_files import read_label
from maskmake.runtime.errors import UserError

HEIGHT, WIDTH = 20, 30


def noise(dtype, channels=None):
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(1).integers(0, top, shape, dtype=dtype)


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


# --- pixels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tif", ".TIFF"])
@pytest.mark.parametrize("channels", [None, 3], ids=["grey", "rgb"])
def test_lossless_8_bit_images_are_read_exactly(tmp_path, suffix, channels):
    pixels = noise(np.uint8, channels)
    read = read_pixels(save(tmp_path / f"a{suffix}", pixels))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
@pytest.mark.parametrize("channels", [None, 3], ids=["grey", "rgb"])
def test_jpeg_images_keep_their_channels(tmp_path, suffix, channels):
    pixels = np.full_like(noise(np.uint8, channels), 90)
    read = read_pixels(save(tmp_path / f"a{suffix}", pixels))
    assert read.shape == pixels.shape
    np.testing.assert_allclose(read, pixels, atol=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "kept"),
    [(None, ...), (2, np.s_[..., 0]), (3, ...), (4, np.s_[..., :3])],
    ids=["grey", "grey+alpha", "rgb", "rgba"],
)
def test_png_alpha_is_dropped_and_16_bits_are_kept(tmp_path, dtype, channels, kept):
    pixels = noise(dtype, channels)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    read = read_pixels(path)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels[kept])


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_palette_is_resolved_to_its_colours(tmp_path, suffix):
    picture = Image.fromarray(noise(np.uint8, 3)).quantize(16)
    path = tmp_path / f"a{suffix}"
    picture.save(path)
    np.testing.assert_array_equal(read_pixels(path), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_1_bit_image_has_the_values_0_and_1(tmp_path, suffix):
    pixels = noise(np.uint8) > 99
    read = read_pixels(save(tmp_path / f"a{suffix}", pixels))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_a_tiff_whose_0_is_white_is_read_as_it_is_seen(tmp_path):
    pixels = noise(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", 255 - pixels, photometric="miniswhite")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), pixels)


def test_a_cmyk_jpeg_is_read_in_its_colours(tmp_path):
    picture = Image.new("RGB", (WIDTH, HEIGHT), (200, 40, 90))
    picture.convert("CMYK").save(tmp_path / "a.jpg")
    np.testing.assert_allclose(read_pixels(tmp_path / "a.jpg"), np.asarray(picture), atol=6)


def test_a_photograph_is_turned_as_its_exif_entry_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to view
    picture = Image.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8) * 8, (HEIGHT, 1)))
    picture.save(tmp_path / "a.jpg", exif=exif)
    read = read_pixels(tmp_path / "a.jpg")
    assert read.shape == (WIDTH, HEIGHT)
    assert read[0].mean() < read[-1].mean()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 3, 4], ids=["grey", "rgb", "rgba"])
@pytest.mark.parametrize("layout", ["lzw", "tiles", "planar"])
def test_tiff_layouts_are_read_exactly(tmp_path, dtype, channels, layout):
    pixels = noise(dtype, channels)
    options = {
        "lzw": {"compression": "lzw"},
        "tiles": {"tile": (16, 16)},
        "planar": {"planarconfig": "separate"} if channels else {},
    }[layout]
    written = np.moveaxis(pixels, -1, 0) if layout == "planar" and channels else pixels
    colours = "rgb" if channels else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", written, photometric=colours, **options)
    read = read_pixels(tmp_path / "a.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels[..., :3] if channels else pixels)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.complex64])
def test_a_tiff_of_another_pixel_type_is_refused_by_name(tmp_path, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((HEIGHT, WIDTH), dtype))
    with pytest.raises(UserError, match=rf"{re.escape(str(path))}: .*{np.dtype(dtype).name}"):
        read_pixels(path)


@pytest.mark.parametrize("pages", [2, 3, 4, 5])
def test_a_stack_is_refused(tmp_path, pages):
    path = tmp_path / "stack.tif"
    stack = np.zeros((pages, HEIGHT, WIDTH), np.uint8)
    tifffile.imwrite(path, stack, photometric="minisblack")
    with pytest.raises(UserError, match=rf"stack\.tif: .*{pages}x{HEIGHT}x{WIDTH}.*stack"):
        read_pixels(path)


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_a_stack_of_palettes_or_inks_is_refused_and_its_pages_are_read(tmp_path, mode):
    path = tmp_path / "stack.tif"
    pages = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "lime", "white")]
    first, *rest = (page.convert(mode) for page in pages)
    first.save(path, save_all=True, append_images=rest)
    with pytest.raises(UserError, match=r"stack\.tif: a stack of 3 images; expected one"):
        read_pixels(path)
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(read_pixels(path, number), np.asarray(page))


def test_a_stack_with_pages_of_several_sizes_is_refused(tmp_path):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((HEIGHT, WIDTH), np.uint8))
        writer.write(np.zeros((HEIGHT + 7, WIDTH), np.uint8))
    with pytest.raises(UserError, match="stack"):
        read_pixels(path)


def truncated(path, data):
    path.write_bytes(data[: len(data) // 2])
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix, dtype):
    whole = tmp_path / f"whole{suffix}"
    save(whole, noise(dtype))
    path = truncated(tmp_path / f"half{suffix}", whole.read_bytes())
    with pytest.raises(UserError, match=rf"half\{suffix}: cannot be decoded.*replace or remove"):
        read_pixels(path)


def chunk(kind, content):
    head = struct.pack(">I", len(content)) + kind + content
    return head + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels, colour, depth, stream=None, before=b""):
    """A grey or RGB PNG of bytes (H, bytes of a row), with chunks before its pixels."""
    height, width = HEIGHT, WIDTH
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = [chunk(b"IHDR", head), before, chunk(b"IDAT", stream or zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("colour", "depth", "bytes_of_row"),
    [(0, 1, 4), (0, 2, 8), (0, 4, 15), (0, 8, 30), (0, 16, 60), (2, 8, 90), (2, 16, 180)],
)
def test_a_png_with_a_chunk_more_is_read_by_another_library_alike(
    tmp_path, colour, depth, bytes_of_row
):
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, bytes_of_row), np.uint8)
    gamma = chunk(b"gAMA", struct.pack(">I", 100_000))
    read = []
    for before in (b"", gamma):
        (tmp_path / "a.png").write_bytes(png(pixels, colour, depth, before=before))
        read.append(read_pixels(tmp_path / "a.png"))
    assert read[0].dtype == (np.uint16 if depth == 16 else np.uint8)
    assert read[0].dtype == read[1].dtype
    np.testing.assert_array_equal(*read)


@pytest.mark.parametrize(
    "damage",
    [lambda stream: b"no stream", lambda stream: stream[:-4], lambda stream: stream[:-4] + b"sums"],
    ids=["no stream", "cut sum", "wrong sum"],
)
def test_a_damaged_stream_with_a_right_checksum_is_refused(tmp_path, damage):
    pixels = noise(np.uint8)
    stream = damage(zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels)))
    (tmp_path / "a.png").write_bytes(png(pixels, 0, 8, stream))
    with pytest.raises(UserError, match=r"a\.png: cannot be decoded"):
        read_pixels(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
@pytest.mark.parametrize("content", [b"", b"These are words, not the pixels of an image."])
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"notes{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"notes\{suffix}: cannot be decoded"):
        read_pixels(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_missing_file_is_named(tmp_path, suffix):
    with pytest.raises(UserError, match=rf"gone\{suffix}: no such file"):
        read_pixels(tmp_path / f"gone{suffix}")


# --- labels -----------------------------------------------------------------------------------


def test_a_grey_label_keeps_type_and_values(tmp_path):
    for dtype in (np.uint8, np.uint16):
        pixels = noise(dtype)
        tifffile.imwrite(tmp_path / "a.tif", pixels)
        read = read_label(tmp_path / "a.tif").values
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_equal_rgb_channels_of_a_label_become_one(tmp_path, suffix):
    pixels = noise(np.uint8)
    path = save(tmp_path / f"a{suffix}", np.dstack([pixels] * 3))
    np.testing.assert_array_equal(read_label(path).values, pixels)


def test_the_channels_of_a_coloured_label_are_kept(tmp_path):
    pixels = noise(np.uint8, 3)
    np.testing.assert_array_equal(read_label(save(tmp_path / "a.png", pixels)).values, pixels)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_label_with_a_palette_gives_its_indices(tmp_path, suffix):
    picture = Image.fromarray(noise(np.uint8, 3)).quantize(16)
    picture.save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read_label(tmp_path / f"a{suffix}").values, np.asarray(picture))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_label_gives_the_values_that_a_png_stores(tmp_path, bits):
    pixels = noise(np.uint8) & (2**bits - 1)
    pixels[0, :2] = 0, 2**bits - 1
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0)
    digits = np.unpackbits(pixels[..., None], axis=2)[..., -bits:].reshape(HEIGHT, -1)
    lines = np.pad(np.packbits(digits, axis=1), [(0, 0), (1, 0)])
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    np.testing.assert_array_equal(read_label(tmp_path / "a.png").values, pixels)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "int64", "float16", "float64"])
def test_a_label_of_whole_numbers_in_any_type_is_read(tmp_path, dtype):
    pixels = (noise(np.uint8) % 100).astype(dtype)
    if pixels.dtype.kind != "u":
        pixels[0] *= -1
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    read = read_label(tmp_path / "a.tif").values
    assert read.dtype.kind in "iu"
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e30])
def test_a_label_with_a_value_that_is_no_whole_number_is_refused(tmp_path, value):
    pixels = np.zeros((HEIGHT, WIDTH), np.float32)
    pixels[3, 7] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(UserError, match=r"a\.tif: the value .* in row 3, column 7; expected whole"):
        read_label(tmp_path / "a.tif")


def test_a_label_compressed_with_loss_is_refused_in_a_tiff_too(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint8), compression="jpeg")
    with pytest.raises(
        UserError, match=r"a\.tif: a JPEG label inside a TIFF .JPEG.; .*without loss"
    ):
        read_label(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
def test_a_jpeg_label_is_refused(tmp_path, name):
    path = save(tmp_path / name, noise(np.uint8))
    with pytest.raises(UserError, match="JPEG label"):
        read_label(path)


def test_a_jpeg_label_under_another_name_is_refused(tmp_path):
    save(tmp_path / "a.jpg", noise(np.uint8)).rename(tmp_path / "a.png")
    with pytest.raises(UserError, match="JPEG"):
        read_label(tmp_path / "a.png")
