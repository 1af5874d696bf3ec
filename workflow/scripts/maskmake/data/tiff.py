"""Reading TIFF files with tifffile: a page whole, or band by band.

Only the list of pages and the tags of a page are used. What tifffile makes of metadata, its
``series``, is not: OME-XML and the files of Micro-Manager name other files, which it would open.
"""

import io
import logging
import math
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from maskmake.data.file_checks import check_memory
from maskmake.runtime.errors import UserError

# What tifffile reads as it is seen; other colour spaces are made RGB by Pillow.
GREY = {tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK}
PLAIN_COLOURS = GREY | {tifffile.PHOTOMETRIC.RGB}
TIFFFILE_PHOTOMETRICS = PLAIN_COLOURS | {tifffile.PHOTOMETRIC.PALETTE}

# Colours that Pillow makes RGB. It would show CIELAB and others as something else.
PILLOW_COLOURS = {tifffile.PHOTOMETRIC.SEPARATED, tifffile.PHOTOMETRIC.YCBCR}

IMAGE_TYPES = frozenset(map(np.dtype, "?BHIbhiefd"))
ALPHA = {1, 2}  # ExtraSamples
ONE_IMAGE = "expected one grey or RGB image a file; save each page of a stack as a file of its own."

# The decoders that may be asked. tifffile gives them a buffer of the size that the tags say, but
# JPEG and JPEG 2000 go by a size of their own, which ``_check_codestream`` compares before.
CODECS = tifffile.COMPRESSION
PLAIN = {
    CODECS.NONE, CODECS.CCITTRLE, CODECS.CCITT_T4, CODECS.CCITT_T6, CODECS.LZW,
    CODECS.ADOBE_DEFLATE, CODECS.DEFLATE, CODECS.PACKBITS, CODECS.LZMA, CODECS.ZSTD,
}  # fmt: skip
JPEG = {CODECS.JPEG}
JPEG_2000 = {CODECS.JPEG2000, CODECS.JPEG_2000_LOSSY, CODECS.APERIO_JP2000_YCBC,
             CODECS.APERIO_JP2000_RGB}  # fmt: skip
JPEG_2000_START = b"\xff\x4f\xff\x51"
HEAD = 2**16  # bytes of a piece in which its own size is looked for

GDAL_NODATA = 42113
REDUCED, MASK = 1, 4  # bits of NewSubfileType: a smaller copy of an image, and its mask

# What it logs of a damaged file is said in the sentence that refuses the file.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


@dataclass(frozen=True)
class Page:
    """Where a page lies in its file.

    Attributes:
        index: its number among all pages.
        offset: of its tags.
        behind: how many images lie between the one that the tags are about and this one, where
            ImageJ wrote one list of tags for all images.
    """

    index: int
    offset: int
    behind: int = 0


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """A TIFF file as a list of pages; tifffile treats files of some programs in other ways."""
    with tifffile.TiffFile(path, is_lsm=False, is_scanimage=False, is_ndpi=False) as tiff:
        yield tiff


def load_page(tiff: tifffile.TiffFile, page: Page) -> tifffile.TiffPage:
    """The tags of a page, without a walk through the pages before it."""
    tiff.filehandle.seek(page.offset)
    loaded = tifffile.TiffPage(tiff, page.index)
    if page.behind:
        shift = page.behind * sum(loaded.databytecounts)
        loaded.dataoffsets = tuple(offset + shift for offset in loaded.dataoffsets)
    return loaded


def list_pages(tiff: tifffile.TiffFile) -> Iterator[tuple[Page, tifffile.TiffPage]]:
    """Each page that is an image of its own: smaller copies and masks are left out.

    Raises:
        UserError: the list of pages breaks off or comes back to an earlier page.
    """
    listed = [Page(index, offset) for index, offset in enumerate(_page_offsets(tiff))]
    for page in listed:
        loaded = load_page(tiff, page)
        # The first page is an image, whatever it says.
        if not page.index or not loaded.subfiletype & (REDUCED | MASK):
            yield page, loaded


