"""Which images train, which validate, which test: fixed once, by seed, in ``splits.csv``."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
import pandas as pd

from maskmake.data.folders import natural_key
from maskmake.runtime.errors import UserError

# Forms of names may be classes ("benign (#)", "malignant (#)") if nearly all images have one that
# several share; hashes do not.
KIND_IMAGES, KIND_SHARE = 3, 0.9


class FoldIds(NamedTuple):
    """Ids of one fold, each list in the order of ``splits.csv``."""

    train: list[str]
    validation: list[str]
    test: list[str]


class NeighbourLikeness(TypedDict):
    """Mean correlation of the thumbnails of neighbours in name and of other pairs."""

    pairs: int
    neighbours: float
    others: float


class SplitRecord(TypedDict):
    """Contents of ``split.json``.

    Attributes:
        method: block, random, stratified (random, as many of each foreground share),
            folders, or named (test and validation images are).
        reason: one sentence.
        warnings: one sentence each.
        likeness: where it was measured.
    """

    method: str
    reason: str
    warnings: list[str]
    likeness: NotRequired[NeighbourLikeness]


def fold_ids(splits: pd.DataFrame, fold: int) -> FoldIds:
    """Ids that train, validate and test in one fold of the table ``splits.csv``."""
    is_test = splits["role"] == "test"
    in_fold = (splits["fold"] == fold).fillna(False).astype(bool)
    is_validation = ~is_test & in_fold
    parts = (~is_test & ~is_validation, is_validation, is_test)
    return FoldIds(*(splits.loc[part, "id"].tolist() for part in parts))


def fold_of_network(splits: pd.DataFrame, number: int) -> int:
    """The fold of the network of this number; with several seeds a fold has several networks.

    They are numbered seed by seed: each fold once, then each fold again.
    """
    return number % (int(splits["fold"].max()) + 1)


def expand_ids(entries: list[str | int], ids: list[str], key: str) -> list[str]:
    """Ids named by a list of ids and ranges of numbers such as "21-29", both ends included.

    Raises:
        UserError: an entry names no image of the data set.
    """
    found: list[str] = []
    known = set(ids)
    for entry in map(str, entries):
        named = [entry] if entry in known else _in_range(entry, ids, known)
        if not named:
            raise UserError(
                f"{key}: '{entry}' names no image; expected ids or ranges of them, from "
                f"'{ids[0]}' to '{ids[-1]}'; fix the entry."
            )
        found.extend(named)
    return list(dict.fromkeys(found))


def _in_range(entry: str, ids: list[str], known: set[str]) -> list[str]:
    """Ids between the two ends of ``first-last``, in natural order; none if it is no range.

    An end is an id or a number; an id may itself hold a hyphen.
    """
    for cut in (i for i, character in enumerate(entry) if character == "-"):
        first, last = entry[:cut].strip(), entry[cut + 1 :].strip()
        if all(end in known or end.isdecimal() for end in (first, last)):
            low, high = natural_key(first)[0], natural_key(last)[0]
            return [i for i in ids if low <= natural_key(i)[0] <= high]
    return []


class _Pool:
    """What the methods know of the images they draw from.

    Attributes:
        ids: all of them, in natural order.
        unit_of: a number for each id; images with the same one stay together.
        foreground: share of each id; 0 where nothing is labelled.
        kind_of: the form of the name of each id, where such forms could be classes.
    """

    def __init__(self, manifest: pd.DataFrame, units: np.ndarray):
        self.ids: list[str] = manifest["id"].tolist()
        self.unit_of = dict(zip(self.ids, units.tolist(), strict=True))
        shares = manifest["foreground"].astype(float).fillna(0)
        self.foreground = dict(zip(self.ids, shares, strict=True))
        self.kind_of = dict(zip(self.ids, name_kinds(self.ids), strict=True))

    def units(self, ids: list[str]) -> list[list[str]]:
        """The images of each unit, in the order in which units first occur."""
        members: dict[int, list[str]] = {}
        for image_id in ids:
            members.setdefault(self.unit_of[image_id], []).append(image_id)
        return list(members.values())

    def alike_together(self, units: list[list[str]], random) -> list[list[str]]:
        """Units sorted by the form of their names and their foreground, ties at random."""

        def key(place: int):
            unit = units[place]
            share = sum(self.foreground[i] for i in unit) / len(unit)
            return self.kind_of[unit[0]], share

        return [units[place] for place in sorted(random.permutation(len(units)).tolist(), key=key)]


def name_kinds(ids: list[str]) -> list[str]:
    """The form of each name if the names have a few forms, as classes do; else empty texts."""
    forms = pd.Series([name_form(image_id) for image_id in ids], dtype=object)
    counts = forms.map(forms.value_counts())
    frequent = counts >= KIND_IMAGES
    if frequent.mean() < KIND_SHARE:
        return [""] * len(ids)
    return forms.where(frequent, "").tolist()


def name_form(image_id: str) -> str:
    """An id with ``#`` in place of each run of digits; names in a sequence share it."""
    return re.sub(r"\d+", "#", image_id)


