"""Reading images, whole or band by band.

A large image is read in bands so that memory does not grow with its size. libvips reads PNG and
JPEG files this way, tifffile reads TIFF files of strips or tiles. Other kinds (BMP, a TIFF with a
palette, in other colours, planar or compressed in one piece) are decoded whole, and so is every
small image. The decoder itself holds a progressive JPEG, an interlaced PNG and a photograph that
has to be turned as a whole.

A file is checked by its header before (``file_checks``, ``tiff.check_page``), and no decoder is
asked for a format that is not among these.
"""

import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
import tifffile
from PIL import ExifTags, Image, ImageOps

from maskmake.data import tiff as tiffs
from maskmake.data.file_checks import (
    check_memory,
    check_name,
    check_png,
    check_size,
    image_format,
)
from maskmake.data.folders import list_images
from maskmake.data.tiff import ONE_IMAGE, TIFFFILE_PHOTOMETRICS, Page
from maskmake.runtime.errors import UserError, first_line

# Pillow's own bound would refuse large scans; ``check_size`` and ``check_memory`` take its place.
Image.MAX_IMAGE_PIXELS = None

# Pillow may open only these, by the format that the content has. MPO is a JPEG with a second
# picture behind it, of a camera.
PILLOW_FORMATS = {"PNG": ("PNG",), "JPEG": ("JPEG", "MPO"), "BMP": ("BMP",), "TIFF": ("TIFF",)}

# What libvips reads. Not TIFF: where a file is cut, or compressed in a way that libvips does not
# know, it gives black tiles and no error. tifffile is faster, too.
LIBVIPS_LOADERS = {"PNG": pyvips.Image.pngload, "JPEG": pyvips.Image.jpegload}
pyvips.block_untrusted_set(True)
pyvips.operation_block_set("VipsForeignLoad", True)
for loader in ("VipsForeignLoadPng", "VipsForeignLoadJpeg"):
    pyvips.operation_block_set(loader, False)

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


def open_image_files(path: Path, name: str | None = None) -> list[ImageFile | UserError]:
    """The image of a file, or of each page of a TIFF stack; a page that is no image as its fault.

    Args:
        path: of the file.
        name: of its mask; that of the file if it is None.

    Raises:
        UserError: the file cannot be read, or a page would have the name of another file's mask.
    """
    name = name or path.stem
    check_name(path, name)
    with explain_decoding_errors(path):
        if image_format(path) != "TIFF":
            return [_open_file(path, name)]
        return _open_tiff(path, name)


def _image_file(
    name: str,
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    bands: Callable[[], Iterator[np.ndarray]],
    page: int | None = None,
) -> ImageFile:
    """An image whose bands have the channels and the faults of ``read_pixels``."""

    def read() -> Iterator[np.ndarray]:
        rows = 0
        with explain_decoding_errors(path, page):
            for band in bands():
                rows += len(band)
                band = standard_channels(path, band)
                if band.shape[1:] != shape[1:] or band.dtype != dtype:
                    raise ValueError("its pixels are not those of its header")
                yield band
            if rows != shape[0]:
                raise EOFError(f"ends after {rows} of {shape[0]} rows")

    return ImageFile(name, path, shape, dtype, read)


def _shape(height: int, width: int, samples: int) -> tuple[int, ...]:
    return (height, width, 3) if samples >= 3 else (height, width)


# --- TIFF -------------------------------------------------------------------------------------


def _open_tiff(path: Path, name: str) -> list[ImageFile | UserError]:
    with tiffs.open_tiff(path) as tiff:
        found = [_open_page(path, tiff, *page) for page in tiffs.list_pages(tiff)]
        if len(found) == 1:
            tiffs.check_single(tiff.pages.first)
            return [_page_file(name, path, None, found[0])]
    names = [f"{name}_{page:04d}" for page in range(len(found))]
    check_name(path, names[-1])
    taken = {other.stem: other for other in list_images(path.parent)}
    if clash := next((name for name in names if name in taken), None):
        raise UserError(
            f"{path}: the mask of a page would be {clash}.png, as that of {taken[clash]}; expected "
            "different names; rename one of the files."
        )
    pages = enumerate(zip(names, found, strict=True))
    return [_page_or_fault(name, path, page, opened) for page, (name, opened) in pages]


OpenedPage = tuple[tuple[int, ...], np.dtype, Callable[[], Iterator[np.ndarray]]]


def _page_file(
    name: str, path: Path, page: int | None, opened: OpenedPage | Exception
) -> ImageFile:
    with explain_decoding_errors(path, page):
        if isinstance(opened, Exception):
            raise opened
        return _image_file(name, path, *opened, page)


def _page_or_fault(
    name: str, path: Path, page: int, opened: OpenedPage | Exception
) -> ImageFile | UserError:
    try:
        return _page_file(name, path, page, opened)
    except UserError as error:
        return error


