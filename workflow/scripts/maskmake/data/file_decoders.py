"""Decoders of the formats but TIFF: libvips by bands, and Pillow and imagecodecs whole.

libvips takes a millisecond to open a file, ten times as long as a PNG of 64 x 64 pixels takes to
decode. So imagecodecs reads small PNGs, which a data set may have 100,000 of.
"""

import io
import logging
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pyvips
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from maskmake.data.file_checks import PngHead, check_memory, check_png, check_size
from maskmake.data.tiff import jpeg_2000_depth
from maskmake.runtime.errors import UserError

# Pillow's own bound would refuse large scans; ``check_size`` and ``check_memory`` take its place.
Image.MAX_IMAGE_PIXELS = None
# Instruments write megabytes of text beside the pixels, where Pillow expects one at most.
PngImagePlugin.MAX_TEXT_CHUNK = 2**26

# Pillow may open only these, by the format that the content has. MPO is a JPEG with a second
# picture behind it, of a camera.
PILLOW_FORMATS = {
    "PNG": ("PNG",), "JPEG": ("JPEG", "MPO"), "BMP": ("BMP",), "TIFF": ("TIFF",),
    "GIF": ("GIF",), "WebP": ("WEBP",), "JPEG 2000": ("JPEG2000",),
}  # fmt: skip

# Samples of the modes of Pillow that are not converted; all others become RGB.
MODES = {
    "1": (1, bool), "L": (1, np.uint8), "LA": (2, np.uint8), "RGB": (3, np.uint8),
    "RGBA": (4, np.uint8), "I;16": (1, np.uint16), "I;16B": (1, np.uint16), "I": (1, np.int32),
    "F": (1, np.float32),
}  # fmt: skip

# What libvips reads. Not TIFF: where a file is cut, or compressed in a way that libvips does not
# know, it gives black tiles and no error. tifffile is faster, too.
LIBVIPS_LOADERS = {"PNG": pyvips.Image.pngload, "JPEG": pyvips.Image.jpegload}
LibvipsError = pyvips.Error
pyvips.block_untrusted_set(True)
pyvips.operation_block_set("VipsForeignLoad", True)
for loader in ("VipsForeignLoadPng", "VipsForeignLoadJpeg"):
    pyvips.operation_block_set(loader, False)

# libvips would keep its last operations in memory, and with them a photograph that it turned.
pyvips.cache_set_max(0)
# Its errors are raised; its warnings belong neither on the terminal nor into the log of a job.
logging.getLogger("pyvips").propagate = False

BAND_PIXELS = 2**21  # about so many pixels are in a band of a large image
FETCH_PIXELS = 2**14  # asked of libvips at once; with more, it keeps more of an image in memory


