"""Reading labels: the values that a file stores, however a viewer shows them."""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image, ImageOps

from maskmake.data import tiff as tiffs
from maskmake.data.file_checks import check_memory, image_format
from maskmake.data.images import (
    PILLOW_FORMATS,
    band_rows,
    explain_decoding_errors,
    read_pixels,
)
from maskmake.runtime.errors import UserError

# Types of whole numbers, and floats, which some programs write whole numbers in.
TYPES = frozenset(map(np.dtype, "?bBhHiIlLqQefd"))

GREY_PNG = 0  # colour type
ALPHA = {1, 2}  # ExtraSamples of a TIFF
GDAL_NODATA = 42113


class LabelFile(NamedTuple):
    """What a label's file has.

    Attributes:
        values: (H, W) of the smallest integer type that holds them; (H, W, 3) ``uint8`` if the
            channels differ. A 1-bit label has the values 0 and 1.
        clear: (H, W) bool, the pixels that are not opaque; None without any.
        nodata: the value that stands for no data, by GDAL's tag of a TIFF.
    """

    values: np.ndarray
    clear: np.ndarray | None = None
    nodata: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.values.shape


def read_label(path: str | Path) -> LabelFile:
    """Read the values that a label stores.

    A palette gives its indices, and a TIFF whose 0 is white is not inverted. Equal channels become
    one. The label is turned as an image is.

    Raises:
        UserError: as ``read_pixels``, or the file is compressed with loss, or has values that are
            no whole numbers, or several channels that are no colours.
    """
    path = Path(path)
    kind = image_format(path)
    if kind == "JPEG":
        raise _lossy(path, "a JPEG label")
    if kind == "TIFF":
        with explain_decoding_errors(path):
            pixels, alpha, nodata = _read_tiff(path)
    else:
        pixels = _stored(path, kind, read_pixels(path))
        alpha, nodata = _alpha(path, kind), None
    clear = None if alpha is None else alpha < _opaque(alpha.dtype)
    if pixels.ndim == 3:
        pixels = _one_channel(path, pixels)
    return LabelFile(
        _whole(path, pixels), clear if clear is not None and clear.any() else None, nodata
    )


def is_shown_inverted(path: str | Path, low: int, high: int) -> bool:
    """Whether viewers show the lower of two values of a label brighter than the higher one.

    Args:
        path: of a label that ``read_label`` can read.
        low, high: two of its values, which differ.
    """
    path = Path(path)
    kind = image_format(path)
    if kind == "TIFF":
        with tiffs.open_tiff(path) as tiff:
            page = tiff.pages.first
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                return True
            if page.photometric != tifffile.PHOTOMETRIC.PALETTE:
                return False
            colours = np.asarray(page.colormap, float).T
    else:
        with Image.open(path, formats=PILLOW_FORMATS[kind]) as opened:
            if opened.mode != "P":
                return False
            colours = np.asarray(opened.getpalette("RGB"), float).reshape(-1, 3)
    # A palette may be shorter than the values that its file has.
    return high < len(colours) and bool(colours[low].sum() > colours[high].sum())


def _lossy(path: Path, what: str) -> UserError:
    return UserError(
        f"{path}: {what}; JPEG blurs the borders of a mask; save labels as PNG or TIFF without "
        "loss, from the original if there is one."
    )


def _read_tiff(path: Path) -> tuple[np.ndarray, np.ndarray | None, int | None]:
    """The stored values, and alpha and the value of no data where the file has them."""
    with tiffs.open_tiff(path) as tiff:
        pages = [page for _, page in tiffs.list_pages(tiff)]
        if len(pages) > 1:
            tiffs.refuse_stack(pages)
        page = pages[0]
        tiffs.check_single(page)
        if page.compression in tiffs.JPEG | tiffs.JPEG_2000:
            raise _lossy(path, f"a JPEG label inside a TIFF ({page.compression.name})")
        tiffs.check_page(tiff, page, whole=True, types=TYPES)
        if page.photometric in tiffs.TIFFFILE_PHOTOMETRICS:
            pixels = tiffs.read_page(page, stored=True)
            if pixels.ndim == 3 and set(page.extrasamples) & ALPHA:
                values = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :-1]
                return values, pixels[:, :, -1], _nodata(page)
            return pixels, None, _nodata(page)
    return read_pixels(path), None, None  # other colours are made RGB


def _nodata(page: tifffile.TiffPage) -> int | None:
    tag = page.tags.get(GDAL_NODATA)
    try:
        value = float(tag.value) if tag else np.nan
    except (TypeError, ValueError):  # no number
        return None
    return int(value) if value.is_integer() else None


def _alpha(path: Path, kind: str) -> np.ndarray | None:
    """The alpha channel (H, W) of a PNG or BMP; a palette has none, whatever colours are clear."""
    with Image.open(path, formats=PILLOW_FORMATS[kind]) as opened:
        if opened.mode not in ("LA", "RGBA"):
            return None
        height, width = opened.height, opened.width
        check_memory(height, width, 5 * height * width)
        return np.asarray(ImageOps.exif_transpose(opened).getchannel("A"))


def _opaque(dtype: np.dtype) -> int | float:
    return np.iinfo(dtype).max if dtype.kind in "iu" else 1


def _stored(path: Path, kind: str, pixels: np.ndarray) -> np.ndarray:
    """What a PNG or BMP stores, of the pixels that it shows."""
    with path.open("rb") as file:
        depth, colour_type = struct.unpack(">BB", file.read(26)[24:])
    if kind == "PNG" and colour_type == GREY_PNG and depth in (2, 4):
        return pixels // (255 // (2**depth - 1))  # decoders stretch them to 8 bits
    with Image.open(path, formats=PILLOW_FORMATS[kind]) as opened:
        if opened.mode != "P":
            return pixels
        height, width = pixels.shape[:2]
        check_memory(height, width, 2 * height * width)
        return np.asarray(ImageOps.exif_transpose(opened))


def _one_channel(path: Path, pixels: np.ndarray) -> np.ndarray:
    """One channel, (H, W), if all are equal, and otherwise three."""
    if pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    rows = band_rows(pixels.shape[1])
    bands = (pixels[start : start + rows] for start in range(0, len(pixels), rows))
    if all((band == band[:, :, :1]).all() for band in bands):
        return pixels[:, :, 0]
    if pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise UserError(
            f"{path}: a label of {pixels.shape[2]} channels that differ, of type {pixels.dtype}; "
            "expected one channel, or red, green and blue of 8 bits; save the channel that marks "
            "the objects."
        )
    return pixels


def _whole(path: Path, pixels: np.ndarray) -> np.ndarray:
    """The pixels in the smallest integer type that holds them."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if pixels.dtype == np.float16:  # which cannot be compared with large numbers
        pixels = pixels.astype(np.float32)
    rows = band_rows(pixels.shape[1])
    for start in range(0, len(pixels), rows):
        band = pixels[start : start + rows]
        wrong = ~np.isfinite(band) | (band != np.trunc(band)) | (band >= 2**63) | (band < -(2**63))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise UserError(
                f"{path}: the value {band[row, column]} in row {start + row}, column {column}; "
                "expected whole numbers in a label; save the label with a value for each class."
            )
    least, most = int(pixels.min()), int(pixels.max())
    return pixels.astype(np.result_type(np.min_scalar_type(least), np.min_scalar_type(most)))
