"""An orientation that a file claims is obeyed in every format."""

import numpy as np
import pytest
from image_bytes import PIXELS, chunk, oriented, png, read_by_bands, saved, tiff

from maskmake.data import images
from maskmake.data.images import read_pixels


def exif_chunk(turn: int) -> bytes:
    return chunk(b"eXIf", oriented(turn).tobytes().removeprefix(b"Exif\0\0"))


ORIENTED = {
    "8-bit.png": lambda turn: saved("PNG", exif=oriented(turn)),
    "behind.png": lambda turn: png(behind=exif_chunk(turn)),
    "16-bit.png": lambda turn: saved("PNG", PIXELS.astype(np.uint16) * 257, exif=oriented(turn)),
    "lossless.tif": lambda turn: tiff(extratags=[(274, 3, 1, turn, True)]),
    "16-bit.tif": lambda turn: tiff(
        PIXELS.astype(np.uint16) * 257, extratags=[(274, 3, 1, turn, True)]
    ),
    "palette.tif": lambda turn: tiff(
        photometric="palette",
        colormap=np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1)),
        extratags=[(274, 3, 1, turn, True)],
    ),
}  # fmt: skip

# Where the first rows and columns of what is stored come to lie, by the standard.
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("limit", [100, 10**6], ids=["large", "small"])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", ORIENTED)
def test_an_orientation_is_obeyed_in_every_format_depth_and_size(
    name, turn, limit, tmp_path, monkeypatch
):
    monkeypatch.setattr(images, "WHOLE_PIXELS", limit)
    path = tmp_path / name
    path.write_bytes(ORIENTED[name](turn))
    for read in (read_pixels, read_by_bands):
        pixels = read(path)
        grey = pixels[..., 0] if pixels.ndim == 3 else pixels
        scale = 257 if pixels.dtype == np.uint16 else 1
        np.testing.assert_array_equal(grey, TURNS[turn](PIXELS).astype(grey.dtype) * scale)