@dataclass(frozen=True)
class RawImage:
    """What a file says of an image, and its pixels.

    Attributes:
        shape: (H, W, samples) as it is to be seen.
        dtype: of the pixels in the file.
        alpha: whether the last sample is alpha.
        turned: whether an entry of the file turns the image.
        bands: gives all rows, arrays (h, W, samples).
        no_data: the value of pixels without data, by an entry of the file; None without one.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    alpha: bool
    turned: bool
    bands: Callable[[], Iterator[np.ndarray]]
    no_data: float | None = None


@dataclass(frozen=True)
class Header:
    """Size as stored, mode of Pillow, and orientation of a file."""

    height: int
    width: int
    mode: str
    turn: int

    @property
    def seen_size(self) -> tuple[int, int]:
        """Height and width as the image is to be seen."""
        if self.turn in (5, 6, 7, 8):
            return self.width, self.height
        return self.height, self.width


def band_rows(width: int) -> int:
    """Rows of a band of an image."""
    return max(1, BAND_PIXELS // width)


def open_raw(path: Path, kind: str) -> RawImage:
    """An image file of a kind that ``image_format`` told, but TIFF.

    Raises:
        UserError: it is an animation, too large, or damaged in its head.
    """
    png = check_png(path) if kind == "PNG" else None
    if png and png.plain and png.height * png.width <= BAND_PIXELS:
        return _small_png(path, png)
    header = open_header(path, kind, png.exif if png else b"")
    if kind in LIBVIPS_LOADERS and header.mode != "CMYK":
        image = _libvips_image(path, kind, header)
        shape, dtype = (image.height, image.width, image.bands), _libvips_dtype(image)
        return RawImage(
            shape,
            dtype,
            image.bands in (2, 4),
            header.turn != 1,
            lambda: _libvips_bands(_libvips_image(path, kind, header)),
        )
    # The bands of Pillow's image, those of the array, and their colours.
    check_memory(header.height, header.width, 3 * 4 * header.height * header.width)
    if kind == "JPEG 2000" and jpeg_2000_depth(path.read_bytes()) > 8:
        pixels = read_deep_jpeg_2000(path)
        shape, dtype = (*header.seen_size, pixels.shape[2]), pixels.dtype
        alpha = header.mode in ("LA", "RGBA")
        return RawImage(shape, dtype, alpha, False, lambda: iter([read_deep_jpeg_2000(path)]))
    samples, kind_of_number = MODES.get(header.mode, (3, np.uint8))
    return RawImage(
        (*header.seen_size, samples),
        np.dtype(kind_of_number),
        header.mode in ("LA", "RGBA"),
        header.turn != 1,
        lambda: iter([read_by_pillow(path, kind)]),
    )


def open_header(path: Path, kind: str, exif_of_png: bytes) -> Header:
    """What the head of a file says, after its size was found to be possible."""
    with open_by_pillow(path, kind) as opened:
        width, height = opened.size
        mode, frames = opened.mode, getattr(opened, "n_frames", 1)
        # The method of a PNG would decode all its pixels.
        exif = Image.Image.getexif(opened)
    if kind != "JPEG" and frames > 1:
        raise UserError(
            f"{path}: an animation of {frames} images; expected one image a file; save each of "
            "them as a file of its own."
        )
    if kind in ("JPEG", "BMP"):  # the others may store many pixels in a byte
        check_size(path.stat().st_size, height, width, height * width)
    if exif_of_png:  # it may stand behind the pixels, where Pillow has not looked
        exif = Image.Exif()
        exif.load(exif_of_png)
    turn = exif.get(ExifTags.Base.Orientation, 1)
    return Header(height, width, mode, turn if turn in range(2, 9) else 1)


# --- libvips ----------------------------------------------------------------------------------


def _libvips_image(path: Path, kind: str, header: Header) -> pyvips.Image:
    """A PNG or JPEG, as it is to be seen, whose rows are read once from the first to the last."""
    image = LIBVIPS_LOADERS[kind](os.fsencode(path), access="sequential", fail_on="error")
    if header.mode == "1":
        image = image >> 7  # 0 and 255 become 0 and 1
    held = header.turn != 1 or image.get_typeof("interlaced")  # or progressive
    rows = header.height if held else band_rows(header.width)
    samples = image.bands * _libvips_dtype(image).itemsize
    check_memory(header.height, header.width, 3 * rows * header.width * samples)
    if header.turn != 1:
        image = image.copy_memory()  # or libvips would put a large one on the disk
        image.set_type(pyvips.GValue.gint_type, "orientation", header.turn)
        image = image.autorot()
    return image


def _libvips_dtype(image: pyvips.Image) -> np.dtype:
    return np.dtype({"uchar": np.uint8, "ushort": np.uint16}[image.format])


def _libvips_bands(image: pyvips.Image) -> Iterator[np.ndarray]:
    rows = band_rows(image.width)
    region = pyvips.Region.new(image)  # decodes rows as they are asked for, in this thread
    for start in range(0, image.height, rows):
        height = min(rows, image.height - start)
        band = np.empty((height, image.width, image.bands), _libvips_dtype(image))
        _fill(band, region, start)
        yield band


def _fill(band: np.ndarray, region: pyvips.Region, start: int) -> None:
    """Fill a band, (h, W, samples), with the rows of a region from ``start`` on."""
    rows = max(1, FETCH_PIXELS // band.shape[1])
    for row in range(0, len(band), rows):
        part = band[row : row + rows]
        data = region.fetch(0, start + row, band.shape[1], len(part))
        part[:] = np.frombuffer(data, band.dtype).reshape(part.shape)


# --- Pillow and imagecodecs -------------------------------------------------------------------


def _small_png(path: Path, png: PngHead) -> RawImage:
    """A PNG that is plain, so that imagecodecs gives what libvips gives, in one band."""

    def read() -> np.ndarray:
        pixels = imagecodecs.png_decode(path.read_bytes())
        if png.depth == 1:
            pixels = pixels >> 7  # 0 and 255 become 0 and 1
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    shape = (png.height, png.width, png.samples)
    dtype = np.dtype(np.uint16 if png.depth == 16 else np.uint8)
    return RawImage(shape, dtype, png.samples in (2, 4), False, lambda: iter([read()]))


def open_by_pillow(path: Path, kind: str) -> Image.Image:
    """A file of a kind that ``image_format`` told; only its head is read.

    Pillow takes a BMP whose palette is black and white, or begins with the darkest greys, for one
    of 1 or 8 bits, whatever its head says. One colour more than the palette has makes it look.

    Raises:
        UserError: it is a BMP whose palette Pillow misreads nevertheless.
    """
    opened = Image.open(path, formats=PILLOW_FORMATS[kind])
    if kind != "BMP" or not _has_other_depth(opened, path):
        return opened
    opened.close()
    content = bytearray(path.read_bytes())
    (size, bits), colours = _bmp_head(content), struct.unpack_from("<I", content, 46)[0]
    struct.pack_into("<I", content, 46, (colours or 2**bits) + 1)
    # Without a place for the palette, Pillow would look for the pixels behind one more colour.
    if size >= 40 and struct.unpack_from("<I", content, 10)[0] != 14 + size:
        opened = Image.open(io.BytesIO(content), formats=PILLOW_FORMATS[kind])
        if opened.mode == "P":
            return opened
    raise UserError(
        f"{path}: a BMP of {bits} bits for each pixel with a palette that is read as that of "
        "another depth; expected a file that is read in one way; save it as PNG."
    )


def _has_other_depth(opened: Image.Image, path: Path) -> bool:
    """Whether Pillow reads a BMP with other bits for each pixel than its head says."""
    with path.open("rb") as file:
        _, bits = _bmp_head(file.read(54))
    return (opened.mode == "1" and bits != 1) or (opened.mode == "L" and bits != 8)


def _bmp_head(content: bytes | bytearray) -> tuple[int, int]:
    """Bytes of the head of a BMP behind the first 14, and bits of a pixel."""
    (size,) = struct.unpack_from("<I", content, 14)
    return size, struct.unpack_from("<H", content, 24 if size == 12 else 28)[0]


def read_by_pillow(path: Path, kind: str, page: int = 0) -> np.ndarray:
    """All pixels of a file or of a page of a TIFF, (H, W, samples), as they are to be seen."""
    with open_by_pillow(path, kind) as opened:
        opened.seek(page)
        opened.load()
        image = ImageOps.exif_transpose(opened)
        pixels = np.asarray(image if image.mode in MODES else image.convert("RGB"))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def read_deep_jpeg_2000(path: Path) -> np.ndarray:
    """All pixels of a JPEG 2000 of more than 8 bits, (H, W, samples), which Pillow would round."""
    pixels = imagecodecs.jpeg2k_decode(path.read_bytes())
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