def _draw(free: list[str], count: int, method: str, pool: _Pool, random) -> list[str]:
    """About ``count`` of the free ids, in whole units.

    The last ones (block), any (random), or as many of each kind and share of foreground
    (stratified).
    """
    units = pool.units(free)
    if method == "stratified":
        return _draw_stratified(pool.alike_together(units, random), count, random)
    order = range(len(units))[::-1] if method == "block" else random.permutation(len(units))
    drawn: list[str] = []
    for place in order:
        if len(drawn) >= count:
            break
        drawn.extend(units[place])
    return drawn


def _draw_stratified(units: list[list[str]], count: int, random) -> list[str]:
    """One unit of each of ``count`` strata of equal size; none that is larger than what is left."""
    sizes = np.array([len(unit) for unit in units])
    first = np.cumsum(sizes) - sizes
    stratum_of = first * count // max(1, sizes.sum())
    ends = np.searchsorted(stratum_of, np.arange(count + 1))
    drawn: list[str] = []
    for stratum, (start, end) in enumerate(pairwise(ends)):
        fits = start + np.flatnonzero(sizes[start:end] <= count - len(drawn))
        if len(drawn) <= stratum and fits.size:
            drawn.extend(units[random.choice(fits)])
    if not drawn and count and units:
        drawn = units[random.choice(np.flatnonzero(sizes == sizes.min()))]
    return drawn


def _take(part, name: str, free: list[str], method: str, pool: _Pool, random) -> list[str]:
    """Ids of the part ``split.<name>``, a share of all images or named ids, from the free ones."""
    if isinstance(part, list):
        wanted, known = expand_ids(part, pool.ids, f"split.{name}"), set(free)
        taken = [i for i in wanted if i not in known]
        if taken:
            raise UserError(
                f"split.{name}: '{taken[0]}' is a test image too; expected every image in one "
                "part; fix split.test or split.validation."
            )
        return wanted
    count = max(1, round(part * len(pool.ids))) if part else 0
    return _draw(free, count, method, pool, random)


