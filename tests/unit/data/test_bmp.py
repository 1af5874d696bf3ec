"""A BMP of 4 or 8 bits with a short or grey palette is read as other programs read it."""

import struct
from pathlib import Path

import numpy as np
import pytest

from maskmake.data.images import read_pixels
from maskmake.data.label_files import read_label
from maskmake.runtime.errors import UserError

HEIGHT, WIDTH = 40, 50
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


def bmp(path: Path, indices: np.ndarray, bits: int, palette, offset: int | None = None) -> None:
    """Write a BMP without compression, whose head says how many colours its palette has."""
    if bits == 4:
        padded = np.pad(indices, ((0, 0), (0, indices.shape[1] % 2)))
        rows = padded[:, ::2] << 4 | padded[:, 1::2]
    else:
        rows = indices
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))[::-1]
    colours = b"".join(bytes([blue, green, red, 0]) for red, green, blue in palette)
    start = 54 + len(colours) if offset is None else offset
    head = struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start)
    height, width = indices.shape
    head += struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, 0, rows.size, 0, 0, len(palette), 0
    )
    path.write_bytes(head + colours + rows.tobytes())


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    "palette",
    [
        [BLACK, WHITE],
        [WHITE, BLACK],
        [BLACK, RED],
        [BLACK],
        [(value, value, value) for value in range(16)],
        [(17 * value, 17 * value, 17 * value) for value in range(16)],
    ],
    ids=["black, white", "white, black", "black, red", "black", "dark greys", "greys"],
)
def test_the_indices_are_the_label_and_the_colours_the_image(bits, palette, tmp_path):
    indices = np.random.default_rng(1).integers(0, len(palette), (HEIGHT, WIDTH), np.uint8)
    bmp(tmp_path / "a.bmp", indices, bits, palette)
    image = read_pixels(tmp_path / "a.bmp")
    if image.ndim == 2:  # a palette may be grey
        image = np.dstack([image] * 3)
    np.testing.assert_array_equal(image, np.array(palette, np.uint8)[indices])
    np.testing.assert_array_equal(read_label(tmp_path / "a.bmp").values, indices)


def test_a_palette_that_cannot_be_told_is_refused(tmp_path):
    indices = np.random.default_rng(1).integers(0, 2, (HEIGHT, WIDTH), np.uint8)
    bmp(tmp_path / "a.bmp", indices, 8, [BLACK, WHITE], offset=54)
    for read in (read_pixels, read_label):
        with pytest.raises(UserError, match="a BMP of 8 bits for each pixel with a palette"):
            read(tmp_path / "a.bmp")
