"""Which images train, which validate, which test: fixed once, by seed, in ``splits.csv``."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.folders import natural_key
from maskmake.runtime.errors import UserError


class FoldIds(NamedTuple):
    """Ids of one fold, each list in the order of ``splits.csv``."""

    train: list[str]
    validation: list[str]
    test: list[str]


def fold_ids(splits: pd.DataFrame, fold: int) -> FoldIds:
    """Ids that train, validate and test in one fold of the table ``splits.csv``."""
    is_test = splits["role"] == "test"
    in_fold = (splits["fold"] == fold).fillna(False).astype(bool)
    is_validation = ~is_test & in_fold
    parts = (~is_test & ~is_validation, is_validation, is_test)
    return FoldIds(*(splits.loc[part, "id"].tolist() for part in parts))


def expand_ids(entries: list[str | int], ids: list[str], key: str) -> list[str]:
    """Ids named by a list of ids and ranges of numbers such as "21-29", both ends included.

    Raises:
        UserError: an entry names no image of the data set.
    """
    found: list[str] = []
    for entry in map(str, entries):
        named = [entry] if entry in ids else _in_range(entry, ids)
        if not named:
            raise UserError(
                f"{key}: '{entry}' names no image; expected ids or ranges of them, from "
                f"'{ids[0]}' to '{ids[-1]}'; fix the entry."
            )
        found.extend(named)
    return list(dict.fromkeys(found))


def _in_range(entry: str, ids: list[str]) -> list[str]:
    """Ids between the two ends of ``first-last``, in natural order; none if it is no range.

    An end is an id or a number; an id may itself hold a hyphen.
    """
    for cut in (i for i, character in enumerate(entry) if character == "-"):
        first, last = entry[:cut].strip(), entry[cut + 1 :].strip()
        if all(end in ids or end.isdecimal() for end in (first, last)):
            low, high = natural_key(first)[0], natural_key(last)[0]
            return [i for i in ids if low <= natural_key(i)[0] <= high]
    return []


def _draw(ids: list[str], groups: list[str], count: int, random, method: str) -> list[str]:
    """``count`` of the ids: the last ones (block), or whole groups drawn at random."""
    if method == "block":
        return ids[max(0, len(ids) - count) :]
    members: dict[str, list[str]] = {}
    for image_id, group in zip(ids, groups, strict=True):
        members.setdefault(group, []).append(image_id)
    drawn: list[str] = []
    for group in random.permutation(list(members)):
        if len(drawn) >= count:
            break
        drawn.extend(members[group])
    return drawn


def _take(part, name: str, free: list[str], manifest: pd.DataFrame, random, method: str):
    """Ids of the part ``split.<name>``, a share of all images or named ids, from the free ones."""
    if isinstance(part, list):
        wanted = expand_ids(part, manifest["id"].tolist(), f"split.{name}")
        taken = [i for i in wanted if i not in free]
        if taken:
            raise UserError(
                f"split.{name}: '{taken[0]}' is a test image too; expected every image in one "
                "part; fix split.test or split.validation."
            )
        return wanted
    count = max(1, round(part * len(manifest))) if part else 0
    group_of = dict(zip(manifest["id"], manifest["group"], strict=True))
    return _draw(free, [group_of[i] for i in free], count, random, method)


def split_images(
    manifest: pd.DataFrame,
    method: str,
    test: float | list,
    validation: float | list,
    folds: int,
    seed: int,
) -> pd.DataFrame:
    """Give every image its role.

    Args:
        manifest: table of ``manifest.csv``.
        method: ``block``, ``random`` or ``folders``.
        test: share of all images, or ids and ranges.
        validation: the same; not used with more than one fold.
        folds: 1, or the number of folds into which all images but the test images are divided.
        seed: seed of the random choices.

    Returns:
        Columns id, role (train, validation, test) and fold: the fold in whose validation part the
        image is, empty where there is none.

    Raises:
        UserError: a part has no image or only labels of one class, or an id is unknown or in two
            parts.
    """
    ids = manifest["id"].tolist()
    random = np.random.default_rng(seed)
    role = dict.fromkeys(ids, "train")
    if method == "folders":
        role |= _roles_of_folders(manifest)
    else:
        role |= dict.fromkeys(_take(test, "test", ids, manifest, random, method), "test")
        free = [i for i in ids if role[i] == "train"]
        if folds == 1:
            chosen = _take(validation, "validation", free, manifest, random, method)
            role |= dict.fromkeys(chosen, "validation")
    fold = {i: 0 for i in ids if role[i] == "validation"}
    if folds > 1:
        free = [i for i in ids if role[i] != "test"]
        role |= dict.fromkeys(free, "train")
        fold = _divide(free, manifest, folds, random, method)
    table = pd.DataFrame({"id": ids, "role": [role[i] for i in ids]})
    table["fold"] = pd.array([fold.get(i) for i in ids], dtype="Int64")
    _check_parts(table, folds)
    _check_labels(table, manifest)
    return table


def _roles_of_folders(manifest: pd.DataFrame) -> dict[str, str]:
    loose = manifest.loc[manifest["role"] == "", "id"]
    if len(loose):
        raise UserError(
            f"split.method: folders, but image '{loose.iloc[0]}' ({len(loose)} in all) lies in no "
            "sub-folder train, validation or test; move it there or choose block or random."
        )
    return dict(zip(manifest["id"], manifest["role"], strict=True))


def _divide(ids: list[str], manifest: pd.DataFrame, folds: int, random, method: str):
    """Fold of each id: contiguous blocks, or whole groups at random."""
    if method == "block":
        return {i: fold for fold, part in enumerate(np.array_split(ids, folds)) for i in part}
    group_of = dict(zip(manifest["id"], manifest["group"], strict=True))
    groups = random.permutation(list(dict.fromkeys(group_of[i] for i in ids)))
    fold_of_group = {group: position % folds for position, group in enumerate(groups)}
    return {i: fold_of_group[group_of[i]] for i in ids}


def _check_parts(table: pd.DataFrame, folds: int) -> None:
    for fold in range(folds):
        for part, ids in fold_ids(table, fold)._asdict().items():
            if ids:
                continue
            place = f" of fold {fold}" if folds > 1 and part != "test" else ""
            raise UserError(
                f"split: no image is left for the {part} part{place} ({len(table)} images in all); "
                "expected at least one in each; change split.test, split.validation or split.folds."
            )


def _check_labels(table: pd.DataFrame, manifest: pd.DataFrame) -> None:
    share = manifest["foreground"].astype(float)
    parts = {"validation": table["fold"].notna(), "test": table["role"] == "test"}
    for part, chosen in parts.items():
        check_classes(part, (share < 1)[chosen].sum(), (share > 0)[chosen].sum())


def check_classes(part: str, background: int, foreground: int) -> None:
    """Refuse to learn from or to score labels of one class: the empty mask would be perfect.

    Args:
        part: ``validation`` or ``test``.
        background: how many pixels, or images with such pixels, the labels of the part have.
        foreground: the same.

    Raises:
        UserError: one of the two is 0.
    """
    if background and foreground:
        return
    found, missing = ("foreground", "background") if foreground else ("background", "foreground")
    purpose = {"validation": "to learn the threshold on", "test": "to score"}[part]
    raise UserError(
        f"split.{part}: every pixel of the {part} labels is {found}; expected at least one "
        f"{missing} pixel {purpose}; name images that have some in split.{part}, or change "
        "split.seed or split.method."
    )
