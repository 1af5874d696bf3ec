"""Reading images, whole or band by band, and labels.

A large image is read in bands so that memory does not grow with its size. libvips reads PNG and
JPEG files this way, tifffile reads TIFF files of strips or tiles. Other kinds (BMP, a TIFF with a
palette, in other colours, planar or compressed in one piece) are decoded whole, and so is every
small image. The decoder itself holds a progressive JPEG, an interlaced PNG and a photograph that
has to be turned as a whole.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
import tifffile
from PIL import ExifTags, Image, ImageOps

from maskmake.data.folders import TIFF_SUFFIXES, list_images
from maskmake.data.tiff import (
    ONE_IMAGE,
    TIFFFILE_PHOTOMETRICS,
    can_read_bands,
    read_bands,
    read_page,
)
from maskmake.runtime.errors import UserError

JPEG_SIGNATURE = b"\xff\xd8\xff"

# A scan can be far larger than the size at which Pillow suspects a decompression bomb.
Image.MAX_IMAGE_PIXELS = None

# What libvips reads, by the format that Pillow finds. Not TIFF: where a file is cut, or compressed
# in a way that libvips does not know, it gives black tiles and no error. tifffile is faster, too.
LIBVIPS_LOADERS = {
    "PNG": pyvips.Image.pngload,
    "JPEG": pyvips.Image.jpegload,
    "MPO": pyvips.Image.jpegload,  # a JPEG with a second picture behind it, of a camera
}

# libvips would keep its last operations in memory, and with them a photograph that it turned.
pyvips.cache_set_max(0)
# Its errors are raised; its warnings belong neither on the terminal nor into the log of a job.
logging.getLogger("pyvips").propagate = False

# Up to so many pixels, an image is handled whole; of a larger one, bands of about so many.
WHOLE_PIXELS, BAND_PIXELS = 2**22, 2**21

FETCH_PIXELS = 2**14  # asked of libvips at once; with more, it keeps more of an image in memory


@dataclass(frozen=True, eq=False)
class ImageFile:
    """One image to be read: a file or a page of a stack.

    Attributes:
        id: name of its mask; page 7 of ``a.tif`` is ``a_0007``, counted from 0.
        path: of the file.
        shape: (H, W) or (H, W, 3).
        dtype: ``uint8`` or ``uint16``.
        read: gives the pixels from the first row to the last as arrays of consecutive rows, as
            ``read_pixels`` gives them all; raises what that raises.
    """

    id: str
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], Iterator[np.ndarray]]


def band_rows(width: int) -> int:
    """Rows of a band of an image."""
    return max(1, BAND_PIXELS // width)


def open_image_files(path: Path) -> list[ImageFile | UserError]:
    """The image of a file, or of each page of a TIFF stack; a page that is no image as its fault.

    Raises:
        UserError: the file cannot be read, or a page would have the name of another file's mask.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return [_open_file(path)]
    with explain_decoding_errors(path), tifffile.TiffFile(path) as tiff:
        count = len(tiff.pages)
    if count == 1:
        return [_open_page(path, None, path.stem)]
    names = [f"{path.stem}_{page:04d}" for page in range(count)]
    taken = {other.stem: other for other in list_images(path.parent)}
    if clash := next((name for name in names if name in taken), None):
        raise UserError(
            f"{path}: the mask of a page would be {clash}.png, as that of {taken[clash]}; expected "
            "different names; rename one of the files."
        )
    return [_page_or_fault(path, page, name) for page, name in enumerate(names)]


def _page_or_fault(path: Path, page: int, name: str) -> ImageFile | UserError:
    try:
        return _open_page(path, page, name)
    except UserError as error:
        return error


def _whole(path: Path, page: int | None, name: str) -> ImageFile:
    pixels = read_pixels(path, page)
    return ImageFile(
        name, path, pixels.shape, pixels.dtype, lambda: iter([read_pixels(path, page)])
    )


def _by_bands(
    name: str,
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    bands: Callable[[], Iterator[np.ndarray]],
) -> ImageFile:
    """An image read by bands, with the channels and the faults of ``read_pixels``."""

    def read() -> Iterator[np.ndarray]:
        rows = 0
        with explain_decoding_errors(path):
            for band in bands():
                rows += len(band)
                yield standard_channels(path, band)
            if rows < shape[0]:
                raise EOFError(f"ends after {rows} of {shape[0]} rows")

    return ImageFile(name, path, shape, dtype, read)


def _shape(height: int, width: int, samples: int) -> tuple[int, ...]:
    return (height, width, 3) if samples >= 3 else (height, width)


# --- TIFF -------------------------------------------------------------------------------------


def _open_page(path: Path, page: int | None, name: str) -> ImageFile:
    with explain_decoding_errors(path), tifffile.TiffFile(path) as tiff:
        opened = tiff.pages[page or 0]
        height, width = opened.imagelength, opened.imagewidth
        if not can_read_bands(tiff, page) or height * width <= WHOLE_PIXELS:
            return _whole(path, page, name)
        shape, dtype = _shape(height, width, opened.samplesperpixel), opened.dtype
    return _by_bands(name, path, shape, dtype, lambda: read_bands(path, page or 0, BAND_PIXELS))


