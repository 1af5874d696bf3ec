"""What a folder of images and labels holds, and a configuration for it."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice, permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maskmake.data.folded import counted
from maskmake.data.folders import is_image, role_of
from maskmake.data.label_facts import LabelFacts, label_facts
from maskmake.data.label_files import LabelFile
from maskmake.data.label_meaning import propose_foreground
from maskmake.data.label_names import split_files
from maskmake.data.label_values import colour_name, packed
from maskmake.data.layouts import is_pattern, list_both, path_advice
from maskmake.data.pair_pixels import PairedImage, open_pair
from maskmake.data.pair_table import NEEDED
from maskmake.data.pairing import Pair, find_pairs
from maskmake.runtime.errors import UserError, printable
from maskmake.runtime.gpus import visible_gpus

MOST_FILES = 50_000  # that are looked at
MOST_PLACES = 8
SHOWN = 5  # images and labels that are read
FEW_NAMES = 6  # file names that return in every folder of a sample
# So few pairs that a validation part costs much of them, and enough to be divided by three.
FEW_PAIRS = range(10, 101)

LABEL = re.compile(r"mask|label|seg|truth|annot|target|(?<![a-z])gt(?![a-z])", re.IGNORECASE)
IMAGE = re.compile(r"image|img|raw|input|photo|(?<![a-z])im(?![a-z])", re.IGNORECASE)
GUESS = "a guess from the values of the labels: check it by the outlines in the audit"
ENDING = re.compile(r"[_.\- ][A-Za-z]*(?:mask|label|seg|truth|annot|target|gt)[A-Za-z_]*$", re.I)
BEGINNING = re.compile(
    r"^[A-Za-z_]*(?:mask|label|seg|truth|annot|target|gt)[A-Za-z]*(?:[_.\- ]|(?=\d))", re.I
)


class Choice(NamedTuple):
    """Where the images and labels of a folder are.

    Attributes:
        settings: keys and values of the section ``dataset``.
        pairs: found there.
        faults: of their names, one sentence each.
        others: image files elsewhere below the folder.
    """

    settings: dict[str, str | int]
    pairs: list[Pair]
    faults: list[str]
    others: list[Path]


def look_at(folder: str | Path) -> Choice | None:
    """Find the images and the labels in a folder; None if nothing there belongs together.

    Raises:
        UserError: there is no such folder, or it has no image.
    """
    if not Path(folder).is_dir():
        raise UserError(
            f"{folder}: no such folder; expected one with images and labels{path_advice(folder)}."
        )
    choices = [_choice(table=str(path)) for path in _tables(Path(folder))]
    files: dict[tuple[str, ...], list[str]] = {}
    if not choices:
        files = _image_files(Path(folder))
        places = _places(Path(folder), files)
        if not places:
            raise UserError(
                f"{folder}: no image file at any depth; expected PNG, TIFF, JPEG or BMP files."
            )
        choices = [
            _choice(images=images, labels=labels)
            for images, labels in permutations(places[:MOST_PLACES], 2)
        ]
    choices = [choice for choice in choices if choice.pairs]
    best = max(choices, key=_likelihood, default=None)
    if best is not None and files:
        best = best._replace(others=_others(best, Path(folder), files))
    looks = {} if best is None else _looks(best)
    if best is None or not looks or (foreground := propose_foreground(looks)) is None:
        return best
    return best._replace(settings={**best.settings, "foreground": foreground})


def _looks(choice: Choice) -> dict[str, LabelFacts]:
    """What the first labels look like; those that cannot be read are left out."""
    looks = {}
    for pair in choice.pairs[:SHOWN]:
        with suppress(UserError):
            looks[str(pair.label)] = label_facts(_middle(pair)[0].read_label(), None)
    return looks


def _middle(pair: Pair) -> tuple[PairedImage, int]:
    """The image of a pair, of stacks one in the middle, and how many there are.

    The first image of a stack is often empty.
    """
    parts = open_pair(pair.id, pair.image, pair.label, None)
    return parts[len(parts) // 2], len(parts)


def _choice(**settings: str) -> Choice:
    faults: list[str] = []
    pairs = find_pairs(
        settings.get("images", ""), settings.get("labels", ""), settings.get("table"), faults, []
    )
    return Choice({**settings}, pairs, faults, [])


def _others(choice: Choice, folder: Path, files: Mapping[tuple[str, ...], list[str]]) -> list[Path]:
    """Image files that are neither among the images nor among the labels of a choice."""
    images, labels = list_both(str(choice.settings["images"]), str(choice.settings["labels"]))
    listed = {*images, *labels}
    there = (Path(folder, *parts, name) for parts, names in files.items() for name in names)
    return [path for path in there if path not in listed]


def _likelihood(choice: Choice) -> tuple:
    names = str(choice.settings.get("images", "")), str(choice.settings.get("labels", ""))
    words = [bool(LABEL.search(names[1])), not LABEL.search(names[0]), bool(IMAGE.search(names[0]))]
    return len(choice.pairs) - len(choice.faults), sum(words), -_values(choice.pairs[0])


def _values(pair: Pair) -> int:
    try:
        return len(_stored_values(_middle(pair)[0].read_label()))
    except UserError:
        return 2**16


def _stored_values(label: LabelFile) -> np.ndarray:
    """The values of a label; of one of colours a number for each, as ``colour_name`` takes it."""
    return np.unique(packed(label.values))


def _tables(folder: Path) -> list[Path]:
    found = []
    for path in sorted(filter(Path.is_file, folder.glob("*.csv"))):
        with path.open(encoding="utf-8", errors="replace") as file:
            line = file.readline().lstrip("\ufeff")
            line = file.readline() if line.startswith("sep=") else line
            header = re.split(r"[,;\t]", line.strip().lower())
        if set(NEEDED) <= {name.strip(' "') for name in header}:
            found.append(path)
    return found


# --- places -----------------------------------------------------------------------------------


def _image_files(folder: Path) -> dict[tuple[str, ...], list[str]]:
    """Names of the images in each folder below one, by its path in it."""
    return {parts: names for parts, names in islice(_walk(folder), MOST_FILES) if names}


def _places(folder: Path, files: dict[tuple[str, ...], list[str]]) -> list[str]:
    """Folders and patterns that may be the images or the labels, those of most files first."""
    general = _generalized(files)
    merged: dict[tuple[str, ...], list[list[str]]] = {}
    for parts, names in files.items():
        merged.setdefault(general[parts], []).append(names)
    places: Counter[str] = Counter()
    for parts, lists in merged.items():
        for place in _places_of(folder, parts, lists):
            places[place] += sum(map(len, lists))
    return [place for place, _ in places.most_common()]


def _walk(folder: Path) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The path of each folder in one, and the names of its images; hidden ones are left out.

    Links are followed, and a folder to which several lead is walked once.
    """
    walked: set[Path] = set()
    for top, inner, names in os.walk(folder, followlinks=True):
        place = Path(top).resolve()
        if place in walked:
            inner.clear()
            continue
        walked.add(place)
        inner[:] = sorted(name for name in inner if name[0] != ".")
        images = sorted(name for name in names if is_image(name) and name[0] != ".")
        yield Path(top).relative_to(folder).parts, images


