"""What is wrong with a split, and what a reader of its scores should know."""

from collections.abc import Iterator
from math import comb

import numpy as np
import pandas as pd
from scipy import stats

from maskmake.data.split_units import Kin, links
from maskmake.data.splits import fold_ids, name_kinds, one_class_fault

# A part differs from the training images if its mean odds of foreground are three times theirs, or
# its brightness is 1.5 times theirs and beyond twice their standard deviation, and chance is no
# explanation: a rank test at 0.01. Of fewer images than that test can judge, the first counts.
ODDS_RATIO = 3.0
BRIGHTNESS_RATIO, BRIGHTNESS_STD = 1.5, 2.0
SIGNIFICANCE = 0.01

EXPECTED = 2  # images of a form of names that the test part should have, so that none is odd

REMEDY = "; for another split, change split.seed or split.method, or name images in split.test"

# Names of a role, as official splits number their images ("test_01").
ROLE_WORDS = ("train", "val", "test")


def parts_of(table: pd.DataFrame) -> np.ndarray:
    """The part in which each image of ``splits.csv`` is: its role, or ``fold 0`` and so on."""
    several = table["fold"].max() > 0
    in_folds = several & table["fold"].notna()
    return np.where(in_folds, "fold " + table["fold"].astype(str), table["role"]).astype(object)


def label_faults(table: pd.DataFrame, foreground: pd.Series, folds: int) -> Iterator[str]:
    """One sentence on each part whose labels are all background or all foreground.

    Args:
        table: of ``splits.csv``.
        foreground: share of each image.
        folds: how many there are.
    """
    share = dict(zip(table["id"], foreground, strict=True))
    for fold in range(folds):
        for part, ids in fold_ids(table, fold)._asdict().items():
            shares = np.array([share[i] for i in ids])
            number = fold if folds > 1 and part != "test" else None
            fault = one_class_fault(part, (shares < 1).sum(), (shares > 0).sum(), number)
            if fault and (fold == 0 or part != "test"):
                yield fault


def kinship_faults(table: pd.DataFrame, kin: Kin, near: np.ndarray, remedy: str) -> Iterator[str]:
    """One sentence on groups, one on copies and one on near copies that are in two parts.

    Args:
        table: of ``splits.csv``.
        kin: what its images have in common.
        near: (M, 2) places of near copies that are not accepted in two parts.
        remedy: what to do, besides removing images.
    """
    if pairs := pairs_across(links(kin.groups), table):
        yield (
            f"{pairs} belong to one group; expected each group in one part; {remedy}, or fix the "
            "groups."
        )
    if pairs := pairs_across(links(kin.copies), table):
        yield (
            f"{pairs} have the same pixels; expected copies in one part, since the score of an "
            f"image that was trained on says nothing; remove one of each pair, or {remedy}."
        )
    other = kin.copies[near[:, 0]] != kin.copies[near[:, 1]]
    if pairs := pairs_across(near[other], table):
        yield (
            f"{pairs} show nearly the same; expected near copies in one part; remove one of each "
            f"pair, or {remedy}, or, if they are different scenes, set split.near_copies to accept."
        )


def pairs_across(pairs: np.ndarray, table: pd.DataFrame) -> str:
    """The first of the pairs (M, 2) that are in two parts, and how many more are; else empty."""
    parts = parts_of(table)
    first, second = pairs.T
    across = pairs[parts[first] != parts[second]]
    if not len(across):
        return ""
    named = " and ".join(f"'{table['id'].iloc[i]}' ({parts[i]})" for i in across[0])
    more = len(across) - 1
    return named + (f" (and {more} more pair{'s' if more > 1 else ''})" if more else "")


# --- warnings -------------------------------------------------------------------------------


