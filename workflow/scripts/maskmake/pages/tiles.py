"""The full pictures of the viewer: one file, or of a large image tiles in several resolutions."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from maskmake.pages.pictures import Colour, write_jpeg, write_layer

# Longer side of an image in pixels. A browser decodes the picture of a larger one for seconds and
# holds it in hundreds of megabytes, so the viewer is given the tiles that it needs at each zoom.
LARGEST_FILE = 4096
TILE = 1024  # side of a tile in pixels


def tiling(height: int, width: int) -> dict[str, int] | None:
    """What the viewer needs to know of an image's tiles; None where each picture is one file."""
    if max(height, width) <= LARGEST_FILE:
        return None
    return {
        "width": width,
        "height": height,
        "tileSize": TILE,
        "maxLevel": _levels(height, width) - 1,
    }


def row_bands(height: int, width: int) -> list[slice]:
    """Rows of an image that are written at once: all, or so few that memory is bounded."""
    if tiling(height, width) is None:
        return [slice(0, height)]
    return [slice(start, min(start + TILE, height)) for start in range(0, height, TILE)]


def write_full_picture(
    stem: Path,
    shape: tuple[int, int],
    bands: Iterable[np.ndarray],
    colours: Sequence[Colour] | None = None,
) -> None:
    """Write a picture in full size: ``<stem>.jpg``, or ``<stem>.png`` where it has colours.

    Of a large image it is a pyramid, ``<stem>.tiles/<level>-<column>-<row>`` with the same ending.
    Level 0 is one tile, and each level has twice the resolution of the one before it; the last one
    has all pixels. A few bands of ``TILE`` rows are in memory at once.

    Args:
        stem: path without an ending, in a folder that is not final yet.
        shape: (H, W) of the image.
        bands: ``uint8``, consecutive rows, any number each, (h, W) or (h, W, 3).
        colours: of the values 1, 2 ... of a layer that is transparent where it is 0. In a lower
            resolution the highest value stays, so that a line of one pixel does not vanish. None:
            a photograph, whose pixels are averaged.
    """

    def write(path: Path, pixels: np.ndarray) -> None:
        if colours is None:
            write_jpeg(path.with_name(f"{path.name}.jpg"), pixels)
        else:
            write_layer(path.with_name(f"{path.name}.png"), pixels, colours)

    def written(bands: Iterable[np.ndarray], level: int) -> Iterator[np.ndarray]:
        """Write the tiles of a level, and give its bands in half the resolution."""
        for row, band in enumerate(_of_rows(TILE, bands)):
            for column, left in enumerate(range(0, band.shape[1], TILE)):
                write(folder / f"{level}-{column}-{row}", band[:, left : left + TILE])
            yield _halved(band, average=colours is None)

    if tiling(*shape) is None:
        write(stem, np.concatenate(list(bands)))
        return
    folder = stem.with_name(f"{stem.name}.tiles")
    folder.mkdir()
    for level in reversed(range(_levels(*shape))):
        bands = written(bands, level)
    for _ in bands:  # each level takes its bands from the one above it
        pass


def _levels(height: int, width: int) -> int:
    """Number of resolutions until one tile holds the whole."""
    return (-(-max(height, width) // TILE) - 1).bit_length() + 1


def _of_rows(rows: int, bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same rows, so many at once, of which the last band may have fewer."""
    held: list[np.ndarray] = []
    for band in bands:
        held.append(band)
        while sum(map(len, held)) >= rows:
            whole = np.concatenate(held)
            yield whole[:rows]
            held = [whole[rows:]]
    if sum(map(len, held)):
        yield np.concatenate(held)


def _halved(band: np.ndarray, average: bool) -> np.ndarray:
    """Two rows and columns made one, by their mean or their maximum; an odd last one by itself."""
    odd = [(0, side % 2) for side in band.shape[:2]] + [(0, 0)] * (band.ndim - 2)
    even = np.pad(band, odd, mode="edge")
    corners = [even[row::2, column::2] for row in (0, 1) for column in (0, 1)]
    if average:
        total = np.stack(corners).sum(axis=0, dtype=np.uint16)
        return ((total + 2) // 4).astype(np.uint8)
    return np.maximum.reduce(corners)
