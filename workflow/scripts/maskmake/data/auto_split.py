"""The split of a data set: how it is made, why so, and whether its scores can be believed."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.likeness import Likeness, neighbour_likeness
from maskmake.data.split_checks import (
    copy_warnings,
    difference_warnings,
    kinship_faults,
    label_faults,
)
from maskmake.data.split_units import Kin
from maskmake.data.splits import SplitRecord, split_images
from maskmake.runtime.errors import UserError

ATTEMPTS = 50
NO_PAIRS = np.empty((0, 2), np.int64)


class Split(NamedTuple):
    """Table of ``splits.csv``, and contents of ``split.json``."""

    table: pd.DataFrame
    record: SplitRecord


class _Choice(NamedTuple):
    """How parts are drawn (see ``split_images``), and why so."""

    method: str
    reason: str
    likeness: Likeness | None = None


def split_dataset(
    manifest: pd.DataFrame, index: pd.DataFrame, thumbnails: np.ndarray, settings: dict
) -> Split:
    """Give every image of a data set its role.

    Args:
        manifest: table of ``manifest.csv``, in natural order of the ids.
        index: table of ``index.csv``, with the same images.
        thumbnails: (N, 16, 16), in the same order.
        settings: the configuration section ``split``.

    Raises:
        UserError: a part has no image or labels of one class only, or images of a group, copies or
            near copies are in two parts and may not be moved.
    """
    kin = Kin(manifest, index, thumbnails)
    # Near copies may be in two parts where a user says so.
    near, far = kin.near_pairs, kin.far_pairs
    if settings["near_copies"] == "accept":
        near, far = NO_PAIRS, NO_PAIRS
    roles = _given_roles(manifest, settings)
    choice = _choose(kin, settings, roles, kin.units(True, far))
    in_order = choice.method in ("block", "named")
    units = kin.units(
        not in_order or _stacks_suffice(kin, settings["folds"]), far if in_order else near
    )
    table, faults = _draw(manifest, choice.method, settings, units, roles)
    if in_order:
        # Where maskmake cuts a film there is no better place, unlike between roles that are given.
        given = manifest["id"].map(roles).isin(["validation", "test"]).to_numpy()
        near = np.concatenate([far, near[given[near].any(axis=1)]])
    faults += kinship_faults(table, kin, near, _remedy(roles))
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise UserError("\n".join([f"The split has {count}:", *(f"  {fault}" for fault in faults)]))
    record: SplitRecord = {
        "method": choice.method,
        "reason": choice.reason,
        "warnings": [
            *_method_warnings(choice),
            *copy_warnings(table, kin),
            *difference_warnings(table, kin),
        ],
    }
    found = choice.likeness
    if found and found.pairs:
        record["likeness"] = {
            "pairs": found.pairs,
            "neighbours": found.neighbours,
            "others": found.others,
        }
    return Split(table, record)


def _given_roles(manifest: pd.DataFrame, settings: dict) -> dict[str, str]:
    """The role of each image by its sub-folder or the table, if they count; else nothing."""
    without = manifest.loc[manifest["role"] == "", "id"]
    method = settings["method"]
    if method not in ("auto", "folders") or (method == "auto" and len(without) == len(manifest)):
        return {}
    if len(without):
        raise UserError(
            f"split.method: {method}, but image '{without.iloc[0]}' ({len(without)} in all) lies "
            "in no sub-folder train, validation or test and has no role; expected one for each "
            "image; move it there or choose block or random."
        )
    named = [key for key in ("test", "validation") if isinstance(settings[key], list)]
    if named and method == "auto":
        raise UserError(
            f"split.{named[0]}: names images, but the data set has the roles "
            f"{' and '.join(sorted(set(manifest['role'])))}; expected one of the two; remove "
            f"split.{named[0]}, or set split.method to block or random, which leave the roles out."
        )
    roles = dict(zip(manifest["id"], manifest["role"], strict=True))
    parts = ["train", "test"] if settings["folds"] > 1 else ["train", "validation", "test"]
    missing = [part for part in parts if part not in roles.values()]
    if method == "folders" and missing:
        raise UserError(
            f"split.method: folders, but no image has the role {missing[0]} (found "
            f"{' and '.join(sorted(set(roles.values())))}); expected sub-folders named train, "
            "validation and test; rename one, or set split.method to auto, which takes missing "
            "validation and test images from the others."
        )
    return roles


def _choose(kin: Kin, settings: dict, roles: dict[str, str], units: np.ndarray) -> _Choice:
    """The method and its reason; ``units`` are images that stay together with any method."""
    if settings["method"] != "auto":
        reason = f"The images are split by {settings['method']}, as split.method says."
        found = None
        if settings["method"] == "random":
            found = neighbour_likeness(kin.manifest["id"].tolist(), kin.content, units)
        return _Choice(settings["method"], reason, found)
    parts = ["test"] if settings["folds"] > 1 else ["test", "validation"]
    missing = [part for part in parts if part not in roles.values()]
    if roles and not missing and settings["folds"] == 1:
        return _Choice("folders", f"{_of_roles(roles)}.")
    if settings["folds"] == 1 and all(isinstance(settings[part], list) for part in parts):
        return _Choice("named", "split.test and split.validation name their images.")
    drawn = _choose_by_likeness(kin, units)
    if not roles:
        return drawn
    what = f"the {' and '.join(missing)} images" if missing else "the folds"
    start = f"{_of_roles(roles)}; {what} are taken from the others. "
    return drawn._replace(reason=start + drawn.reason)


def _of_roles(roles: dict[str, str]) -> str:
    found = [role for role in ("train", "validation", "test") if role in roles.values()]
    return f"Images keep the roles that the data set gives them ({', '.join(found)})"


def _choose_by_likeness(kin: Kin, units: np.ndarray) -> _Choice:
    if kin.has_stacks:
        return _Choice(
            "block",
            "Blocks of neighbours: images are pages of stacks, which are like the next ones.",
        )
    found = neighbour_likeness(kin.manifest["id"].tolist(), kin.content, units)
    if found.alike:
        return _Choice(
            "block",
            f"Blocks of neighbours, because images that follow each other in name are alike: "
            f"{_figures(found)}.",
            found,
        )
    what = "Groups" if len(np.unique(kin.groups)) < len(kin.groups) else "Images"
    start = f"{what} are drawn at random, evenly over their shares of foreground, because"
    if not found.pairs:
        return _Choice("stratified", f"{start} no names follow each other.")
    start += " images that follow each other in name are no more alike than others"
    return _Choice("stratified", f"{start}: {_figures(found)}.", found)


def _method_warnings(choice: _Choice) -> Iterator[str]:
    if choice.method == "random" and choice.likeness and choice.likeness.alike:
        yield (
            "Images that follow each other in name are alike "
            f"({_figures(choice.likeness)}), and split.method is random, so the test images are "
            "like some training images and the scores are too good; set split.method to block, or "
            "name dataset.groups."
        )


def _figures(found: Likeness) -> str:
    return (
        f"thumbnails of {found.pairs} neighbours correlate with {found.neighbours:.2f} on average, "
        f"those of other pairs with {found.others:.2f}"
    )


def _stacks_suffice(kin: Kin, folds: int) -> bool:
    """Whether each part can have a stack of its own, so that none has to be cut."""
    parts = folds + (2 if folds == 1 else 1)
    return len(np.unique(kin.units(True, NO_PAIRS))) >= parts


def _draw(
    manifest: pd.DataFrame,
    method: str,
    settings: dict,
    units: np.ndarray,
    roles: dict[str, str],
) -> tuple[pd.DataFrame, list[str]]:
    """Table of ``splits.csv``, and its faults of labels.

    Where objects are rare, a stratified choice is made again until each part has some.
    """
    drawn = {key: settings[key] for key in ("test", "validation", "folds")}
    foreground = manifest["foreground"].astype(float)
    for attempt in range(ATTEMPTS if method == "stratified" else 1):
        seed = [settings["seed"], attempt] if attempt else settings["seed"]
        table = split_images(manifest, method, **drawn, seed=seed, units=units, roles=roles)
        faults = list(label_faults(table, foreground, settings["folds"]))
        if not faults:
            break
    return table, faults


def _remedy(roles: dict[str, str]) -> str:
    if roles:
        return "give both one role, or set split.method to random, which keeps them together"
    return "name both or none of them in split.test and in split.validation"
