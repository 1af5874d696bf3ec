"""Reading the pairs of a data set for its audit: what each looks like, and what is wrong."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from maskmake.data.folded import about, page_name
from maskmake.data.image_samples import sampled
from maskmake.data.images import ImageFile
from maskmake.data.label_facts import LabelFacts, label_facts
from maskmake.data.label_files import LabelFile
from maskmake.data.label_fit import EdgeMaps, FitSearch, OtherFit, edge_maps
from maskmake.data.label_ignored import Ignore, ignored_text
from maskmake.data.label_names import describe_files
from maskmake.data.object_masks import sum_of_files
from maskmake.data.pair_facts import (
    ImageLook,
    LikelyMask,
    Mask,
    PairFacts,
    image_look,
    is_exchanged,
    pair_facts,
)
from maskmake.data.pair_pictures import SAMPLED, outlined_jpeg, reduced
from maskmake.data.pair_pixels import PairedImage, open_pair
from maskmake.data.pairing import Pair
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256
from maskmake.runtime.processes import map_in_order
from maskmake.runtime.progress import tracked

Found = TypeVar("Found", ImageLook, LabelFile)

NOTHING_LABELLED = (
    "no pixel is labelled, all are ignored; expected some that count; remove the pair, or correct "
    "dataset.ignore."
)

PROCESS_BYTES = 2**24  # of images, for which another process takes less time than it saves
COLUMNS = [
    "id", "pair", "image", "label", "label_name", "page", "height", "width", "channels", "dtype",
    "minimum", "maximum", "turned", "transparent", "no_data", "label_maximum", "ignored", "role",
    "label_ignored", "sha256_image", "sha256_label",
]  # fmt: skip

BATCH, BATCH_BYTES = 32, 2**20  # images that a process is given at once, and their bytes


class Reading(NamedTuple):
    """The settings by which files are read: see ``audit_dataset``."""

    channels: list[int] | None
    ignore: Ignore
    foreground: str | int | list[str | int]


@dataclass(frozen=True)
class ReadPairs:
    """What was found in the files of all pairs.

    Attributes:
        table: ``COLUMNS``, a row for each pair of images.
        labels: what each readable label looks like, by its name, ``label_name`` in the table.
        facts: what each readable pair looks like, by its id.
        exchanged: names of labels that look like an image, and their image like a label.
        fits: images that the label of another pair fits better.
        pictures: of pairs spread evenly over all, at least ``SAMPLED`` if there are so many.
    """

    table: pd.DataFrame
    labels: dict[str, LabelFacts]
    facts: dict[str, PairFacts]
    exchanged: set[str]
    fits: list[OtherFit]
    pictures: dict[str, bytes]


class _Look(NamedTuple):
    """What the images of one pair look like, and what is wrong with its files."""

    rows: list[dict]
    labels: dict[str, LabelFacts]
    facts: dict[str, PairFacts]
    maps: dict[str, EdgeMaps]
    pictures: dict[str, bytes]
    faults: list[str]
    unreadable: dict[str, list[str]]


def read_pairs(pairs: list[Pair], reading: Reading, processes: int, faults: list[str]) -> ReadPairs:
    """Read all pairs."""
    # Lists take a third of the memory of a dictionary for each pair.
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    labels: dict[str, LabelFacts] = {}
    facts: dict[str, PairFacts] = {}
    exchanged: set[str] = set()
    unreadable: dict[str, list[str]] = {}
    sample, fits = _Sample(), FitSearch()
    sharing = _sharing(processes, [pair.image for pair in pairs])
    step = max(1, len(pairs) // SAMPLED)
    tasks = [(pair, number % step == 0) for number, pair in enumerate(pairs)]
    looks = map_in_order(partial(_look_at, reading=reading), tasks, *sharing)
    for look in tracked(looks, "pairs read", len(tasks)):
        faults.extend(look.faults)
        for fault, paths in look.unreadable.items():
            unreadable.setdefault(fault, []).extend(paths)
        labels |= look.labels
        facts |= look.facts
        sample.add(look.pictures)
        for row in look.rows:
            for name, values in columns.items():
                values.append(row[name])
            id, label = row["id"], row["label_name"]
            if is_exchanged(look.facts[id], look.labels[label]):
                exchanged.add(label)
            elif not look.facts[id].constant:
                fits.add(id, (row["height"], row["width"]), look.maps[id])
    for fault, paths in unreadable.items():
        faults.append(about(paths, "file", fault) if paths else fault)
    table = pd.DataFrame(columns)
    return ReadPairs(table, labels, facts, exchanged, fits.found(), sample.kept)


def _sharing(processes: int, images: list[Path]) -> tuple[int, int]:
    """How many processes are worth their start, and how many images each is given at once."""
    work = sum(image.stat().st_size for image in images if image.is_file())
    useful = min(processes, len(images), 1 + work // PROCESS_BYTES)
    return useful, max(1, min(BATCH, len(images) * BATCH_BYTES // max(1, work)))


class _Sample:
    """Keeps every n-th picture, so that there are at most twice as many as the page samples."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self._every, self._count = 1, 0

    def add(self, pictures: dict[str, bytes]) -> None:
        for id, picture in pictures.items():
            if self._count % self._every == 0:
                self.kept[id] = picture
            self._count += 1
            if len(self.kept) == 2 * SAMPLED:
                for other in list(self.kept)[1::2]:
                    del self.kept[other]
                self._every *= 2