def copy_warnings(table: pd.DataFrame, kin: Kin) -> Iterator[str]:
    """One sentence on copies, one on near copies, one on near copies in two parts.

    Args:
        table: of ``splits.csv``, in which no copies are in two parts.
        kin: what its images have in common.
    """
    ids = table["id"].tolist()
    other = kin.copies[kin.near_pairs[:, 0]] != kin.copies[kin.near_pairs[:, 1]]
    kinds = {
        "have the same pixels": links(kin.copies),
        "show nearly the same": kin.near_pairs[other],
    }
    for found, pairs in kinds.items():
        if len(pairs):
            named = " and ".join(f"'{ids[place]}'" for place in pairs[0])
            yield (
                f"{len(np.unique(pairs))} images {found} as another one, such as {named}; they "
                "count several times in the training or in the scores."
            )
    if pairs := pairs_across(kin.near_pairs, table):
        yield (
            f"{pairs} show nearly the same, so scores of the images at a border of two parts are "
            "better than those of new images would be."
        )


def difference_warnings(table: pd.DataFrame, kin: Kin) -> Iterator[str]:
    """One sentence on each way in which a part differs from the training images.

    Args:
        table: of ``splits.csv``.
        kin: what its images have in common.
    """
    foreground = kin.manifest["foreground"].astype(float).to_numpy()
    brightness = kin.thumbnails.mean(axis=(1, 2), dtype=np.float64)
    yield from _name_warnings(table, kin.groups)
    parts = parts_of(table)
    for part in dict.fromkeys(parts):
        if part == "train":
            continue
        inside = parts == part
        # Of folds, the others are trained on, but never the test images.
        rest = ~inside & (parts != "test") & ((parts == "train") | (table["fold"].max() > 0))
        share, shares = foreground[inside], foreground[rest]
        if _odds_differ(share, shares) and _no_chance(share, shares):
            yield (
                f"The {part} images have {100 * np.nanmean(share):.3g} % foreground, the training "
                f"images {100 * np.nanmean(shares):.3g} %; the threshold and the scores are those "
                f"of other images than the network learns from{REMEDY}."
            )
        bright, brights = brightness[inside], brightness[rest]
        if _brightness_differs(bright, brights) and _no_chance(bright, brights):
            yield (
                f"The {part} images have a mean brightness of {bright.mean():.4g}, the training "
                f"images {brights.mean():.4g} (standard deviation {brights.std():.2g}); the scores "
                f"are those of other images than the network learns from{REMEDY}."
            )


def _name_warnings(table: pd.DataFrame, groups: np.ndarray) -> Iterator[str]:
    """Forms of names that only one part has, and that are neither one group nor name a role."""
    forms = np.array(name_kinds(table["id"].tolist()), dtype=object)
    parts = parts_of(table)
    trained = set(forms) if table["fold"].max() > 0 else set(forms[parts == "train"])
    for form in sorted(set(forms) - {""}):
        images = np.flatnonzero(forms == form)
        where = sorted(set(parts[images]))
        if any(word in form.lower() for word in ROLE_WORDS) or len(set(groups[images])) == 1:
            continue
        named = f"All {len(images)} images named '{form}', with numbers for #, are in the "
        if form not in trained or where == ["test"]:
            yield (
                f"{named}{' and '.join(where)} part, none is trained on; if such names are "
                "classes, set split.method to random; if they are scenes or patients, this is "
                "right."
            )
        elif len(where) == 1 and len(images) * (parts == "test").mean() >= EXPECTED:
            yield (
                f"{named}{where[0]} part, so no score says anything about them; if such names are "
                "classes, set split.method to random."
            )


def _odds_differ(share: np.ndarray, others: np.ndarray) -> bool:
    means = np.clip([np.nanmean(share), np.nanmean(others)], 1e-6, 1 - 1e-6)
    log_odds = np.log(means / (1 - means))
    return bool(abs(log_odds[0] - log_odds[1]) > np.log(ODDS_RATIO))


def _brightness_differs(bright: np.ndarray, others: np.ndarray) -> bool:
    low, high = sorted((bright.mean(), others.mean()))
    far = high - low > BRIGHTNESS_STD * others.std()
    return bool(far and high > BRIGHTNESS_RATIO * low)


def _no_chance(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether a rank test sees a difference, or the values are too few for it."""
    count = len(values) + len(others)
    if count < 2 / SIGNIFICANCE and comb(count, len(values)) < 2 / SIGNIFICANCE:
        return True
    return bool(stats.mannwhitneyu(values, others, nan_policy="omit").pvalue < SIGNIFICANCE)
