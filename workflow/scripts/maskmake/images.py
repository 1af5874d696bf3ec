"""Images read whole or band by band, labels read, and masks written band by band.

So the size of an image does not reach the memory. Read by bands are TIFF and PNG files that store
rows of 8 or 16 bits one after the other; other kinds (JPEG, BMP, palettes, interlaced PNG, planar
TIFF, a TIFF compressed in one piece) are decoded whole, and so is every small image.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

from maskmake.errors import UserError
from maskmake.files import atomic
from maskmake.folders import TIFF_SUFFIXES, list_images

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH_OFFSET = 24  # of the byte with the bit depth
JPEG_SIGNATURE = b"\xff\xd8\xff"

# TIFF pixels that tifffile hands out; palettes and other colour spaces are left to Pillow.
PHOTOMETRIC_OF_TIFFFILE = {
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.RGB,
}

ONE_IMAGE = "expected one grey or RGB image a file; save each page of a stack as a file of its own."

# A scan can be far larger than the size at which Pillow suspects a decompression bomb.
Image.MAX_IMAGE_PIXELS = None

# Up to so many pixels, an image is handled whole; of a larger one, bands of about so many.
WHOLE_PIXELS, BAND_PIXELS = 2**22, 2**21

PIECE = 2**16  # bytes of a compressed file read at once
IHDR = struct.Struct(">IIBBBBB")  # width, height, depth, colour, compression, filter, interlace
PNG_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; a palette is none


@dataclass(frozen=True, eq=False)
class Picture:
    """One image to be read: a file or a page of a stack.

    Attributes:
        id: name of its mask; page 7 of ``a.tif`` is ``a_0007``, counted from 0.
        path: of the file.
        shape: (H, W) or (H, W, 3).
        dtype: ``uint8`` or ``uint16``.
        read: gives the pixels from the first row to the last as arrays of consecutive rows, as
            ``files.read_pixels`` gives them all; raises what that raises.
    """

    id: str
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], Iterator[np.ndarray]]


def band_rows(width: int) -> int:
    """Rows of a band of an image."""
    return max(1, BAND_PIXELS // width)


def open_pictures(path: Path) -> list[Picture | UserError]:
    """The image of a file, or of each page of a TIFF stack; a page that is no image as its fault.

    Raises:
        UserError: the file cannot be read, or a page would have the name of another file's mask.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return [_open_file(path)]
    with decoding_in_words(path), tifffile.TiffFile(path) as tiff:
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


def _page_or_fault(path: Path, page: int, name: str) -> Picture | UserError:
    try:
        return _open_page(path, page, name)
    except UserError as error:
        return error


def _whole(path: Path, page: int | None, name: str) -> Picture:
    pixels = read_pixels(path, page)
    return Picture(name, path, pixels.shape, pixels.dtype, lambda: iter([read_pixels(path, page)]))


def _pixels_read(picture: Picture, bands: Callable[[], Iterator[np.ndarray]]) -> Picture:
    """The same picture read by bands, with the channels and the faults of ``read_pixels``."""

    def read() -> Iterator[np.ndarray]:
        rows = 0
        with decoding_in_words(picture.path):
            for band in bands():
                rows += len(band)
                yield standard_channels(picture.path, band)
            if rows < picture.shape[0]:
                raise EOFError(f"ends after {rows} of {picture.shape[0]} rows")

    return Picture(picture.id, picture.path, picture.shape, picture.dtype, read)


def _shape(height: int, width: int, samples: int) -> tuple[int, ...]:
    return (height, width, 3) if samples >= 3 else (height, width)


# --- TIFF -------------------------------------------------------------------------------------


def _open_page(path: Path, page: int | None, name: str) -> Picture:
    with decoding_in_words(path), tifffile.TiffFile(path) as tiff:
        opened = tiff.pages[page or 0]
        simple = (
            (page is not None or (len(tiff.series) == 1 and tiff.series[0].shape == opened.shape))
            and opened.photometric in PHOTOMETRIC_OF_TIFFFILE
            and opened.dtype in (np.uint8, np.uint16)
            and opened.bitspersample == 8 * opened.dtype.itemsize
            and opened.axes in ("YX", "YXS")
        )
        height, width = opened.imagelength, opened.imagewidth
        if not simple or height * width <= WHOLE_PIXELS:
            return _whole(path, page, name)
        shape, dtype = _shape(height, width, opened.samplesperpixel), opened.dtype
    picture = Picture(name, path, shape, dtype, iter)
    return _pixels_read(picture, lambda: _tiff_bands(path, page or 0))


def _tiff_bands(path: Path, index: int) -> Iterator[np.ndarray]:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[index]
        stored = _mapped_rows if page.is_memmappable else _decoded_rows
        for band in stored(tiff, page):
            yield black_is_zero(page, band)