def _page_offsets(tiff: tifffile.TiffFile) -> list[int]:
    """Where the directory of each page lies. tifffile takes a broken list for a shorter one."""
    layout, file = tiff.tiff, tiff.filehandle

    def number(form: str, size: int) -> int:
        return struct.unpack(form, file.read(size))[0]

    offsets: dict[int, None] = {}
    file.seek(8 if layout.is_bigtiff else 4)
    try:
        while offset := number(layout.offsetformat, layout.offsetsize):
            if offset in offsets or offset >= file.size:
                raise ValueError("comes back to an earlier page or leaves the file")
            offsets[offset] = None
            file.seek(offset)
            tags = number(layout.tagnoformat, layout.tagnosize)
            file.seek(offset + layout.tagnosize + tags * layout.tagsize)
    except (struct.error, ValueError, OSError):
        raise UserError(
            f"cannot be decoded (the list of pages breaks off after {len(offsets)} "
            "pages); expected a whole TIFF; replace or remove the file."
        ) from None
    if not offsets:
        raise UserError("cannot be decoded (no page); expected a whole TIFF; remove it.")
    return list(offsets)


# --- what the tags claim ------------------------------------------------------------------------


def check_page(
    tiff: tifffile.TiffFile,
    page: tifffile.TiffPage,
    whole: bool,
    types: Collection[np.dtype] = IMAGE_TYPES,
) -> None:
    """Refuse a page whose tags contradict each other, the file or the memory of the machine.

    Args:
        tiff: the file.
        page: to be read.
        whole: whether all pixels are to be in memory at once.
        types: of pixels that are read.

    Raises:
        UserError: naming the tag.
    """
    if page.dtype not in types or not isinstance(page.bitspersample, int):
        kind = page.dtype or f"of {str(page.bitspersample)[:20]} bits"
        expected = "8 to 32 bits or floats" if types is IMAGE_TYPES else "whole numbers"
        raise UserError(f"pixel type {kind}; expected {expected}; convert the file.")
    if page.photometric not in TIFFFILE_PHOTOMETRICS | PILLOW_COLOURS:
        colours = getattr(page.photometric, "name", page.photometric)
        raise UserError(f"colours as {colours}; expected grey, RGB or CMYK; convert the file.")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype.kind not in "bu":
        raise UserError(
            f"pixel type {page.dtype} with white as 0; expected black as 0; convert the file."
        )
    if page.axes not in ("YX", "YXS", "SYX"):
        raise UserError(f"array of shape {'x'.join(map(str, page.shape))}; {ONE_IMAGE}")
    if page.compression not in PLAIN | JPEG | JPEG_2000:
        raise UserError(
            f"compression {getattr(page.compression, 'name', page.compression)}; expected "
            "none, LZW, deflate, PackBits, CCITT, LZMA, Zstandard, JPEG or JPEG 2000; save the "
            "file again with one of these."
        )
    if page.planarconfig not in (1, 2):
        raise _contradiction(f"PlanarConfiguration is {page.planarconfig}")
    if 0 in page.shape:
        raise _contradiction(f"the image is {page.imagelength} x {page.imagewidth} pixels")
    if 0 in page.chunks:
        raise _contradiction("its strips or tiles have no pixels")
    pieces = math.prod(page.chunked)
    if min(len(page.dataoffsets), len(page.databytecounts)) < pieces:
        raise _contradiction(f"{len(page.dataoffsets)} strips or tiles are listed of {pieces}")
    size = tiff.filehandle.size
    raw = math.prod(page.shape) * page.bitspersample // 8
    if page.compression == CODECS.NONE and raw > size and 0 not in page.dataoffsets:
        raise _contradiction(f"{raw} bytes of pixels are claimed")
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if offset + count > size and page.compression != CODECS.NONE:
            raise _contradiction("a strip or tile lies beyond the end")
    check_memory(page.imagelength, page.imagewidth, _needed_memory(page, whole))
    if page.compression in JPEG | JPEG_2000:
        _check_codestreams(tiff, page)


