"""Reading the pairs of a data set for its audit: what each looks like, and what is wrong."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from maskmake.data.image_samples import is_grey
from maskmake.data.images import ImageFile
from maskmake.data.label_facts import LabelFacts, label_facts
from maskmake.data.label_faults import name_labels
from maskmake.data.label_files import LabelFile
from maskmake.data.label_ignored import Ignore, ignored_pixels, ignored_text, without_ignored
from maskmake.data.label_names import describe_files
from maskmake.data.object_masks import sum_of_files
from maskmake.data.pair_facts import PairFacts, likely_mask, pair_facts
from maskmake.data.pair_pixels import PairedImage, open_pair
from maskmake.data.pairing import Pair
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256
from maskmake.runtime.processes import map_in_order

Pixels = TypeVar("Pixels", np.ndarray, LabelFile)

NOTHING_LABELLED = (
    "no pixel is labelled, all are ignored; expected some that count; remove the pair, or correct "
    "dataset.ignore."
)

PROCESS_BYTES = 2**24  # of images, for which another process takes less time than it saves


class Reading(NamedTuple):
    """The settings by which files are read: see ``audit_dataset``."""

    channels: list[int] | None
    ignore: Ignore
    foreground: str | int | list[str | int]


class _Look(NamedTuple):
    """What the images of one pair look like, and what is wrong with its files."""

    rows: list[dict]
    labels: dict[str, LabelFacts]
    facts: dict[str, PairFacts]
    faults: list[str]
    unreadable: dict[str, list[str]]


def read_pairs(
    pairs: list[Pair], reading: Reading, processes: int, faults: list[str]
) -> tuple[list[dict], dict[str, LabelFacts], dict[str, PairFacts], dict[str, list[str]]]:
    """Read all pairs.

    Returns:
        Manifest rows; what each readable label looks like; what each readable pair looks like, by
        its id; all files of a fault that several have alike, by its sentence.
    """
    rows: list[dict] = []
    labels: dict[str, LabelFacts] = {}
    pair_looks: dict[str, PairFacts] = {}
    unreadable: dict[str, list[str]] = {}
    work = sum(Path(pair.image).stat().st_size for pair in pairs if Path(pair.image).is_file())
    useful = min(processes, len(pairs), 1 + work // PROCESS_BYTES)
    looks = map_in_order(partial(_look_at, reading=reading), pairs, useful)
    for look in looks:
        faults.extend(look.faults)
        for fault, paths in look.unreadable.items():
            unreadable.setdefault(fault, []).extend(paths)
        labels |= look.labels
        rows += look.rows
        pair_looks |= look.facts
    files: dict[str, list[str]] = {}
    for fault, paths in unreadable.items():
        faults.append(f"{name_labels(paths, 'file')}: {fault}" if paths else fault)
        if len(paths) > 1:
            files[faults[-1]] = paths
    return rows, labels, pair_looks, files


def _look_at(pair: Pair, reading: Reading) -> _Look:
    """Read one pair of files."""
    seen = _Look([], {}, {}, [], {})
    sums: dict[str, str] = {}
    for part in _open(pair, reading.channels, seen.faults):
        image = _read(part.read_image, pair.image, seen.unreadable)
        label = _read(part.read_label, pair.label, seen.unreadable)
        if label is None:
            continue
        text = ignored_text(reading.ignore, label)
        look = label_facts(label, image, text)
        named = page_name(pair.label, part.page)
        if not look.pixels:
            seen.unreadable.setdefault(NOTHING_LABELLED, []).append(named)
            continue
        seen.labels[named] = look
        if image is None:
            continue
        if image.shape[:2] != label.shape[:2]:
            seen.faults.append(
                f"{_described(pair.label, part.page)}: {_size(label)} pixels (height x width), but "
                f"{pair.image} has {_size(image)}; expected equal sizes; export the label at the "
                "size of the image."
            )
        sums = sums or {
            "sha256_image": sha256(pair.image),
            "sha256_label": sum_of_files(pair.label),
        }
        seen.rows.append({**_row(pair, part, image, look), "label_ignored": text, **sums})
        values = without_ignored(label, ignored_pixels(label, text))
        seen.facts[part.id] = pair_facts(image, likely_mask(values, look, reading.foreground))
    return seen


def _open(pair: Pair, channels: list[int] | None, faults: list[str]) -> list[PairedImage]:
    try:
        return open_pair(pair.id, pair.image, pair.label, channels)
    except UserError as error:
        faults.append(str(error))
        return []


def page_name(label: str | Path, page: int | None) -> str:
    return str(label) if page is None else f"{label}, page {page}"


def _described(label: str | Path, page: int | None) -> str:
    return page_name(describe_files(label), page)


def _read(
    reader: Callable[[], Pixels], path: str | Path, unreadable: dict[str, list[str]]
) -> Pixels | None:
    """The pixels, or None; equal faults of several files are collected under one sentence."""
    try:
        return reader()
    except UserError as error:
        fault, start = str(error), f"{path}: "
        named = unreadable.setdefault(fault.removeprefix(start), [])
        if fault.startswith(start):
            named.append(str(path))
        return None


def _size(pixels: np.ndarray | LabelFile) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


def _row(pair: Pair, part: PairedImage, image: np.ndarray, label: LabelFacts) -> dict:
    assert isinstance(part.image, ImageFile)  # its pixels were read
    return {
        "id": part.id,
        "pair": pair.id,
        "image": str(pair.image),
        "label": str(pair.label),
        "page": part.page,
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": 1 if is_grey(image) else image.shape[2],
        "dtype": part.image.file_dtype.name,
        "minimum": float(image.min()),
        "maximum": float(image.max()),
        "turned": part.image.turned,
        "transparent": "transparent" in part.image.notes,
        "label_maximum": int(label.histogram.values[-1]),
        "ignored": label.ignored / (label.ignored + label.pixels),
        "role": pair.role,
    }
