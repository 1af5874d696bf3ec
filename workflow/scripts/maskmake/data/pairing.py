"""Which image belongs to which label, and what is wrong with their names and folders."""

import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from maskmake.data.affixes import Affixes, find_affixes
from maskmake.data.folded import Sentence
from maskmake.data.folders import IMAGE_SUFFIXES, leads_nowhere, natural_key
from maskmake.data.label_names import describe_files, join_files, split_files
from maskmake.data.layouts import (
    Found,
    find_parts,
    ids_of,
    is_pattern,
    list_both,
    nfc,
    path_advice,
    unique_length,
)
from maskmake.data.pair_table import read_pairs
from maskmake.data.place_checks import (
    describe_left_out,
    folders_of_pattern,
    folders_without,
    name_some,
    suggest_patterns,
)
from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger

FEW = 10  # one image in so many may be a second one in its folder, which is then a fault
NAMED = 3  # of many links in one sentence

SECONDS_FOR_GROUP = 1  # a sound expression takes microseconds


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its label.

    Attributes:
        id: of the image; its results are named after it.
        role: train, validation or test, by a sub-folder or a table; empty for none.
        image: path.
        label: path, or the text of ``join_files`` for several.
        group: from a table; empty without one.
    """

    id: str
    role: str
    image: Path
    label: str | Path
    group: str = ""


Key = tuple[str, tuple[str, ...]]  # role, and what an image shares with its label


class Keyed(NamedTuple):
    """Images and labels by what they share, and which label belongs to which image."""

    images: dict[Key, Found]
    labels: dict[Key, list[Found]]
    label_of: dict[Key, Key]
    affixes: Affixes | None
    doubles: list[tuple[Found, Found]]

    def is_right(self) -> bool:
        """Whether most of them belong together."""
        return 2 * len(self.label_of) > min(len(self.images), len(self.labels))


def find_pairs(
    images: str, labels: str, table: str | None, faults: list[str], warnings: list[str]
) -> list[Pair]:
    """The pairs of a data set, in natural order of the ids, each id once.

    Args:
        images, labels: folders or patterns, see ``layouts``; not used with a table.
        table: see ``pair_table``.
        faults, warnings: to which one sentence for each is added.
    """
    if table is not None:
        return _pairs_of_table(table, faults, warnings)
    image_files, label_files = list_both(images, labels)
    found_images = _check_place(images, "images", image_files, faults, warnings)
    found_labels = _check_place(labels, "labels", label_files, faults, warnings)
    if not found_images or not found_labels:
        return []
    return _pair_up(found_images, found_labels, images, labels, faults, warnings)


def _pairs_of_table(table: str, faults: list[str], warnings: list[str]) -> list[Pair]:
    rows = read_pairs(table, faults, warnings)
    files = [file for row in rows for file in (row.image, *row.labels)]
    faults += _link_faults(table, files)
    pairs = {
        row.id: Pair(row.id, row.role, row.image, join_files(row.labels), row.group)
        for row in rows
        if not any(map(leads_nowhere, (row.image, *row.labels)))
    }
    return list(pairs.values())


# --- what is in a place -----------------------------------------------------------------------


def _check_place(
    place: str, key: str, found: list[Path], faults: list[str], warnings: list[str]
) -> list[Found]:
    """The files of a folder or pattern that are there; faults and warnings for the others."""
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    links = list(found)
    end = f"which is relative to {Path.cwd()}{path_advice(place)}."
    if is_pattern(place):
        links += folders_of_pattern(place)
        empty = folders_without(place, found)
        if not found:
            faults.append(
                f"{place}: no image file matches this pattern of dataset.{key}; expected files of "
                f"the types {suffixes}; fix dataset.{key}, {end}"
            )
        elif empty:
            warnings.append(
                f"{place}: {name_some([f.name for f in empty], 'folder')} without such a file left "
                "out."
            )
    elif not Path(place).is_dir():
        shown = place if place.isprintable() else repr(place)
        found_there = "a file" if Path(place).exists() else "no such folder"
        faults.append(
            f"{shown}: {found_there}; expected the folder of {key}; fix dataset.{key}, {end}"
        )
    else:
        left_out = describe_left_out(Path(place))
        if not found:
            faults.append(
                f"{place}: no image files (found {left_out or 'nothing'}); expected files of the "
                f"types {suffixes}, here or in sub-folders named train, validation (or val) and "
                f"test{suggest_patterns(Path(place), key)}."
            )
        elif left_out:
            warnings.append(f"{place}: {left_out} left out; only {suffixes} files are read.")
    faults += _link_faults(place, links)
    return find_parts(place, [file for file in found if not leads_nowhere(file)])


def _link_faults(place: str, paths: Iterable[Path]) -> Iterator[str]:
    dead = list(dict.fromkeys(path for path in paths if leads_nowhere(path)))
    if dead:
        shown = ", ".join(f"{path} (to {path.readlink()})" for path in dead[:NAMED])
        more = f" and {len(dead) - NAMED} more" if len(dead) > NAMED else ""
        count = f"{len(dead)} links lead" if len(dead) > 1 else "a link leads"
        yield Sentence(
            f"{place}: {count} nowhere: {shown}{more}; expected files that are there; mount the "
            "disk or fetch what the links name, or remove them.",
            dead,
        )


# --- which label belongs to which image -------------------------------------------------------


def _pair_up(
    images: list[Found],
    labels: list[Found],
    image_place: str,
    label_place: str,
    faults: list[str],
    warnings: list[str],
) -> list[Pair]:
    if len(images) == len(labels) == 1:  # two stacks, say, such as train-volume and train-labels
        (image,), (label,) = images, labels
        (id_,) = ids_of(images, image_place)
        return [Pair(id_, image.role or label.role, image.path, str(label.path))]
    keyed = _best_keys(images, labels, is_pattern(label_place))
    faults += _double_faults(keyed.doubles)
    if not keyed.label_of:
        faults.append(
            f"{label_place}: no label has the sub-folder and stem of an image, nor one that "
            f"differs by a constant beginning or end (images such as {images[0].path}, labels such "
            f"as {labels[0].path}); rename the labels after the images, write patterns in "
            "which * stands for what both share, or list the pairs in a table, dataset.table."
        )
        return []
    if keyed.affixes:
        logger.info("Names of labels: %s.", keyed.affixes.describe())
    faults += _unpaired(keyed, image_place, label_place)
    ids = dict(zip((f.path for f in images), ids_of(images, image_place), strict=True))
    rows = [(ids[keyed.images[key].path], *key, key) for key in keyed.label_of]
    pairs: dict[str, Pair] = {}
    for id_, _, _, key in sorted(rows, key=lambda row: (natural_key(row[0]), *row[1:3])):
        image, files = keyed.images[key], keyed.labels[keyed.label_of[key]]
        role = image.role or files[0].role
        pair = Pair(id_, role, image.path, join_files([file.path for file in files]))
        earlier = pairs.setdefault(id_, pair)
        if earlier is not pair:
            faults.append(
                f"{pair.image}: has the same stem as {earlier.image}; expected stems that are "
                "unique over all sub-folders, since results are named after them; rename one, and "
                "its label."
            )
    _report_objects(list(pairs.values()), label_place, warnings)
    return list(pairs.values())


def _report_objects(pairs: list[Pair], label_place: str, warnings: list[str]) -> None:
    """Say that several files are taken for the objects of one label."""
    counts = [len(split_files(pair.label)) for pair in pairs]
    several = [pair for pair, count in zip(pairs, counts, strict=True) if count > 1]
    if not several:
        return
    text = (
        f"{label_place}: {len(several)} of {len(pairs)} labels are made of several files, one for "
        f"each object ({sum(counts)} files in all), such as {describe_files(several[0].label)}"
    )
    if 2 * len(several) > len(pairs):
        logger.info("%s.", text)
    else:
        warnings.append(f"{text}; if one of them is no mask of an object, remove it.")


def _best_keys(images: list[Found], labels: list[Found], several: bool) -> Keyed:
    """Images and labels by the shortest names under which most of them belong together.

    Args:
        images, labels: of a folder or pattern.
        several: whether a label may have several files.
    """
    # Where only one side has sub-folders of roles, they are left out of the comparison.
    roles = [[bool(file.role) for file in files] for files in (images, labels)]
    compared = not ((all(roles[0]) and not any(roles[1])) or (all(roles[1]) and not any(roles[0])))
    length = unique_length((file.role, file.parts) for file in images)
    tried = []
    for number in (length, 0, *range(1, length)):  # 0: the stem alone
        keyed = _by_keys(images, labels, number, compared, several)
        most = {length: len(keyed.doubles), 0: 0}.get(number, len(images) // FEW)
        if keyed.is_right() and len(keyed.doubles) <= most:
            return keyed
        tried.append(keyed)
    return tried[0]


def _by_keys(
    images: list[Found], labels: list[Found], length: int, compared: bool, several: bool
) -> Keyed:
    def key_of(file: Found) -> Key:
        parts = file.parts[:length] if length else (nfc(file.path.stem),)
        return (file.role if compared else "", parts)

    images_by_key: dict[Key, Found] = {}
    labels_by_key: dict[Key, list[Found]] = {}
    doubles = []
    for file in images:
        if (earlier := images_by_key.setdefault(key_of(file), file)) is not file:
            doubles.append((file, earlier))
    for file in labels:
        listed = labels_by_key.setdefault(key_of(file), [])
        if listed and not (several and 0 < length < len(file.parts)):
            doubles.append((file, listed[0]))
        else:
            listed.append(file)
    label_of = {key: key for key in images_by_key if key in labels_by_key}
    keyed = Keyed(images_by_key, labels_by_key, label_of, None, doubles)
    if keyed.is_right():
        return keyed
    names = (
        list(dict.fromkeys(key[1][-1] for key in keys)) for keys in (images_by_key, labels_by_key)
    )
    affixes = find_affixes(*names)
    if affixes is None:
        return keyed
    renamed = {}
    for key in images_by_key:
        label = _renamed(key, affixes)
        if label in labels_by_key:
            renamed[key] = label
    return keyed._replace(label_of=renamed, affixes=affixes)


def _renamed(key: Key, affixes: Affixes | None) -> Key | None:
    """The key of the label of an image; None if the image has not the affixes."""
    role, (*folders, name) = key
    label = affixes.label_of(name) if affixes else name
    return None if label is None else (role, (*folders, label))


def _double_faults(doubles: list[tuple[Found, Found]]) -> Iterator[str]:
    for file, earlier in doubles:
        if nfc(file.path.stem) == nfc(earlier.path.stem):
            same_folder = file.path.parent == earlier.path.parent
            yield (
                f"{file.path}: has the same stem as "
                f"{earlier.path.name if same_folder else earlier.path}; expected one file for "
                f"'{file.path.stem}'; remove one of them."
            )
        else:
            yield (
                f"{file.path}: has the same place among the wildcards as {earlier.path}; expected "
                "one file; remove one of them, or write a pattern that matches only one."
            )


def _unpaired(keyed: Keyed, image_place: str, label_place: str) -> Iterator[str]:
    paired = keyed.label_of.keys(), set(keyed.label_of.values())
    for key in sorted(keyed.images.keys() - paired[0], key=_order):
        wanted = _renamed(key, keyed.affixes)
        yield (
            f"{keyed.images[key].path}: image without label; expected "
            f"{_expected(label_place, wanted or key)}; add the label or remove the image."
        )
    for key in sorted(keyed.labels.keys() - paired[1], key=_order):
        files = join_files([file.path for file in keyed.labels[key]])
        back = keyed.affixes and keyed.affixes.reversed()
        yield (
            f"{describe_files(files)}: label without image; expected "
            f"{_expected(image_place, _renamed(key, back) or key)}; add the image or remove the "
            "label."
        )


def _order(key: Key) -> tuple:
    return [natural_key(part) for part in key[1]], key[0]


def _expected(place: str, key: Key) -> str:
    role, parts = key
    if is_pattern(place):
        named = ", ".join(f"'{part}'" for part in parts)
        return f"a file that matches {place} with {named} for the wildcards"
    return f"{Path(place, role, *parts)} with the suffix of an image file"


def group_of(pair: Pair, groups: str | None, faults: list[str]) -> str:
    """The group of a pair: that of a table, what the regular expression finds in the id, or the id.

    Raises:
        UserError: the expression takes too long.
    """
    if pair.group:
        return pair.group
    if groups is None:
        return pair.id
    try:
        with _time_limit(SECONDS_FOR_GROUP):
            match = re.search(groups, pair.id)
    except TimeoutError:
        raise UserError(
            f"dataset.groups: '{groups}' takes more than {SECONDS_FOR_GROUP} s to search in "
            f"'{pair.id}'; expected an expression without repetitions inside repetitions, such as "
            "(a+)+; simplify it."
        ) from None
    if match is None or match[1] is None:
        faults.append(
            f"{pair.image}: dataset.groups '{groups}' finds no group in '{pair.id}'; rename the "
            "file and its label, or fix the regular expression."
        )
        return pair.id
    return match[1]


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TimeoutError`` after a while; in the main thread, where signals arrive."""

    def stop(*_):
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