def _needed_memory(page: tifffile.TiffPage, whole: bool) -> int:
    piece = math.prod(page.chunks)
    if whole:  # the pixels, what an inversion or a turn makes of them, and a piece
        pixels = 2 * math.prod(page.shape) + piece
    elif page.is_final:
        pixels = 2 * math.prod(page.shape[1:])
    else:  # a row of pieces, its inversion, and a piece
        pixels = (2 * page.chunked[1] + 1) * piece
    return pixels * page.dtype.itemsize


def _contradiction(found: str) -> UserError:
    return UserError(
        f"cannot be decoded ({found}); expected a whole TIFF; replace or remove the file."
    )


def _check_codestreams(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> None:
    """Compare the size that each compressed piece says of itself with that of the tags."""
    limits = [length + 16 for length in page.chunks[:2]]  # JPEG works in blocks of up to 16
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if not offset or not count:
            continue
        tiff.filehandle.seek(offset)
        head = tiff.filehandle.read(min(count, HEAD))
        size = _jpeg_size(head) if page.compression in JPEG else _jpeg_2000_size(head)
        if size is None:
            raise _contradiction("a strip or tile does not begin as its compression does")
        if any(found > limit for found, limit in zip(size, limits, strict=True)):
            claimed = " x ".join(map(str, size))
            raise _contradiction(f"a strip or tile says that it has {claimed} pixels")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width in the header of a JPEG; None if there are none."""
    file = io.BytesIO(data)
    file.seek(2)
    while len(head := file.read(4)) == 4:
        marker, length = struct.unpack(">HH", head)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            frame = file.read(5)
            return struct.unpack(">xHH", frame) if len(frame) == 5 else None
        file.seek(length - 2, io.SEEK_CUR)
    return None


def _jpeg_2000_size(data: bytes) -> tuple[int, int] | None:
    """Height and width in the header of a JPEG 2000 stream; None if there are none."""
    start = data.find(JPEG_2000_START)
    if start < 0 or len(data) < start + 24:
        return None
    width, height, left, top = struct.unpack_from(">IIII", data, start + 8)
    return height - top, width - left


def jpeg_2000_depth(data: bytes) -> int:
    """Bits of a sample in the header of a JPEG 2000 stream; 0 if there are none."""
    place = data.find(JPEG_2000_START) + 42
    return (data[place] & 0x7F) + 1 if 42 <= place < len(data) else 0


# --- pixels -------------------------------------------------------------------------------------


def seen_shape(page: tifffile.TiffPage) -> tuple[int, int, int]:
    """(H, W, samples) of a page as it is to be seen."""
    height, width = page.imagelength, page.imagewidth
    if orientation(page) in (5, 6, 7, 8):
        height, width = width, height
    return height, width, page.samplesperpixel if page.photometric in PLAIN_COLOURS else 3


def has_alpha(page: tifffile.TiffPage) -> bool:
    """Whether the last sample of each pixel says how clear it is."""
    return page.photometric in PLAIN_COLOURS and bool(set(page.extrasamples) & ALPHA)


def no_data(page: tifffile.TiffPage) -> float | None:
    """The value of pixels without data, by GDAL's tag; it may be NaN."""
    tag = page.tags.get(GDAL_NODATA)
    try:
        return float(tag.value) if tag else None
    except (TypeError, ValueError):  # no number
        return None


def orientation(page: tifffile.TiffPage) -> int:
    """How the page has to be turned to be seen, 1 to 8 as in EXIF; 1 is not at all."""
    value = page.tags.valueof("Orientation", 1)
    return value if value in range(1, 9) else 1


def can_read_bands(page: tifffile.TiffPage) -> bool:
    """Whether ``read_bands`` can read a page."""
    return (
        page.photometric in PLAIN_COLOURS
        and page.dtype not in (None, np.dtype(bool))
        and page.bitspersample == 8 * page.dtype.itemsize
        and page.axes in ("YX", "YXS")
        and orientation(page) == 1
    )


def read_bands(path: Path, place: Page, band_pixels: int) -> Iterator[np.ndarray]:
    """Give the rows of a page for which ``can_read_bands`` holds, from the first to the last.

    Args:
        path: of the file.
        place: of the page.
        band_pixels: about how many pixels to give at once; a page of strips or tiles is given by
            rows of these instead.

    Returns:
        Arrays (h, W) or (h, W, samples) of the pixel type of the page.
    """
    with open_tiff(path) as tiff:
        page = load_page(tiff, place)
        check_page(tiff, page, whole=False)
        if page.is_final:
            bands = _mapped_rows(tiff, page, max(1, band_pixels // page.imagewidth))
        else:
            bands = _decoded_rows(tiff, page)
        for band in bands:
            yield _black_is_zero(page, band)


def _mapped_rows(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage, rows: int
) -> Iterator[np.ndarray]:
    dtype = page.dtype.newbyteorder(tiff.byteorder)
    row = int(np.prod(page.shape[1:])) * dtype.itemsize
    for start in range(0, page.imagelength, rows):
        shape = (min(rows, page.imagelength - start), *page.shape[1:])
        tiff.filehandle.seek(page.dataoffsets[0] + start * row)
        yield (
            tiff.filehandle.read_array(dtype, int(np.prod(shape))).reshape(shape).astype(page.dtype)
        )


def _decoded_rows(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Iterator[np.ndarray]:
    """Rows of strips or tiles, as many as each holds."""
    down, across = page.chunked[:2]
    height, width = page.chunks[:2]
    for first in range(0, down * across, across):
        start = first // across * height
        shape = (min(height, page.imagelength - start), *page.shape[1:])
        band = np.full(shape, page.nodata, page.dtype)  # where the file leaves a piece out
        wanted = range(first, first + across)
        offsets = [page.dataoffsets[i] for i in wanted]
        sizes = [page.databytecounts[i] for i in wanted]
        for data, number in tiff.filehandle.read_segments(offsets, sizes, indices=wanted):
            pixels, place, _ = page.decode(
                data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader
            )
            if pixels is None:
                continue
            space = band[:, place[3] :][:, :width].reshape(len(band), -1, page.samplesperpixel)
            pixels = pixels[0, : len(band), : space.shape[1]]
            band[:, place[3] :][:, :width] = pixels.reshape(band[:, place[3] :][:, :width].shape)
        yield band


def read_page(page: tifffile.TiffPage, stored: bool = False) -> np.ndarray:
    """All pixels of a page of ``TIFFFILE_PHOTOMETRICS``, as they are to be seen.

    Args:
        page: of the file.
        stored: whether to give the values in the file, which may be indices of a palette or have
            white as 0, instead of the colours that are seen.

    Returns:
        (H, W) or (H, W, samples) of the pixel type of the page.
    """
    pixels = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)  # planar samples
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and not stored:
        colours = (np.asarray(page.colormap) >> 8).astype(np.uint8)
        pixels = np.moveaxis(colours[:, pixels.reshape(pixels.shape[:2])], 0, -1)
    return turned(pixels if stored else _black_is_zero(page, pixels), orientation(page))


def turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Pixels turned by an orientation of EXIF, 1 to 8."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _black_is_zero(page: tifffile.TiffPage, pixels: np.ndarray) -> np.ndarray:
    """Pixels of a page of a TIFF, inverted where its 0 is white."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return ~pixels if pixels.dtype == bool else 2**page.bitspersample - 1 - pixels
    return pixels