def split_images(
    manifest: pd.DataFrame,
    method: str,
    test: float | list,
    validation: float | list,
    folds: int,
    seed: int | list[int],
    units: np.ndarray | None = None,
    roles: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Give every image its role.

    Args:
        manifest: table of ``manifest.csv``.
        method: ``block``, ``random``, ``stratified``, ``named``, where ids say who is in each part,
            or ``folders``, which draws nothing.
        test: share of all images, or ids and ranges.
        validation: the same; not used with more than one fold.
        folds: 1, or the number of folds into which all images but the test images are divided.
        seed: seed of the random choices.
        units: (N,) integers; images of one number stay together. None: those of one group do.
        roles: by id, where they are given; a part that none of them has is drawn from the training
            images.

    Returns:
        Columns id, role (train, validation, test) and fold: the fold in whose validation part the
        image is, empty where there is none.

    Raises:
        UserError: a part has no image, or an id is unknown or in two parts.
    """
    groups = pd.factorize(manifest["group"])[0]
    pool = _Pool(manifest, groups if units is None else units)
    random = np.random.default_rng(seed)
    role = {**dict.fromkeys(pool.ids, "train"), **(roles or {})}
    for part, wanted in {"test": test, "validation": validation}.items():
        if method == "folders" or part in (roles or {}).values():
            continue
        if part == "test" or folds == 1:
            free = [i for i in pool.ids if role[i] == "train"]
            role |= dict.fromkeys(_take(wanted, part, free, method, pool, random), part)
    fold = {i: 0 for i in pool.ids if role[i] == "validation"}
    if folds > 1:
        free = [i for i in pool.ids if role[i] != "test"]
        role |= dict.fromkeys(free, "train")
        fold = _divide(free, folds, method, pool, random)
    table = pd.DataFrame({"id": pool.ids, "role": [role[i] for i in pool.ids]})
    table["fold"] = pd.array([fold.get(i) for i in pool.ids], dtype="Int64")
    _check_parts(table, folds, pool)
    return table


def _divide(
    free: list[str], folds: int, method: str, pool: _Pool, random: np.random.Generator
) -> dict[str, int]:
    """Fold of each id: contiguous blocks, whole units at random, or alike units in all folds."""
    units = pool.units(free)
    if method == "stratified":
        fold_of = _deal(pool.alike_together(units, random), folds, random)
        return {i: fold for unit, fold in fold_of for i in unit}
    if method == "block":
        ends = np.cumsum([len(part) for part in np.array_split(free, folds)])
        first = np.cumsum([0, *map(len, units[:-1])])
        fold_of_unit = np.searchsorted(ends, first, side="right")
    else:
        fold_of_unit = np.argsort(random.permutation(len(units))) % folds
    return {i: int(fold) for unit, fold in zip(units, fold_of_unit, strict=True) for i in unit}


def _deal(units: list[list[str]], folds: int, random) -> Iterator[tuple[list[str], int]]:
    """Each unit with the fold that has the fewest images so far, ties at random."""
    sizes = np.zeros(folds, int)
    for unit in units:
        fold = random.choice(np.flatnonzero(sizes == sizes.min()))
        sizes[fold] += len(unit)
        yield unit, int(fold)


def _check_parts(table: pd.DataFrame, folds: int, pool: _Pool) -> None:
    largest = max(pool.units(pool.ids), key=len)
    together = (
        f", of which {len(largest)} stay together, such as '{largest[0]}' and '{largest[-1]}'"
        if len(largest) > 1
        else ""
    )
    for fold in range(folds):
        for part, ids in fold_ids(table, fold)._asdict().items():
            if ids:
                continue
            place = f" of fold {fold}" if folds > 1 and part != "test" else ""
            raise UserError(
                f"split: no image is left for the {part} part{place} ({len(table)} images in all"
                f"{together}); expected at least one in each; change split.test, "
                "split.validation, split.folds or split.method."
            )


def one_class_fault(part: str, background: int, foreground: int, fold: int | None = None) -> str:
    """The sentence on a part whose labels have one class, where the empty mask would be perfect.

    Args:
        part: ``train``, ``validation`` or ``test``.
        background: how many pixels, or images with such pixels, the labels of the part have.
        foreground: the same.
        fold: whose part it is, where there are several.

    Returns:
        An empty text if there are both.
    """
    if background and foreground:
        return ""
    found, missing = ("foreground", "background") if foreground else ("background", "foreground")
    name, key, purpose = {
        "train": ("training", "split", "to train on"),
        "validation": ("validation", "split.validation", "to learn the threshold on"),
        "test": ("test", "split.test", "to score"),
    }[part]
    place = "" if fold is None else f" of fold {fold}"
    return (
        f"{key}: every pixel of the {name} labels{place} is {found}; expected at least one "
        f"{missing} pixel {purpose}; name images that have some in split.validation and "
        "split.test, leaving some to train on, or change split.seed, split.folds or split.method."
    )


def check_classes(part: str, background: int, foreground: int) -> None:
    """Refuse to learn from or to score labels of one class: the empty mask would be perfect.

    Args:
        part, background, foreground: see ``one_class_fault``.

    Raises:
        UserError: one of the two is 0.
    """
    if fault := one_class_fault(part, background, foreground):
        raise UserError(fault)