def _mapped_rows(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Iterator[np.ndarray]:
    dtype = page.dtype.newbyteorder(tiff.byteorder)
    row, rows = int(np.prod(page.shape[1:])) * dtype.itemsize, band_rows(page.imagewidth)
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
        places = [[of[i] for i in wanted] for of in (page.dataoffsets, page.databytecounts)]
        for data, number in tiff.filehandle.read_segments(*places, indices=wanted):
            pixels, place, _ = page.decode(
                data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader
            )
            if pixels is None:  # a piece that the file leaves out is black
                continue
            space = band[:, place[3] :][:, :width].reshape(len(band), -1, page.samplesperpixel)
            pixels = pixels[0, : len(band), : space.shape[1]]
            band[:, place[3] :][:, :width] = pixels.reshape(band[:, place[3] :][:, :width].shape)
        yield band


# --- PNG --------------------------------------------------------------------------------------


def _open_file(path: Path) -> Picture:
    with decoding_in_words(path), path.open("rb") as file:
        head = file.read(len(PNG_SIGNATURE) + 8 + IHDR.size)
    if not head.startswith(PNG_SIGNATURE) or len(head) < 33 - 4:
        return _whole(path, None, path.stem)
    width, height, depth, colour, *_, interlace = IHDR.unpack(head[-IHDR.size :])
    streams = colour in PNG_SAMPLES and depth in (8, 16) and not interlace
    if not streams or height * width <= WHOLE_PIXELS:
        return _whole(path, None, path.stem)
    shape, dtype = _shape(height, width, PNG_SAMPLES[colour]), np.dtype(f"u{depth // 8}")
    return _pixels_read(
        Picture(path.stem, path, shape, dtype, iter),
        lambda: _png_bands(path, width, depth, colour),
    )


def _png_bands(path: Path, width: int, depth: int, colour: int) -> Iterator[np.ndarray]:
    """Bands of a PNG file, each decoded as a small PNG that begins with the last row before it.

    A row of a PNG is stored as its difference from the row above.
    """
    row = width * PNG_SAMPLES[colour] * depth // 8
    above = bytes(row)
    with path.open("rb") as file:
        for stored in _inflated(file, band_rows(width) * (row + 1)):
            height = 1 + len(stored) // (row + 1)
            header = IHDR.pack(width, height, depth, colour, 0, 0, 0)
            pixels = zlib.compress(b"\0" + above + stored, 0)
            chunks = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
            small = PNG_SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)
            decoded = imagecodecs.png_decode(small)
            above = decoded[-1].astype(f">u{depth // 8}").tobytes()
            yield decoded[1:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _inflated(file, size: int) -> Iterator[bytes]:
    """The decompressed content of a PNG file in portions of ``size`` bytes."""
    inflate, ready = zlib.decompressobj(), bytearray()
    for piece in _compressed(file):
        while piece:
            ready += inflate.decompress(piece, size - len(ready))
            piece = inflate.unconsumed_tail
            if len(ready) == size:
                yield bytes(ready)
                ready.clear()
    ready += inflate.flush()
    if not inflate.eof:
        raise EOFError("the compressed pixels are cut short")
    while ready:
        yield bytes(ready[:size])
        del ready[:size]


def _compressed(file) -> Iterator[bytes]:
    """The chunks of pixels of a PNG file, in pieces."""
    file.seek(len(PNG_SIGNATURE))
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind != b"IDAT":
            file.seek(length, os.SEEK_CUR)
            length = 0
        while length:
            piece = file.read(min(length, PIECE))
            if not piece:
                raise EOFError("the file is cut short")
            yield piece
            length -= len(piece)
        file.seek(4, os.SEEK_CUR)  # the checksum: the compressed stream has one of its own


@contextmanager
def png_rows(path: Path, height: int, width: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that appends rows of a mask, (h, W) bool, to a grey PNG of 0 and 255.

    The file appears when it is complete.
    """
    deflate = zlib.compressobj(6)
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(PNG_SIGNATURE + _chunk(b"IHDR", IHDR.pack(width, height, 8, 0, 0, 0, 0)))

        def write(mask: np.ndarray) -> None:
            lines = np.pad(mask.astype(np.uint8) * 255, [(0, 0), (1, 0)])  # 0: stored as they are
            if data := deflate.compress(lines.tobytes()):
                file.write(_chunk(b"IDAT", data))

        yield write
        file.write(_chunk(b"IDAT", deflate.flush()) + _chunk(b"IEND", b""))
        file.flush()


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
    with decoding_in_words(path, page):
        pixels = _decode(path, page)
    return standard_channels(path, pixels)


@contextmanager
def decoding_in_words(path: Path, page: int | None = None) -> Iterator[None]:
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
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _decode(path: Path, page: int | None) -> np.ndarray:
    if path.suffix.lower() in TIFF_SUFFIXES:
        with tifffile.TiffFile(path) as tiff:
            if tiff.pages[page or 0].photometric in PHOTOMETRIC_OF_TIFFFILE:
                return _decode_tiff(tiff, page)
            alone = len(tiff.series) == 1 and tiff.series[0].shape == tiff.pages[0].shape
            if page is None and not alone:  # of several, Pillow would take the first
                raise UserError(f"a stack of {len(tiff.pages)} images; {ONE_IMAGE}")
    else:
        data = path.read_bytes()
        # Pillow reduces colour and alpha of 16-bit PNG to 8 bits; imagecodecs does not.
        if data.startswith(PNG_SIGNATURE) and data[PNG_DEPTH_OFFSET] == 16:
            return imagecodecs.png_decode(data)
    with Image.open(path) as image:
        image.seek(page or 0)
        image.load()
        image = ImageOps.exif_transpose(image)
        return np.asarray(image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr") else image)


def _decode_tiff(tiff: tifffile.TiffFile, page: int | None) -> np.ndarray:
    if page is None and len(tiff.series) > 1:
        raise UserError(f"a stack of {len(tiff.series)} images; {ONE_IMAGE}")
    images = tiff.series[0] if page is None else tiff.pages[page]
    pixels = images.asarray()
    if images.axes.startswith("S") and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)  # planar samples
    return black_is_zero(tiff.pages[page or 0], pixels)


def black_is_zero(page: tifffile.TiffPage, pixels: np.ndarray) -> np.ndarray:
    """Pixels of a page of a TIFF, inverted where its 0 is white."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return ~pixels if pixels.dtype == bool else 2**page.bitspersample - 1 - pixels
    return pixels


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
