"""What a file must be before a decoder reads it: a regular file of a known format that fits.

The format is told by the first bytes, never by the suffix. Decoders believe the size that a header
claims and ask for memory first, so the claim is compared with the size of the file and with the
memory of the machine before.
"""

import os
import stat
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from maskmake.runtime.errors import UserError, dead_link
from maskmake.runtime.memory import available_memory

# The formats that are read, by the bytes with which they start. No other reader of any library is
# ever asked: Pillow alone has 43, and one of them starts Ghostscript.
SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}

LONGEST_NAME = 255 - len(".partial-")  # in bytes: masks are written beside their final names

# Deflate stores at most 1032 bytes in one; JPEG and the run lengths of BMP store fewer pixels.
DENSEST = 1032

# The channels of the colour types of PNG.
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PNG_PALETTE = 3  # a colour type
# Chunks of which libpng says nothing on the terminal, as it does of colour profiles.
PLAIN_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tEXt", b"tIME"}
SMALL = 2**26  # bytes for which memory is not looked up, since that takes as long as reading them
PIECE = 2**20  # bytes of a chunk that are read at once


def check_name(path: Path, stem: str) -> None:
    """Refuse a name that tables, pages and terminals cannot show, or that has no room for a mask.

    Args:
        path: of an image or a label.
        stem: name of its mask, without the suffix.

    Raises:
        UserError: the name is no UTF-8, has control characters or is too long.
    """
    # Surrogates (Cs) stand for bytes that are no UTF-8.
    odd = {letter for letter in str(path) if unicodedata.category(letter) in ("Cc", "Cs")}
    if odd:
        shown = "".join(ascii(letter)[1:-1] if letter in odd else letter for letter in str(path))
        raise UserError(
            f"{shown}: a name with control characters or bytes that are no UTF-8; "
            "expected printable characters; rename the file or its folder."
        )
    length = len(os.fsencode(f"{stem}.png"))
    if length > LONGEST_NAME:
        raise UserError(
            f"{path}: its mask {stem}.png would have a name of {length} bytes; expected at most "
            f"{LONGEST_NAME}; rename the file."
        )


def image_format(path: Path) -> str:
    """PNG, JPEG, TIFF, BMP, GIF, WebP or JPEG 2000, by the content of a file.

    Raises:
        UserError: the path is no regular file or cannot be read, or the file has another format.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise UserError(f"{path}: a folder, pipe or device; expected a file; remove it.")
        with path.open("rb") as file:
            start = file.read(12)
    except FileNotFoundError:
        if path.is_symlink():
            raise dead_link(path) from None
        raise UserError(f"{path}: no such file.") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); fix the file or its permissions, or "
            "remove it."
        ) from None
    found = next((name for sign, name in SIGNATURES.items() if start.startswith(sign)), None)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        found = "WebP"
    if found is None:
        raise UserError(
            f"{path}: cannot be decoded (its content is of another kind); expected a whole PNG, "
            "TIFF, JPEG, JPEG 2000, WebP, GIF or BMP; replace or remove the file."
        )
    return found


def check_size(size: int, height: int, width: int, least: int) -> None:
    """Refuse a header that claims more pixels than the file can hold.

    Args:
        size: bytes of a PNG, JPEG or BMP.
        height, width: what its header claims.
        least: bytes that its pixels take at least before they are compressed.

    Raises:
        UserError: the claim is impossible.
    """
    if least > DENSEST * size:
        raise UserError(
            f"cannot be decoded (its header claims {height} x {width} pixels, but it has "
            f"{size} bytes); expected a whole file; replace or remove the file."
        )


def check_memory(height: int, width: int, needed: int) -> None:
    """Refuse an image for which there is no memory: Linux would kill the process without a word.

    Args:
        height, width: of the image.
        needed: bytes.

    Raises:
        UserError: naming what is needed and what is free.
    """
    if needed > SMALL and needed > (free := available_memory()):
        raise UserError(
            f"reading {height} x {width} pixels (height x width) needs "
            f"{needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free; close what "
            "else uses memory, or cut the image into smaller ones."
        )


class PngHead(NamedTuple):
    """What a PNG says of its pixels.

    Attributes:
        height, width: in pixels.
        samples: of a pixel; 1 for a palette.
        depth: bits of a sample.
        plain: whether it has neither a palette nor passes, and no chunk but ``PLAIN_CHUNKS``.
        exif: content of the last chunk eXIf, wherever it is; empty if there is none.
    """

    height: int
    width: int
    samples: int
    depth: int
    plain: bool
    exif: bytes


def check_png(path: Path) -> PngHead:
    """Compare each chunk of a PNG with its checksum, and the header with the size of the file.

    Libraries leave out some of the checksums: Pillow those of the pixels, libpng those of what it
    takes for unimportant, such as the orientation.

    Raises:
        UserError: a checksum is wrong, the file is cut, or the header claims too many pixels.
    """
    exif, header, kinds = b"", b"", set()
    with path.open("rb") as file:
        file.seek(8)
        size = os.fstat(file.fileno()).st_size
        for kind, data in _png_chunks(file):
            exif = data if kind == b"eXIf" else exif
            header = header or data
            kinds.add(kind)
    # Of the first chunk.
    width, height, depth, colour, _, _, passes = struct.unpack(">IIBBBBB", header[:13])
    samples = PNG_SAMPLES.get(colour, 1)
    check_size(size, height, width, height * -(-width * samples * depth // 8))
    plain = kinds <= PLAIN_CHUNKS and colour != PNG_PALETTE and not passes
    return PngHead(height, width, samples, depth, plain, exif)


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to the end mark; of pixels and long ones only the start."""
    number, kind = 0, b""
    while kind != b"IEND":
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        first = file.read(min(length, PIECE))
        total, left, piece = zlib.crc32(first, zlib.crc32(kind)), length - len(first), first
        while left > 0 and piece:
            piece = file.read(min(left, PIECE))
            total, left = zlib.crc32(piece, total), left - len(piece)
        if left > 0 or file.read(4) != struct.pack(">I", total):
            raise UserError(
                f"cannot be decoded (chunk {number} of the PNG is cut or its checksum is "
                "wrong); expected a whole file; replace or remove the file."
            )
        yield kind, first
        number += 1