def _look_at(task: tuple[Pair, bool], reading: Reading) -> _Look:
    """Read one pair of files, and draw its pictures if they are wanted."""
    pair, drawn = task
    seen = _Look([], {}, {}, {}, {}, [], {})
    sums: dict[str, str] = {}
    for part in _open(pair, reading.channels, seen.faults):
        # The label is as large as the image, of which little is needed.
        image = _read(partial(_image_of, part), pair.image, seen.unreadable)
        label = _read(part.read_label, pair.label, seen.unreadable)
        if label is None:
            continue
        text = ignored_text(reading.ignore, label)
        alike = image is not None and image.size == label.shape[:2]
        look = label_facts(label, image.sample if image and alike else None, text)
        named = page_name(pair.label, part.page)
        if not look.pixels:
            seen.unreadable.setdefault(NOTHING_LABELLED, []).append(named)
            continue
        seen.labels[named] = look
        if image is None:
            continue
        if not alike:
            seen.faults.append(
                f"{page_name(describe_files(pair.label), part.page)}: {_size(label.shape)} pixels "
                f"(height x width), but {page_name(pair.image, part.page)} has "
                f"{_size(image.size)}; expected equal sizes; export the label at the size of the "
                "image."
            )
        sums = sums or {
            "sha256_image": sha256(pair.image),
            "sha256_label": sum_of_files(pair.label),
        }
        row = {"label_name": named, "label_ignored": text, **sums}
        seen.rows.append(row | _row(pair, part, image, look))
        mask = _mask(image, label, text, look, reading)
        seen.facts[part.id] = facts = pair_facts(image, mask)
        seen.maps[part.id] = edge_maps(image.sample, sampled(mask))
        if drawn:
            seen.pictures[part.id] = _picture(image, mask, facts)
    return seen


def _image_of(part: PairedImage) -> ImageLook:
    return image_look(part.read_image())


def _mask(
    image: ImageLook, label: LabelFile, ignored: str, look: LabelFacts, reading: Reading
) -> Mask:
    """Foreground of a label; none if it has another size than the image."""
    if image.size != label.shape[:2]:
        return np.zeros(image.size, bool)
    return LikelyMask(label, ignored, look, reading.foreground)


def _picture(image: ImageLook, mask: Mask, facts: PairFacts) -> bytes:
    return outlined_jpeg(image.reduced, reduced(mask), facts.low, facts.high)


# --- pictures of chosen pairs -----------------------------------------------------------------


class SeenPair(NamedTuple):
    """A row of the manifest, and what was found when its files were read."""

    row: Mapping
    label: LabelFacts
    facts: PairFacts


def read_pictures(seen: Iterable[SeenPair], reading: Reading, processes: int) -> dict[str, bytes]:
    """Read files again to draw a picture of some pairs, by their ids.

    Raises:
        UserError: a file is not what it was when it was read first.
    """
    of_files = [
        list(pairs)
        for _, pairs in groupby(seen, key=lambda pair: (pair.row["image"], pair.row["label"]))
    ]
    sharing = _sharing(processes, [Path(pairs[0].row["image"]) for pairs in of_files])
    pictures: dict[str, bytes] = {}
    for drawn in map_in_order(partial(_draw, reading=reading), of_files, *sharing):
        pictures |= drawn
    return pictures


def _draw(seen: Sequence[SeenPair], reading: Reading) -> dict[str, bytes]:
    """The pictures of pairs whose images are in one file."""
    first = seen[0].row
    parts = open_pair(first["id"], Path(first["image"]), first["label"], reading.channels)
    by_page = {part.page: part for part in parts}
    pictures = {}
    for row, look, facts in seen:
        page = None if pd.isna(row["page"]) else int(row["page"])
        if page not in by_page:
            raise UserError(
                f"{row['image']}: changed while it was audited; expected the file that was read "
                "first; run again when nothing writes to it."
            )
        image, label = _image_of(by_page[page]), by_page[page].read_label()
        mask = _mask(image, label, row["label_ignored"], look, reading)
        pictures[row["id"]] = _picture(image, mask, facts)
    return pictures


# --- files ------------------------------------------------------------------------------------


def _open(pair: Pair, channels: list[int] | None, faults: list[str]) -> list[PairedImage]:
    try:
        return open_pair(pair.id, pair.image, pair.label, channels)
    except UserError as error:
        faults.append(str(error))
        return []


def _read(
    reader: Callable[[], Found], path: str | Path, unreadable: dict[str, list[str]]
) -> Found | None:
    """What is read, or None; equal faults of several files are collected under one sentence."""
    try:
        return reader()
    except UserError as error:
        fault, start = str(error), f"{path}: "
        named = unreadable.setdefault(fault.removeprefix(start), [])
        if fault.startswith(start):
            named.append(str(path))
        return None


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _row(pair: Pair, part: PairedImage, image: ImageLook, label: LabelFacts) -> dict:
    assert isinstance(part.image, ImageFile)  # its pixels were read
    return {
        "id": part.id,
        "pair": pair.id,
        "image": str(pair.image),
        "label": str(pair.label),
        "page": part.page,
        "height": image.size[0],
        "width": image.size[1],
        "channels": image.channels,
        "dtype": part.image.file_dtype.name,
        "minimum": image.minimum,
        "maximum": image.maximum,
        "turned": part.image.turned,
        "transparent": "transparent" in part.image.notes,
        "no_data": next((n[8:] for n in part.image.notes if n.startswith("no data ")), ""),
        "label_maximum": int(label.histogram.values[-1]),
        "ignored": label.ignored / (label.ignored + label.pixels),
        "role": pair.role,
    }