def _generalized(
    files: Mapping[tuple[str, ...], list[str]],
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """For each folder its path, with ``*`` for names of samples, of classes and of roles."""
    found = {parts: parts for parts in files}
    for depth in range(max(map(len, files), default=0)):
        starred: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for parts, path in found.items():
            if len(parts) > depth:
                starred.setdefault((*path[:depth], "*", *path[depth + 1 :]), []).append(parts)
        names_of = {star: {parts[depth] for parts in starred[star]} for star in starred}
        for star, members in starred.items():
            names = names_of[star]
            plain = not any(LABEL.search(name) or IMAGE.search(name) for name in names)
            # Two folders may as well be the images and the labels.
            alike = [other for other in starred if names_of[other] == names]
            samples = (
                len(names) > 2
                or (len(alike) > 1 and any(LABEL.search(part) for path in alike for part in path))
                or all(_label_names(files[parts]) for parts in members)
            )
            if len(names) > 1 and ((plain and samples) or all(map(role_of, names))):
                found |= dict.fromkeys(members, star)
    return found


def _label_names(names: list[str]) -> list[str]:
    """Patterns for the names of labels that lie among their images; none if there are none."""
    stems = [Path(name).stem for name in names]
    endings = {match[0] for stem in stems if (match := ENDING.search(stem))}
    if endings and not all(stem.endswith(tuple(endings)) for stem in stems):
        return [f"*{glob.escape(ending)}" for ending in sorted(endings)]
    starts = {match[0] for stem in stems if (match := BEGINNING.match(stem))}
    if starts and not all(stem.startswith(tuple(starts)) for stem in stems):
        return [f"{glob.escape(start)}*" for start in sorted(starts)]
    return []


def _places_of(folder: Path, parts: tuple[str, ...], lists: list[list[str]]) -> list[str]:
    """A folder or patterns for files that lie in folders of one kind."""
    names = Counter(name for listed in lists for name in listed)
    suffixes = {Path(name).suffix.lower() for name in names}
    suffix = suffixes.pop() if len(suffixes) == 1 else ""
    in_samples = "*" in parts
    escaped = [part if part == "*" else glob.escape(part) for part in parts]
    inside = Path(glob.escape(str(folder)), *escaped)
    return_everywhere = 2 * min(names.values()) > len(lists) and len(names) <= FEW_NAMES
    everything = str(inside / f"*{suffix}") if in_samples else str(Path(folder, *parts))
    if in_samples and len(lists) > 1 and return_everywhere:
        # Classes may have few names, too, each of which is an image.
        return [everything, *(str(inside / glob.escape(name)) for name in names)]
    if labels := _label_names(list(names)):
        patterns = [f"*{suffix}", *(f"{label}{suffix or '.*'}" for label in labels)]
        return [str(inside / pattern) for pattern in patterns]
    if len({Path(name).stem for name in names}) == len(names):
        return [everything]
    # Of one name with two suffixes, one is the image and the other the label.
    return [*(str(inside / f"*{each}") for each in sorted(suffixes)), everything]


# --- the configuration ------------------------------------------------------------------------


def describe(choice: Choice) -> list[str]:
    """What was found, one line each: how many pairs, formats, sizes, types and label values."""
    lines = [
        f"{key}: {value}{f' ({GUESS})' if key == 'foreground' else ''}"
        for key, value in choice.settings.items()
    ]
    files = counted(len(choice.pairs), "image file")
    lines.append(f"{files} with labels, such as {choice.pairs[0].image}")
    roles = Counter(pair.role for pair in choice.pairs if pair.role)
    if roles:
        lines.append("roles: " + ", ".join(f"{count} {role}" for role, count in roles.items()))
    images, values = set(), set()
    for pair in choice.pairs[:SHOWN]:
        try:
            part, count = _middle(pair)
            pixels = part.read_image()
            kind = "grey" if pixels.ndim == 2 else f"{pixels.shape[2]} channels"
            size = f"{pixels.shape[0]} x {pixels.shape[1]}"
            file = pair.image.suffix + (f", {count} in a file" if count > 1 else "")
            images.add(f"{size} pixels, {kind}, {pixels.dtype} ({file})")
            label = part.read_label()
            colours = label.values.ndim == 3
            values |= {(colours, value) for value in _stored_values(label).tolist()}
        except UserError as error:
            lines.append(f"missing: {error}")
    lines += [f"image: {text}" for text in sorted(images)]
    if values:
        shown = [colour_name(value) if colour else str(value) for colour, value in sorted(values)]
        some = ", ".join(shown[:FEW_NAMES])
        more = f" and {len(values) - FEW_NAMES} more" if len(values) > FEW_NAMES else ""
        lines.append(f"values of the labels: {some}{more}")
    if choice.others:
        others = counted(len(choice.others), "other image file")
        lines.append(f"left out: {others}, such as {choice.others[0]}")
    return [*lines, *(f"missing: {fault}" for fault in choice.faults)]


def configuration(choice: Choice, name: str, found: list[str]) -> str:
    """The text of a configuration file.

    Args:
        choice: where the images and labels are.
        name: of the data set.
        found: lines of ``describe``, which become comments.
    """
    comments = "".join(f"# {' '.join(printable(line).splitlines())}\n" for line in found)
    settings = "".join(
        f"  {key}: {_quoted(value)}{f'  # {GUESS}' if key == 'foreground' else ''}\n"
        for key, value in choice.settings.items()
    )
    roles = any(pair.role for pair in choice.pairs)
    objects = is_pattern(str(choice.settings.get("labels", ""))) and any(
        len(split_files(str(pair.label))) > 1 for pair in choice.pairs
    )
    return (
        f"# Written by make new. What was found:\n{comments}"
        "# Check it:  ./maskmake validate THIS_FILE\n"
        "# Run all:   ./maskmake THIS_FILE\n"
        f"dataset:\n  name: {_quoted(name)}  # results go to results/<name>\n{settings}"
        + ("  # Each label is made of several files, one for each object.\n" if objects else "")
        + "# Every other setting has a default: see docs/configuration.md.\n"
        + ("# split: {method: folders}  # train, validation and test as the folders say\n" * roles)
        + ("" if roles else _folds(len(choice.pairs)))
        + "# train: {preset: standard}  # longer than auto takes without a GPU\n"
        "# segment: {images: data/new}  # masks of images without labels\n"
    )


def _folds(pairs: int) -> str:
    """A line for three networks whose logits are averaged: on where a GPU makes them cheap."""
    if pairs not in FEW_PAIRS:
        return ""
    line = "split: {folds: 3}  # each image is validated once; three networks, averaged\n"
    return line if visible_gpus() else f"# {line}"


def _quoted(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
