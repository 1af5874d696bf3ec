"""Reading and writing files. A write is atomic: a reader sees the old file or the whole new one."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import tifffile
from PIL import Image, ImageOps

from maskmake.log import UserError
from maskmake.sources import TIFF_SUFFIXES

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


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is renamed to it, on failure removed.

    Its name is always the same, so that what a killed process left behind is written over. A path
    is therefore written by one process at a time, as Snakemake sees to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # the user knows the file by its own name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, so that a rename outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some network file systems cannot
            raise
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value) -> None:
    """Write a JSON document; NaN is written as null, since JSON has no NaN."""
    write_text(path, json.dumps(_json_ready(value), indent=2, allow_nan=False) + "\n")


def _json_ready(value):
    if isinstance(value, dict):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    if isinstance(value, np.ndarray):
        return _json_ready(value.tolist())
    if isinstance(value, np.generic):
        return _json_ready(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def read_json(path: str | Path):
    """Read a JSON document.

    Raises:
        UserError: the file is none, or not a whole one.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON and of UTF-8 both
        raise UserError(
            f"{path}: not a whole JSON document ({error}); copy it again from where it was made, "
            "or remove it and run the step that makes it."
        ) from None


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its row index."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table; ids, groups and roles stay text, so that ``007`` and ``NA`` are kept."""
    texts = dict.fromkeys(("id", "group", "role", "run"), str)
    table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in texts if name in table})


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) ``uint8`` picture; bool becomes 0/255."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


@contextmanager
def writable_array(path: str | Path, shape: tuple[int, ...], dtype) -> Iterator[np.ndarray]:
    """Give a memory-mapped ``.npy`` array to fill; the file appears when it is complete."""
    with atomic(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):  # or a full disk would kill the process by a signal
            with temporary.open("rb+") as handle:
                os.posix_fallocate(handle.fileno(), 0, temporary.stat().st_size)
        yield array
        array.flush()


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
