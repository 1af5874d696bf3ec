"""Images with exact labels, made on the spot: for the demo, the tests and the benchmarks.

A larger image shows more, not larger things: all lengths are in pixels. A difficulty of 0 gives
clear images; 1 gives faint structures among much noise and much that resembles them.
"""

from pathlib import Path

import numpy as np

from maskmake.data.folders import synthetic_names
from maskmake.data.synthetic_blobs import draw_blobs
from maskmake.data.synthetic_cracks import draw_cracks
from maskmake.data.synthetic_membranes import draw_membranes
from maskmake.data.synthetic_textures import draw_textures
from maskmake.runtime.files import write_png

KINDS = {
    "membranes": draw_membranes,
    "cracks": draw_cracks,
    "blobs": draw_blobs,
    "textures": draw_textures,
}


def synthesize(
    index: int, size: int, seed: int, kind: str = "membranes", difficulty: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image and its label; both follow from the arguments alone.

    Args:
        index: Number of the image, from 0.
        size: Height and width in pixels.
        seed: Seed of the data set, from 0.
        kind: A key of ``KINDS``.
        difficulty: From 0 to 1.

    Returns:
        Image, (size, size) ``uint8``; label, (size, size) ``uint8``, 255 in the foreground (the
        inside of cells, cracks, blobs, the finer texture) and 0 elsewhere.
    """
    rng = np.random.default_rng([seed, index])
    image, foreground = KINDS[kind](rng, size, difficulty)
    return image, foreground.astype(np.uint8) * 255


def write_dataset(
    images_folder: str | Path,
    labels_folder: str | Path,
    count: int,
    size: int,
    seed: int,
    kind: str = "membranes",
    difficulty: float = 0.5,
) -> None:
    """Write ``count`` images and labels as ``00.png``, ``01.png``, ... under equal names."""
    for index, name in enumerate(synthetic_names(count)):
        image, label = synthesize(index, size, seed, kind, difficulty)
        write_png(Path(images_folder) / name, image)
        write_png(Path(labels_folder) / name, label)
