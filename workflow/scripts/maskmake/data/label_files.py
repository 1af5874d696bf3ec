"""Reading labels: the values that a file stores, however a viewer shows them."""

import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import ImageOps

from maskmake.data import tiff as tiffs
from maskmake.data.file_checks import PNG_PALETTE, check_memory, check_name, image_format
from maskmake.data.file_decoders import band_rows, open_by_pillow
from maskmake.data.images import (
    explain_decoding_errors,
    opaque,
    open_image_files,
    read_pixels,
    stack_error,
)
from maskmake.data.tiff import Page
from maskmake.data.tiff_stacks import list_stack
from maskmake.runtime.errors import UserError

# Types of whole numbers, and floats, which some programs write whole numbers in.
TYPES = frozenset(map(np.dtype, "?bBhHiIlLqQefd"))

GREY_PNG, RGB_PNG = 0, 2  # colour types
PAGE = re.compile(r", page \d+$")
LOSSY_WEBP = b"VP8 "  # kind of the chunk of pixels


class LabelFile(NamedTuple):
    """What a label's file has.

    Attributes:
        values: (H, W) of the smallest integer type that holds them; (H, W, 3) ``uint8`` if the
            channels differ. A 1-bit label has the values 0 and 1.
        clear: (H, W) bool, the pixels that are not opaque; None without any.
        nodata: the value that stands for no data, by GDAL's tag of a TIFF.
        told_nodata: what the tag says, where labels cannot have it, such as NaN.
    """

    values: np.ndarray
    clear: np.ndarray | None = None
    nodata: int | None = None
    told_nodata: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.values.shape

    def part(self, places: Any) -> "LabelFile":
        """Some rows, or rows and columns, of the label."""
        clear = None if self.clear is None else self.clear[places]
        return self._replace(values=self.values[places], clear=clear)


LabelReader = Callable[[], LabelFile]


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
    if kind == "TIFF":
        readers = open_label_files(path, path.stem)
        if len(readers) > 1:
            raise stack_error(path, open_image_files(path))
        return readers[0]()
    return _read_plain(path, kind)


def open_label_files(path: Path, name: str) -> list[LabelReader]:
    """What reads the label of a file, or each label of a TIFF stack, as ``read_label`` does.

    Args:
        path: of the file.
        name: of the masks of its image.

    Raises:
        UserError: the file is no image, its list of pages is damaged, or the name cannot be used.
    """
    check_name(path, name)
    with explain_decoding_errors(path):
        if (kind := image_format(path)) != "TIFF":
            return [partial(_read_plain, path, kind)]
        with tiffs.open_tiff(path) as tiff:
            stack = [[place for place, _ in planes] for planes in list_stack(tiff)]
    pages = [None] if len(stack) == 1 else range(len(stack))
    return [partial(_read_planes, path, *each) for each in zip(stack, pages, strict=True)]


def _read_plain(path: Path, kind: str) -> LabelFile:
    """The label of a file that is no TIFF."""
    if kind in ("JPEG", "JPEG 2000"):
        raise _lossy(path, f"a {kind} label")
    if kind == "WebP" and _webp_chunk(path) == LOSSY_WEBP:
        raise _lossy(path, "a WebP label with loss")
    pixels = read_pixels(path)
    if kind == "PNG":
        depth, colour_type = _png_type(path)
        if colour_type == GREY_PNG and depth in (2, 4):
            pixels = pixels // (255 // (2**depth - 1))  # decoders stretch them to 8 bits
        if colour_type in (GREY_PNG, RGB_PNG):  # which have no palette and no channel of alpha
            return _label_file(path, pixels, None, None)
    return _label_file(path, _stored(path, kind, pixels), _alpha(path, kind), None)


def _png_type(path: Path) -> tuple[int, int]:
    """Bits of a sample of a PNG, and its colour type."""
    with path.open("rb") as file:
        depth, colour_type = struct.unpack(">BB", file.read(26)[24:])
    return depth, colour_type


def _read_planes(path: Path, planes: list[Page], page: int | None) -> LabelFile:
    """The label of some pages of a TIFF, of which there has to be one."""
    with explain_decoding_errors(path, page):
        if len(planes) > 1:
            raise UserError(
                f"a label of {len(planes)} channels, each a page; expected one channel; save the "
                "channel that marks the objects."
            )
        return _label_file(path, *_read_tiff(path, planes[0], page))


