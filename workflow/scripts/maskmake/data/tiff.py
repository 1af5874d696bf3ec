"""Reading TIFF files with tifffile: a page whole, or band by band."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from maskmake.runtime.errors import UserError

# What tifffile reads as it is seen; palettes and other colour spaces are left to Pillow.
TIFFFILE_PHOTOMETRICS = {
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.RGB,
}

ONE_IMAGE = "expected one grey or RGB image a file; save each page of a stack as a file of its own."


def can_read_bands(tiff: tifffile.TiffFile, page: int | None) -> bool:
    """Whether ``read_bands`` can read a page, or a file of one image where ``page`` is None."""
    opened = tiff.pages[page or 0]
    return (
        (page is not None or (len(tiff.series) == 1 and tiff.series[0].shape == opened.shape))
        and opened.photometric in TIFFFILE_PHOTOMETRICS
        and opened.dtype in (np.uint8, np.uint16)
        and opened.bitspersample == 8 * opened.dtype.itemsize
        and opened.axes in ("YX", "YXS")
    )


def read_bands(path: Path, index: int, band_pixels: int) -> Iterator[np.ndarray]:
    """Give the rows of a page for which ``can_read_bands`` holds, from the first to the last.

    Args:
        path: of the file.
        index: of the page, from 0.
        band_pixels: about how many pixels to give at once; a page of strips or tiles is given by
            rows of these instead.

    Returns:
        Arrays (h, W) or (h, W, samples) of the pixel type of the page.
    """
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[index]
        if page.is_memmappable:
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
        band = np.zeros((min(height, page.imagelength - start), *page.shape[1:]), page.dtype)
        wanted = range(first, first + across)
        offsets = [page.dataoffsets[i] for i in wanted]
        sizes = [page.databytecounts[i] for i in wanted]
        for data, number in tiff.filehandle.read_segments(offsets, sizes, indices=wanted):
            pixels, place, _ = page.decode(
                data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader
            )
            if pixels is None:  # a piece that the file leaves out is black
                continue
            space = band[:, place[3] :][:, :width].reshape(len(band), -1, page.samplesperpixel)
            pixels = pixels[0, : len(band), : space.shape[1]]
            band[:, place[3] :][:, :width] = pixels.reshape(band[:, place[3] :][:, :width].shape)
        yield band


def read_page(tiff: tifffile.TiffFile, page: int | None) -> np.ndarray:
    """All pixels of a page, or of a file of one image where ``page`` is None.

    Returns:
        (H, W) or (H, W, samples) of the pixel type of the page.

    Raises:
        UserError: ``page`` is None, but the file is a stack.
    """
    if page is None and len(tiff.series) > 1:
        raise UserError(f"a stack of {len(tiff.series)} images; {ONE_IMAGE}")
    images = tiff.series[0] if page is None else tiff.pages[page]
    pixels = images.asarray()
    if images.axes.startswith("S") and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)  # planar samples
    return _black_is_zero(tiff.pages[page or 0], pixels)


def _black_is_zero(page: tifffile.TiffPage, pixels: np.ndarray) -> np.ndarray:
    """Pixels of a page of a TIFF, inverted where its 0 is white."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return ~pixels if pixels.dtype == bool else 2**page.bitspersample - 1 - pixels
    return pixels
