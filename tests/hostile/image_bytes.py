"""Images as bytes, whole, or with headers that claim what is not so, and both ways to read one."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from maskmake.data.images import open_image_files, read_pixels
from maskmake.data.label_files import read_label
from maskmake.runtime.errors import UserError

SIDE = 64
PIXELS = np.add.outer(np.arange(SIDE), 3 * np.arange(SIDE)).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width=SIDE, height=SIDE, depth=8, colour=0, pixels=PIXELS, before=b"", behind=b"", tail=b""
):
    """A PNG whose header claims what it is told to."""
    lines = np.pad(pixels, [(0, 0), (1, 0)]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(lines) + tail)
    return b"\x89PNG\r\n\x1a\n" + body + behind + chunk(b"IEND", b"")


def saved(kind: str, pixels=PIXELS, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels=PIXELS, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def stack(count: int) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(count):
            writer.write(PIXELS, contiguous=False, metadata=None)
    return file.getvalue()


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


MOST = 2**31 - 1


def refusals(path: Path) -> str:
    """What both ways of reading say of a file, a line each; both must refuse it."""
    told = []
    for read in (read_pixels, read_label, lambda path: read_by_bands(path)):
        try:
            told.append(f"READ {read(path).shape}")
        except UserError as error:
            told.append(str(error).replace("\n", " NEW LINE "))
    return "\n".join(told)


def read_by_bands(path: Path) -> np.ndarray:
    bands = []
    for image in open_image_files(path):
        if isinstance(image, UserError):
            raise image
        bands.extend(image.read())
    return np.concatenate(bands)


def oriented(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif
