"""Which files a folder, a pattern or a list names, and what is an id in their paths.

Read by the Snakefile, so only the standard library.
"""

import fnmatch
import glob
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from maskmake.data.folders import (
    is_image,
    list_dataset,
    list_images,
    natural_key,
    role_of,
)

# A wildcard in brackets stands for itself, as glob.escape writes it.
ESCAPED = re.compile(r"\[([*?[])\]")
WILDCARD = re.compile(r"(\*\*/|\*|\?|(?<!\[)\[(?![*?[]\])!?\]?[^\]]*\])+")
SUFFIX = re.compile(r"\.[A-Za-z0-9]+$")


class Found(NamedTuple):
    """A file of a data set.

    Attributes:
        path: of the file.
        parts: what an image shares with its label: the stem, or what the wildcards of a pattern
            stand for; in the Unicode form NFC.
        role: train, validation or test, by a folder in the path; empty for none.
    """

    path: Path
    parts: tuple[str, ...]
    role: str


def is_pattern(place: str | Path) -> bool:
    """Whether a path has wildcards (``*``, ``?``, ``[...]``) and is not itself there."""
    return glob.has_magic(str(place)) and not os.path.lexists(place)


def path_advice(place: str | Path) -> str:
    """What to write in place of a path as other systems write it, as the end of a sentence."""
    text = str(place)
    if any(ord(letter) < ord(" ") for letter in text):
        return "; write / between folders, since \\ changes what follows it in double quotes"
    if re.match(r"[A-Za-z]:[\\/]", text):
        return "; write it as Linux does, in WSL as wslpath prints it"
    if "\\" in text:
        return "; write / between folders, not \\"
    if text.startswith("~"):
        return f"; write the home folder in full, {os.path.expanduser(text)}"  # noqa: PTH111
    return ""


def matches(pattern: str | Path) -> list[str]:
    """Every path that matches a pattern."""
    # Path.glob wants the folder without wildcards apart from the rest.
    return glob.glob(str(pattern), recursive=True)  # noqa: PTH207


def list_pattern(pattern: str | Path) -> list[Path]:
    """Image files that match a pattern, in natural order; ``**`` stands for folders of any depth.

    The suffix may have small or capital letters. Links to nothing are listed too, as
    ``list_images`` does.
    """
    any_case = SUFFIX.sub(_any_case, str(pattern))
    images = map(Path, filter(is_image, sorted(matches(any_case), key=natural_key)))
    return [path for path in images if not path.is_dir()]


def _any_case(suffix: re.Match) -> str:
    return re.sub("[A-Za-z]", lambda found: f"[{found[0].lower()}{found[0].upper()}]", suffix[0])


def list_files(place: str | Path) -> list[Path]:
    """Image files that a folder, with its sub-folders of roles, or a pattern names."""
    return list_pattern(place) if is_pattern(place) else list_dataset(place)


def list_both(images: str | Path, labels: str | Path) -> tuple[list[Path], list[Path]]:
    """The files of images and of labels, each as ``list_files`` gives them.

    Where both lie in one folder, the narrower pattern takes its files from the wider one:
    ``data/*.png`` beside ``data/*_mask.png`` has no masks.
    """
    of_images, of_labels = list_files(images), list_files(labels)
    if is_pattern(images) or is_pattern(labels):
        image_set, label_set = set(of_images), set(of_labels)
        if label_set < image_set:
            of_images = [path for path in of_images if path not in label_set]
        elif image_set < label_set:
            of_labels = [path for path in of_labels if path not in image_set]
    return of_images, of_labels


def find_parts(place: str | Path, files: Sequence[Path]) -> list[Found]:
    """What each of some files of a folder or pattern shares with its image or label."""
    if not is_pattern(place):
        folder = Path(place)
        return [
            Found(
                path, (nfc(path.stem),), "" if path.parent == folder else role_of(path.parent.name)
            )
            for path in files
        ]
    matcher = _matcher(str(Path(place)))
    rows = [tuple(map(nfc, matcher(path))) for path in files]
    columns = list(zip(*rows, strict=True))
    of_roles = [number for number, values in enumerate(columns) if all(map(role_of, values))]
    found = []
    for path, row in zip(files, rows, strict=True):
        role = next((role_of(row[number]) for number in of_roles), "")
        parts = tuple(part for number, part in enumerate(row) if number not in of_roles)
        found.append(Found(path, parts or row, role))
    return found


