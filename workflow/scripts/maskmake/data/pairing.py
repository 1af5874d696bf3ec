"""Which image belongs to which label, and what is wrong with their names and folders."""

import re
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maskmake.data.folders import IMAGE_SUFFIXES, ROLES, list_dataset, natural_key
from maskmake.runtime.errors import UserError

# One image each to train on, to learn the threshold on and to score.
MIN_PAIRS = 3

SECONDS_FOR_GROUP = 1  # a sound expression takes microseconds


@dataclass(frozen=True)
class Pair:
    """An image and its label; ``role`` is the sub-folder of both, empty if they lie in none."""

    id: str
    role: str
    image: Path
    label: Path


def list_folder(
    folder: Path, key: str, faults: list[str], warnings: list[str]
) -> dict[tuple[str, str], Path]:
    """Files of a folder and of its role sub-folders, by role and stem."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        faults.append(
            f"{folder}: {found}; expected the folder of {key}; fix dataset.{key}, which is "
            f"relative to {Path.cwd()}."
        )
        return {}
    files: dict[tuple[str, str], Path] = {}
    for path in list_dataset(folder):
        role = "" if path.parent == folder else path.parent.name
        earlier = files.setdefault((role, path.stem), path)
        if earlier != path:
            faults.append(
                f"{path}: has the same stem as {earlier.name}; expected one file for "
                f"'{path.stem}'; remove one of them."
            )
    left_out = _describe_left_out(folder)
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    if not files:
        faults.append(
            f"{folder}: no image files (found {left_out or 'nothing'}); expected files of the "
            f"types {suffixes}, here or in sub-folders named {', '.join(ROLES)}."
        )
    elif left_out:
        warnings.append(f"{folder}: {left_out} left out; only {suffixes} files are read.")
    return files


def _describe_left_out(folder: Path) -> str:
    """What a folder holds besides image files and role sub-folders, as a phrase."""
    role_folders = [folder / role for role in ROLES]
    places = [folder, *filter(Path.is_dir, role_folders)]
    entries = [p for place in places for p in place.iterdir() if not p.name.startswith(".")]
    folders = sorted(p for p in entries if p.is_dir() and p not in role_folders)
    suffixes = Counter(p.suffix.lower() for p in entries if p.is_file())
    return ", ".join(
        [f"sub-folder {path.name}" for path in folders]
        + [
            f"{count} {suffix or 'suffixless'} file{'s' if count > 1 else ''}"
            for suffix, count in sorted(suffixes.items())
            if suffix not in IMAGE_SUFFIXES
        ]
    )


def pair_up(
    images: dict[tuple[str, str], Path],
    labels: dict[tuple[str, str], Path],
    image_folder: Path,
    label_folder: Path,
    faults: list[str],
) -> list[Pair]:
    """Images with their labels, in natural order of the ids, each id once."""
    if len(images) == len(labels) == 1:  # two stacks, say, such as train-volume and train-labels
        ((role, stem), image), label = next(iter(images.items())), next(iter(labels.values()))
        return [Pair(stem, role, image, label)]
    common = images.keys() & labels.keys()
    if not common:
        faults.append(
            f"{label_folder}: no label has the sub-folder and stem of an image (images such as "
            f"{next(iter(images.values()))}, labels such as {next(iter(labels.values()))}); "
            "rename the labels after the images."
        )
        return []
    faults.extend(_unpaired(images, common, "image", "label", label_folder))
    faults.extend(_unpaired(labels, common, "label", "image", image_folder))
    pairs: dict[str, Pair] = {}
    for role, stem in sorted(common, key=lambda key: (natural_key(key[1]), key[0])):
        pair = Pair(stem, role, images[role, stem], labels[role, stem])
        earlier = pairs.setdefault(stem, pair)
        if earlier is not pair:
            faults.append(
                f"{pair.image}: has the same stem as {earlier.image}; expected stems that are "
                "unique over all sub-folders, since results are named after them; rename one, and "
                "its label."
            )
    return list(pairs.values())


def _unpaired(
    files: dict[tuple[str, str], Path],
    common: Iterable[tuple[str, str]],
    kind: str,
    other: str,
    other_folder: Path,
) -> Iterator[str]:
    for role, stem in sorted(files.keys() - common, key=lambda key: natural_key(key[1])):
        yield (
            f"{files[role, stem]}: {kind} without {other}; expected {other_folder / role / stem} "
            f"with the suffix of an image file; add the {other} or remove the {kind}."
        )


def group_of(pair: Pair, groups: str | None, faults: list[str]) -> str:
    """What the regular expression finds in the id of a pair; the id itself if it finds nothing.

    Raises:
        UserError: the expression takes too long.
    """
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
