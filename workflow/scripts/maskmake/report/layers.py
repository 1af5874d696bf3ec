"""The full pictures of test images, which the viewer of the page shows as layers."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from maskmake.data.images import read_pixels
from maskmake.data.labels import IGNORED, where_labelled
from maskmake.data.object_class import ObjectName
from maskmake.data.pixel_store import PixelStore, open_images, open_labels
from maskmake.data.tables import read_index
from maskmake.pages.browser import Layer, jpeg_uri
from maskmake.pages.pictures import (
    OUTLINE,
    Colour,
    grey_levels,
    grey_range,
    outlined_thumbnail,
)
from maskmake.pages.tiles import LARGEST_FILE, row_bands, write_full_picture
from maskmake.report.pictures import FALSE, MISSED, sampled
from maskmake.runtime.files import atomic_folder
from maskmake.runtime.processes import map_in_order

IMAGE, LABEL, PROBABILITY, MASK, ERRORS = "image", "label", "probability", "mask", "errors"
TITLES = {IMAGE: "Image", LABEL: "Label", PROBABILITY: "Probability", MASK: "Mask"}
TITLES |= {ERRORS: "Errors"}

LABEL_COLOUR = (240, 228, 66)  # yellow of Okabe and Ito
IGNORED_COLOUR = (128, 128, 128)

# What the values 1, 2 ... of a layer mean, and their colours.
LEGENDS: dict[str, list[tuple[str, Colour]]] = {
    LABEL: [("ignored", IGNORED_COLOUR), ("foreground", LABEL_COLOUR)],
    MASK: [("foreground", OUTLINE)],
    ERRORS: [("missed", MISSED), ("false", FALSE)],
}

BATCH = 16  # images that a process is given at once
# To start a process takes as long as some 200 images of 256 x 256 pixels.
FEW = 200


class Sources(NamedTuple):
    """Paths of what the pictures are made from: the pixel store, and the folders of each run."""

    images: str
    labels: str
    table: str  # index.csv
    runs: dict[str, dict[str, Path]]
    objects: ObjectName


class Look(NamedTuple):
    """What is kept of a test image for the page.

    Attributes:
        thumbnail: a ``data:`` address.
        size: width and height of the thumbnail.
        objects: in the label, and in the mask of each run.
        area, border: pixels of the objects of the label, and those of them that touch the other
            class.
    """

    thumbnail: str
    size: tuple[int, int]
    objects: dict[str, int]
    area: int
    border: int


def layers(runs: Sequence[str]) -> list[Layer]:
    """What the viewer shows: the lowest layer first."""
    return [
        Layer(TITLES[IMAGE], IMAGE, ".jpg"),
        Layer(TITLES[LABEL], LABEL, ".png", shown=False, legend=LEGENDS[LABEL]),
        *(
            Layer(
                TITLES[kind],
                f"{kind}-{run}",
                ".jpg" if kind == PROBABILITY else ".png",
                run,
                shown=kind == ERRORS,
                legend=LEGENDS.get(kind, ()),
            )
            for run in runs
            for kind in (PROBABILITY, MASK, ERRORS)
        ),
    ]


def write_layers(
    folder: str | Path, sources: Sources, ids: Sequence[str], side: int, processes: int
) -> Iterator[Look]:
    """Write the pictures of the test images, and give what the page needs of each, in order.

    Args:
        folder: is there once all are written.
        sources: what they are made from.
        ids: of the images.
        side: longer side of the thumbnails.
        processes: that work at once.

    Raises:
        UserError: a picture cannot be decoded.
    """
    with atomic_folder(folder) as unfinished:
        for layer in layers(list(sources.runs)):
            (unfinished / layer.folder).mkdir()
        work = partial(_write, sources=sources, folder=unfinished, side=side)
        yield from map_in_order(work, ids, processes if len(ids) > FEW else 1, BATCH)


@cache
def _stores(images: str, labels: str, index: str) -> tuple[PixelStore, PixelStore]:
    """Opened once in each process."""
    table: pd.DataFrame = read_index(index)
    return open_images(images, table), open_labels(labels, table)


def _write(image_id: str, sources: Sources, folder: Path, side: int) -> Look:
    images, labels = _stores(str(sources.images), str(sources.labels), str(sources.table))
    image, label = images[image_id], np.asarray(labels[image_id])
    bands = row_bands(*label.shape)
    seen = sampled(image, LARGEST_FILE)
    ends = grey_range(seen)

    picture = grey_levels(seen, ends)
    large = (grey_levels(np.asarray(image[band]), ends) for band in bands)

    def write(layer: str, kind: str, parts: Iterable[np.ndarray]) -> None:
        # Where there are no colours, JPEG: half the bytes of PNG, in an eighth of the time.
        colours = [colour for _, colour in LEGENDS.get(kind, [])] or None
        write_full_picture(folder / layer / image_id, label.shape, parts, colours)

    write(IMAGE, IMAGE, [picture] if len(bands) == 1 else large)
    # The foreground is the higher value, which stays in a lower resolution.
    kinds = (_kinds(label[band] == IGNORED, label[band] == 1) for band in bands)
    write(LABEL, LABEL, kinds)
    objects = {LABEL: _count(label, sources.objects)}
    first = None
    for run, paths in sources.runs.items():
        mask = read_pixels(paths["masks"] / f"{image_id}.png") > 0
        probability = read_pixels(paths["probability"] / f"{image_id}.png")
        write(f"{PROBABILITY}-{run}", PROBABILITY, (probability[band] for band in bands))
        write(f"{MASK}-{run}", MASK, (mask[band].view(np.uint8) for band in bands))
        kinds = (
            _kinds(~mask[band] & (label[band] == 1), mask[band] & (label[band] == 0))
            for band in bands
        )
        write(f"{ERRORS}-{run}", ERRORS, kinds)
        objects[run] = _count(where_labelled(mask, label), sources.objects)
        first = sampled(mask, LARGEST_FILE) if first is None else first
    small = outlined_thumbnail(picture, first, side)
    inside = label == (sources.objects == "foreground")
    border = inside & ~ndimage.binary_erosion(inside, border_value=1)
    size = (small.shape[1], small.shape[0])
    return Look(jpeg_uri(small), size, objects, int(inside.sum()), int(border.sum()))


def _kinds(ones: np.ndarray, twos: np.ndarray) -> np.ndarray:
    """``uint8``, 1 and 2 where either is true, and else 0."""
    return ones.view(np.uint8) + 2 * twos.view(np.uint8)


def _count(label: np.ndarray, objects: ObjectName) -> int:
    return ndimage.label(label == (objects == "foreground"))[1]