def _label_file(
    path: Path, pixels: np.ndarray, alpha: np.ndarray | None, nodata: float | None
) -> LabelFile:
    clear = None if alpha is None else alpha < alpha.dtype.type(opaque(alpha.dtype))
    if pixels.ndim == 3:
        pixels = _one_channel(path, pixels)
    clear = clear if clear is not None and clear.any() else None
    if nodata is not None and nodata.is_integer() and abs(nodata) < 2**63:
        return LabelFile(_whole(path, pixels), clear, int(nodata))
    if nodata is None or pixels.dtype.kind != "f" or pixels.ndim == 3:
        return LabelFile(_whole(path, pixels), clear)
    missing = np.isnan(pixels) if np.isnan(nodata) else pixels == pixels.dtype.type(nodata)
    if not missing.any():
        return LabelFile(_whole(path, pixels), clear)
    values = _whole(path, np.where(missing, pixels.dtype.type(0), pixels))
    free = min(0, int(values.min())) - 1
    values = values.astype(np.result_type(values, np.min_scalar_type(free)))
    values[missing] = free
    return LabelFile(values, clear, free, nodata)


def _webp_chunk(path: Path) -> bytes:
    """Kind of the first chunk of pixels of a WebP; the extended head lies before it."""
    with path.open("rb") as file:
        start = file.read(2**16)
    kinds = {kind: start.find(kind) for kind in (b"VP8 ", b"VP8L")}
    return min((place, kind) for kind, place in kinds.items() if place >= 0)[1]


def is_shown_inverted(path: str | Path, low: int, high: int) -> bool:
    """Whether viewers show the lower of two values of a label brighter than the higher one.

    Args:
        path: of a label that ``read_label`` can read; "<file>, page 3" for one of a stack.
        low, high: two of its values, which differ.
    """
    path = Path(path)
    if not path.is_file():  # all pages of a stack are written alike
        path = Path(PAGE.sub("", str(path)))
    kind = image_format(path)
    if kind == "PNG" and _png_type(path)[1] != PNG_PALETTE:
        return False
    if kind == "TIFF":
        with tiffs.open_tiff(path) as tiff:
            page = tiff.pages.first
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                return True
            if page.photometric != tifffile.PHOTOMETRIC.PALETTE:
                return False
            colours = np.asarray(page.colormap, float).T
    else:
        with open_by_pillow(path, kind) as opened:
            if opened.mode != "P":
                return False
            colours = np.asarray(opened.getpalette("RGB"), float).reshape(-1, 3)
    # A palette may be shorter than the values that its file has.
    return high < len(colours) and bool(colours[low].sum() > colours[high].sum())


def _lossy(path: Path, what: str) -> UserError:
    return UserError(
        f"{path}: {what}; compression with loss blurs the borders of a mask; save labels as PNG "
        "or TIFF without loss, from the original if there is one."
    )


def _read_tiff(
    path: Path, place: Page, number: int | None
) -> tuple[np.ndarray, np.ndarray | None, float | None]:
    """The stored values of a page, and alpha and the value of no data where the file has them."""
    with tiffs.open_tiff(path) as tiff:
        page = tiffs.load_page(tiff, place)
        if page.compression in tiffs.JPEG | tiffs.JPEG_2000:
            raise _lossy(path, f"a JPEG label inside a TIFF ({page.compression.name})")
        tiffs.check_page(tiff, page, whole=True, types=TYPES)
        if page.photometric in tiffs.TIFFFILE_PHOTOMETRICS:
            pixels = tiffs.read_page(page, stored=True)
            if pixels.ndim == 3 and tiffs.has_alpha(page):
                values = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :-1]
                return values, pixels[:, :, -1], tiffs.no_data(page)
            return pixels, None, tiffs.no_data(page)
    return read_pixels(path, number), None, None  # other colours are made RGB


def _alpha(path: Path, kind: str) -> np.ndarray | None:
    """The alpha channel (H, W); a palette has none, whatever colours are clear."""
    with open_by_pillow(path, kind) as opened:
        if opened.mode not in ("LA", "RGBA"):
            return None
        height, width = opened.height, opened.width
        check_memory(height, width, 5 * height * width)
        return np.asarray(ImageOps.exif_transpose(opened).getchannel("A"))


def _stored(path: Path, kind: str, pixels: np.ndarray) -> np.ndarray:
    """What a file stores, of the pixels that it shows: the indices of a palette."""
    with open_by_pillow(path, kind) as opened:
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