# --- PNG and JPEG -----------------------------------------------------------------------------


def _open_file(path: Path) -> ImageFile:
    with explain_decoding_errors(path):
        opened = _libvips_image(path)
    if opened is None or opened.height * opened.width <= WHOLE_PIXELS:
        return _whole(path, None, path.stem)
    shape, dtype = _shape(opened.height, opened.width, opened.bands), _libvips_dtype(opened)
    return _by_bands(path.stem, path, shape, dtype, lambda: _libvips_bands(_libvips_image(path)))


def _libvips_image(path: Path) -> pyvips.Image | None:
    """A PNG or JPEG, as it is to be seen, whose rows are read once from the first to the last.

    None: a file of another format or in inks, which is left to Pillow.
    """
    with Image.open(path) as header:
        load = LIBVIPS_LOADERS.get(header.format or "")
        if load is None or header.mode == "CMYK":
            return None
        mode = header.mode
        exif = Image.Image.getexif(header)  # the method of a PNG would decode all its pixels
    image = load(os.fsencode(path), access="sequential", fail_on="error")
    if mode == "1":
        image = image >> 7  # 0 and 255 become 0 and 1
    turn = exif.get(ExifTags.Base.Orientation, 1)
    if turn in range(2, 9):
        image = image.copy_memory()  # or libvips would put a large one on the disk
        image.set_type(pyvips.GValue.gint_type, "orientation", turn)
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


# --- whole files ----------------------------------------------------------------------------


def read_pixels(path: str | Path, page: int | None = None) -> np.ndarray:
    """Read a PNG, TIFF, JPEG or BMP of 8 or 16 bits a channel.

    Alpha is dropped; a palette is resolved; a photograph is turned as its EXIF entry says.

    Args:
        path: of the file.
        page: of a TIFF stack, counted from 0; None: the file is one image.

    Returns:
        (H, W) or (H, W, 3), ``uint8`` or ``uint16``. A 1-bit image has the values 0 and 1.

    Raises:
        UserError: the file cannot be decoded, is a stack, or has another pixel type.
    """
    path = Path(path)
    with explain_decoding_errors(path, page):
        pixels = _decode(path, page)
    return standard_channels(path, pixels)


@contextmanager
def explain_decoding_errors(path: Path, page: int | None = None) -> Iterator[None]:
    """Turn what decoders say of a file into a user's sentence."""
    name = path if page is None else f"{path}, page {page}"
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except UserError as error:
        known = str(error).startswith(str(path))
        raise error if known else UserError(f"{name}: {error}") from None
    except Exception as error:  # decoders raise errors of many kinds on a damaged file
        raise UserError(
            f"{name}: cannot be decoded ({_first_line(error)}); expected a whole PNG, TIFF, "
            "JPEG or BMP; replace or remove the file."
        ) from error


def _starts_with(path: Path, signature: bytes) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(signature)) == signature


def _first_line(error: Exception) -> str:
    # The message of libvips's errors is always the same, the detail says what was found.
    text = error.detail if isinstance(error, pyvips.Error) else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def _decode(path: Path, page: int | None) -> np.ndarray:
    if path.suffix.lower() in TIFF_SUFFIXES:
        with tifffile.TiffFile(path) as tiff:
            if tiff.pages[page or 0].photometric in TIFFFILE_PHOTOMETRICS:
                return read_page(tiff, page)
            alone = len(tiff.series) == 1 and tiff.series[0].shape == tiff.pages[0].shape
            if page is None and not alone:  # of several, Pillow would take the first
                raise UserError(f"a stack of {len(tiff.pages)} images; {ONE_IMAGE}")
    elif (image := _libvips_image(path)) is not None:
        pixels = np.empty((image.height, image.width, image.bands), _libvips_dtype(image))
        _fill(pixels, pyvips.Region.new(image), 0)
        return pixels
    with Image.open(path) as image:
        image.seek(page or 0)
        image.load()
        image = ImageOps.exif_transpose(image)
        return np.asarray(image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr") else image)


def standard_channels(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Grey or RGB pixels, (H, W) or (H, W, 3), of what a decoder gave."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"{path}: pixel type {pixels.dtype}; expected 8- or 16-bit unsigned integers; "
            "convert the file."
        )
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2):
        pixels = pixels[:, :, 0]
    elif pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[2] == 3):
        raise UserError(f"{path}: array of shape {'x'.join(map(str, pixels.shape))}; {ONE_IMAGE}")
    return pixels


def read_label(path: str | Path) -> np.ndarray:
    """Read a label as one channel, (H, W) ``uint8`` or ``uint16``; equal RGB channels become one.

    Raises:
        UserError: as ``read_pixels``, or the label is a JPEG or has colours.
    """
    path = Path(path)
    if path.is_file() and _starts_with(path, JPEG_SIGNATURE):
        raise UserError(
            f"{path}: a JPEG label; JPEG blurs the borders of a mask; save labels as PNG or TIFF."
        )
    pixels = read_pixels(path)
    if pixels.ndim == 2:
        return pixels
    if not (pixels == pixels[:, :, :1]).all():
        raise UserError(
            f"{path}: a coloured label; expected one grey channel with background 0 and "
            "foreground 255; convert the file."
        )
    return pixels[:, :, 0]