def _open_page(
    path: Path, tiff: tifffile.TiffFile, place: Page, page: tifffile.TiffPage
) -> OpenedPage | Exception:
    """Shape, pixel type and reader of a page, or what is wrong with it."""
    shape = tiffs.seen_shape(page)
    by_bands = tiffs.can_read_bands(page) and shape[0] * shape[1] > WHOLE_PIXELS
    try:
        tiffs.check_page(tiff, page, whole=not by_bands)
    except Exception as error:  # as in ``explain_decoding_errors``
        return error
    if by_bands:
        return shape, page.dtype, lambda: tiffs.read_bands(path, place, BAND_PIXELS)
    dtype = np.dtype(np.uint16 if page.dtype == np.uint16 else np.uint8)
    return shape, dtype, lambda: iter([_read_page(path, place)])


def _read_page(path: Path, place: Page) -> np.ndarray:
    with tiffs.open_tiff(path) as tiff:
        page = tiffs.load_page(tiff, place)
        tiffs.check_page(tiff, page, whole=True)
        if page.photometric in TIFFFILE_PHOTOMETRICS:
            return tiffs.read_page(page)
    return _by_pillow(path, "TIFF", place.index)


# --- PNG, JPEG and BMP ------------------------------------------------------------------------


def _open_file(path: Path, name: str) -> ImageFile:
    opened = _libvips_image(path)
    if opened is None:
        pixels = read_pixels(path)
        return _image_file(
            name, path, pixels.shape, pixels.dtype, lambda: iter([read_pixels(path)])
        )
    shape, dtype = _shape(opened.height, opened.width, opened.bands), _libvips_dtype(opened)
    return _image_file(name, path, shape, dtype, lambda: _libvips_bands(_libvips_image(path)))


def _libvips_image(path: Path) -> pyvips.Image | None:
    """A PNG or JPEG, as it is to be seen, whose rows are read once from the first to the last.

    None: a BMP or a JPEG in inks, which is left to Pillow.
    """
    kind = image_format(path)
    exif_of_png = check_png(path) if kind == "PNG" else b""
    with Image.open(path, formats=PILLOW_FORMATS[kind]) as header:
        width, height = header.size
        mode, frames = header.mode, getattr(header, "n_frames", 1)
        # The method of a PNG would decode all its pixels.
        exif = Image.Image.getexif(header)
    if kind == "PNG" and frames > 1:
        raise UserError(
            f"{path}: an animation of {frames} images; expected one image a file; save each of "
            "them as a file of its own."
        )
    check_size(path.stat().st_size, height, width, 0 if kind == "PNG" else height * width)
    if kind == "BMP" or mode == "CMYK":
        # The bands of Pillow's image, those of the array, and their colours.
        check_memory(height, width, 3 * 4 * height * width)
        return None
    image = LIBVIPS_LOADERS[kind](os.fsencode(path), access="sequential", fail_on="error")
    if mode == "1":
        image = image >> 7  # 0 and 255 become 0 and 1
    if exif_of_png:  # it may stand behind the pixels, where Pillow has not looked
        exif = Image.Exif()
        exif.load(exif_of_png)
    turn = exif.get(ExifTags.Base.Orientation, 1)
    held = turn in range(2, 9) or image.get_typeof("interlaced")  # or progressive
    rows = height if held else band_rows(width)
    check_memory(height, width, 3 * rows * width * image.bands * _libvips_dtype(image).itemsize)
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
        kind = image_format(path)
        pixels = _decode_tiff(path, page) if kind == "TIFF" else _decode(path, kind)
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
            f"{name}: cannot be decoded ({_detail(error)}); expected a whole PNG, TIFF, "
            "JPEG or BMP; replace or remove the file."
        ) from error


def _detail(error: Exception) -> str:
    # The message of libvips's errors is always the same, the detail says what was found.
    return first_line(error.detail if isinstance(error, pyvips.Error) else error)


def _decode(path: Path, kind: str) -> np.ndarray:
    if (image := _libvips_image(path)) is None:
        return _by_pillow(path, kind)
    shape, dtype = (image.height, image.width, image.bands), _libvips_dtype(image)
    check_memory(*shape[:2], math.prod(shape) * dtype.itemsize)
    pixels = np.empty(shape, dtype)
    _fill(pixels, pyvips.Region.new(image), 0)
    return pixels


def _decode_tiff(path: Path, page: int | None) -> np.ndarray:
    with tiffs.open_tiff(path) as tiff:
        pages = list(tiffs.list_pages(tiff))
        if page is None:
            if len(pages) > 1:
                tiffs.refuse_stack([loaded for _, loaded in pages])
            tiffs.check_single(tiff.pages.first)
        place, _ = pages[page or 0]
    return _read_page(path, place)


def _by_pillow(path: Path, kind: str, page: int = 0) -> np.ndarray:
    with Image.open(path, formats=PILLOW_FORMATS[kind]) as opened:
        opened.seek(page)
        opened.load()
        image = ImageOps.exif_transpose(opened)
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
