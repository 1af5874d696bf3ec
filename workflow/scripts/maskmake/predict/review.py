"""Which masks of new images to look at first."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from maskmake.masks.decision import LearnedDecision, Validation, validation_of
from maskmake.runtime.log import logger

FORMER = "former"  # folder for masks of images that are gone or cannot be used now
SHOWN = 5  # masks that are named in the log

# A mask is unusual if its share of a class is below 1 / LESS of the smallest one of the validation
# images, or if its expected Dice is more than SHORTER times as far below 1 as their worst one.
LESS = 2
SHORTER = 1.5
# The values of an image are unusual if they go beyond those of the training images by BEYOND of
# their range, or if its brightest pixel is below DIM of the dimmest of their brightest ones.
BEYOND, DIM = 0.1, 0.5
RANGES = ["minimum", "maximum", "trained_minimum", "trained_maximum", "trained_smallest_maximum"]


def review_shards(tables: Iterable[pd.DataFrame], learned: LearnedDecision) -> pd.DataFrame:
    """Review the masks of all shards, and log those to look at first.

    Args:
        tables: of ``segment_images``, one for each shard.
        learned: contents of ``decision.json``.

    Returns:
        See ``review_table``.
    """
    tables = list(tables)
    # Where no image of a shard could be used, its columns have no type.
    table = pd.concat([t for t in tables if len(t)] or tables, ignore_index=True)
    review = review_table(table, validation_of(learned))
    for row in review.head(SHOWN).itertuples():
        reason = f" ({row.reason})" if row.reason else ""
        logger.info("%s: expected Dice %.3f%s", row.image, row.expected_mean_dice, reason)
    return review


def move_former_masks(folder: Path, ids: Iterable[str]) -> None:
    """Move masks of images that were not segmented this time into a folder of their own.

    Args:
        folder: the masks, ``<id>.png``.
        ids: of the images that were segmented.
    """
    former = sorted(set(folder.glob("*.png")) - {folder / f"{id_}.png" for id_ in ids})
    for mask in former:
        (folder / FORMER).mkdir(exist_ok=True)
        mask.replace(folder / FORMER / mask.name)
    if former:
        logger.info(
            "Masks of images that are gone or cannot be used now were moved to %s: %s.",
            folder / FORMER,
            ", ".join(mask.name for mask in former[:SHOWN]) + ", ..." * (len(former) > SHOWN),
        )


def review_table(table: pd.DataFrame, validation: Validation) -> pd.DataFrame:
    """Order the masks of new images, the least sure first.

    Args:
        table: the segmented images, with the columns foreground (share of the mask),
            expected_mean_dice and ``RANGES``, which are empty or absent where nothing is known.
        validation: the same two numbers of each validation image; empty lists if nothing is known
            of them.

    Returns:
        The table by ascending expected_mean_dice, and a column ``reason``: why a mask deserves
        a look; empty where nothing is unusual.
    """
    ordered = table.sort_values("expected_mean_dice", kind="stable")
    reasons = [
        "; ".join(
            [
                *_range_reasons(*map(float, ranges)),
                *_reasons(row.foreground, row.expected_mean_dice, validation),
            ]
        )
        for row, ranges in zip(
            ordered.itertuples(), ordered.reindex(columns=RANGES).to_numpy(), strict=True
        )
    ]
    return ordered.assign(reason=reasons)


def _range_reasons(
    low: float, high: float, trained_low: float, trained_high: float, dimmest: float
) -> list[str]:
    margin = BEYOND * (trained_high - trained_low)
    trained = f"against {trained_low:g} to {trained_high:g} in the training images"
    if high > trained_high + margin or low < trained_low - margin:
        return [f"pixel values from {low:g} to {high:g}, {trained}"]
    if high - trained_low < DIM * (dimmest - trained_low):
        return [f"no pixel value above {high:g}, {trained}, each of which reaches {dimmest:g}"]
    return []


def _reasons(foreground: float, expected: float, validation: Validation) -> list[str]:
    reasons = []
    for share, kind, shares in (
        (foreground, "foreground", validation["foreground"]),
        (1 - foreground, "background", [1 - share for share in validation["foreground"]]),
    ):
        if share == 0:
            reasons.append(f"the mask has no {kind}")
        elif share < min(shares, default=0) / LESS:
            reasons.append(
                f"{100 * share:.2g} % {kind}, against {100 * min(shares):.2g} % or more in the "
                "validation images"
            )
    dice = validation["expected_mean_dice"]
    if dice and 1 - expected > SHORTER * (1 - min(dice)):
        reasons.append(
            f"an expected Dice of {expected:.3f}, against {min(dice):.3f} to {max(dice):.3f} "
            "in the validation images"
        )
    return reasons
