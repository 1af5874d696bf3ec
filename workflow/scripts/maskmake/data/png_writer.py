"""Writing a mask to a PNG row by row, so that memory does not grow with its size."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maskmake.runtime.files import atomic

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
IHDR = struct.Struct(">IIBBBBB")  # width, height, depth, colour, compression, filter, interlace


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