def _matcher(pattern: str):
    """A function of a path that gives what each run of wildcards stands for.

    The suffix of the file is no part of it: ``*.png`` and ``*`` give the same.
    """
    stem, dot, suffix = pattern.rpartition(".")
    if dot and "/" not in suffix and "]" not in suffix:
        pattern = stem
    expression, position = "", 0
    for wildcard in WILDCARD.finditer(pattern):
        inner = "".join(map(_expression, re.findall(r"\*\*/|\*|\?|\[!?\]?[^\]]*\]", wildcard[0])))
        expression += f"{_literal(pattern[position : wildcard.start()])}({inner})"
        position = wildcard.end()
    expression += _literal(pattern[position:])
    compiled = re.compile(expression, re.DOTALL)

    def parts(path: Path) -> tuple[str, ...]:
        whole = str(path)
        match = compiled.fullmatch(whole[: len(whole) - len(path.suffix)]) or compiled.fullmatch(
            whole
        )
        groups = match.groups() if match else (path.stem,)
        return tuple(group.strip("/").replace("/", "_") for group in groups)

    return parts


def _literal(part: str) -> str:
    return re.escape(ESCAPED.sub(r"\1", part))


def _expression(wildcard: str) -> str:
    if wildcard == "**/":
        return "(?:[^/]+/)*"
    if wildcard.startswith("["):
        return fnmatch.translate(wildcard).removeprefix("(?s:").removesuffix(r")\Z")
    return "[^/]*" if wildcard == "*" else "[^/]"


def nfc(text: str) -> str:
    """A name in one Unicode form: a Mac writes an umlaut as two characters, others as one."""
    return unicodedata.normalize("NFC", text)


def unique_length(rows: Iterable[tuple[str, tuple[str, ...]]]) -> int:
    """How many of the first parts tell images apart.

    Args:
        rows: role and parts of each image.
    """
    rows = list(rows)
    longest = max((len(parts) for _, parts in rows), default=1)
    for length in range(1, longest):
        if len({(role, parts[:length]) for role, parts in rows}) == len(rows):
            return length
    return longest


def join_varying(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """An id for each row of parts of names: those that differ, joined by ``_``.

    Left out are parts that are the same in all rows, and parts that another one contains.
    """
    if len(rows) < 2:
        return ["_".join(row[-1:]) for row in rows]
    columns = [column for column in zip(*rows, strict=True) if len(set(column)) > 1]
    kept = [
        column
        for number, column in enumerate(columns)
        if not any(_contains(other, column, number < place) for place, other in enumerate(columns))
    ]
    for chosen in (kept, columns):
        ids = ["_".join(parts) for parts in zip(*chosen, strict=True)]
        if len(set(ids)) == len(rows):
            return ids
    return ["_".join(row) for row in rows]


def _contains(other: tuple[str, ...], column: tuple[str, ...], is_later: bool) -> bool:
    if other == column:
        return is_later  # of equal ones the last is kept
    return all(part in whole for whole, part in zip(other, column, strict=True))


def ids_of(files: Sequence[Found], place: str | Path) -> list[str]:
    """The id of each image of ``find_parts``, after which its results are named."""
    if not is_pattern(place):
        return [file.parts[0] for file in files]
    ids = join_varying([file.parts for file in files])
    if len(set(ids)) < len(ids) and any(file.role for file in files):
        ids = [f"{file.role}_{id_}" for file, id_ in zip(files, ids, strict=True)]
    return ids


def name_paths(paths: Sequence[str | Path]) -> list[str]:
    """An id for each of several files: the stem, with as many folders as tell them apart."""
    rows = [(*Path(path).parts[:-1], Path(path).stem) for path in paths]
    shortest = min(map(len, rows), default=0)
    for length in range(1, shortest + 1):
        ends = [row[-length:] for row in rows]
        if len(set(ends)) == len(ends):
            return [nfc(id_) for id_ in join_varying(ends)] if length > 1 else [e[0] for e in ends]
    return [row[-1] for row in rows]


def list_new_images(places: str | Sequence[str]) -> dict[str, str]:
    """Id of each image in a folder, a pattern, or a list of files, folders and patterns.

    Returns:
        Ids by path, in natural order within each place. Ids are not unique where paths are not.
    """
    if not isinstance(places, str):
        by_place: dict[Path, Path] = {}
        for path in (path for place in places for path in _list_place(place)):
            by_place.setdefault(path.absolute(), path)  # one that is listed twice is one
        files = list(by_place.values())
        return dict(zip(map(str, files), name_paths(files), strict=True))
    if not is_pattern(places):
        return {str(path): path.stem for path in list_images(places)}
    found = find_parts(places, list_files(places))
    return dict(zip((str(f.path) for f in found), ids_of(found, places), strict=True))


def _list_place(place: str) -> list[Path]:
    if is_pattern(place):
        return list_pattern(place)
    # A file that is missing is listed, so that whoever reads it says so.
    return list_images(place) if Path(place).is_dir() else [Path(place)]
