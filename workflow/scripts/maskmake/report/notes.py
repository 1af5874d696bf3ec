"""What the numbers say that a reader should know first; each note is given where it holds."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from maskmake.masks.objectives import TINY
from maskmake.report.inputs import Run, labelled_pixels
from maskmake.report.pictures import COUNTED_SIDE
from maskmake.report.terms import HEADINGS, counted, images_of_groups, number, percent
from maskmake.scores.scorecard import headline_score

# Limits beyond which a note is given.
FEW_TEST_GROUPS = 5  # an image without a group is one by itself
LARGE_LOSS_RATIO = 1.5
ENOUGH_EPOCHS = 5
MANY_COMPONENTS_RATIO = 2
MANY_COMPONENTS = 20
STILL_FALLING = 0.05  # the validation loss fell by this share of it in the last quarter
DIFFERENT_RATIO, DIFFERENT_SHARE = 2, 0.02  # of foreground in two roles
NAMED = 5  # outliers that are named

# A score is far below the others if it is this many robust standard deviations below the median.
FAR = 3.5
ROBUST = 1.4826  # standard deviations in a median absolute deviation of a normal distribution
SMALLEST_DISTANCE = 0.05  # below the median by less than this, no score is far


def far_below(scores: pd.Series) -> pd.Series:
    """Which scores are far below the others."""
    distance = scores.median() - scores
    width = ROBUST * distance.abs().median()
    return (distance > FAR * width) & (distance > SMALLEST_DISTANCE)


def left_out_notes(left_out: Mapping[str, str | None]) -> list[str]:
    """Which runs are not in the report.

    Args:
        left_out: of each, the error in its logs, if any; a defect with its traceback.
    """
    return [_left_out_note(run, cause) for run, cause in left_out.items()]


def _left_out_note(run: str, cause: str | None) -> str:
    if cause is None:
        return f"The run “{run}” is not in this report, because compare.leave_out names it."
    first, *others = cause.splitlines()
    return f"The run “{run}” failed and is not in this report: {': '.join([first, *others[-1:]])}"


def notes(runs: Mapping[str, Run], table: pd.DataFrame, examples: Sequence[Mapping]) -> list[str]:
    """What the numbers say; a sentence is given only where it holds."""
    sentences = []
    test_images = int((table["role"] == "test").sum())
    groups = next(iter(runs.values())).per_image["group"].nunique()
    if groups < FEW_TEST_GROUPS:
        sentences.append(
            f"The scores rest on {images_of_groups(test_images, groups)}: other images could give "
            "rather different ones."
        )
    for run in runs.values():
        sentences += _score_notes(run, table) + _outlier_notes(run) + _loss_notes(run)
    return sentences + _role_notes(table) + _component_notes(examples)


def _score_notes(run: Run, table: pd.DataFrame) -> list[str]:
    sentences = []
    accuracy, majority = run.metrics["pixel_accuracy"], run.metrics["majority_accuracy"]
    if accuracy <= majority:
        sentences.append(
            f"By pixel accuracy the run “{run.name}” learned nothing more than the majority: "
            f"{percent(accuracy)} against {percent(majority)}."
        )
    images = counted(len(run.per_image), "test image")
    shares = run.per_image["id"].map(table.set_index("id")["foreground"])
    # A background Dice of 0 says that none is found only where the label has some.
    nowhere = {
        "foreground": run.per_image["recall"] == 0,
        "background": (run.per_image["background_dice"] == 0) & (shares < 1),
    }
    for kind, images_without in nowhere.items():
        if missing := int(images_without.sum()):
            sentences.append(
                f"The run “{run.name}” finds none of the {kind} in {missing} of {images}."
            )
    return sentences


def _outlier_notes(run: Run) -> list[str]:
    headline = headline_score(run.metrics)
    scores = run.per_image.sort_values(headline, kind="stable")
    far = scores.loc[far_below(scores[headline]), "id"].tolist()
    if not far:
        return []
    names = ", ".join(map(str, far[:NAMED])) + (
        f" and {len(far) - NAMED} more" if far[NAMED:] else ""
    )
    return [
        f"The run “{run.name}” does far worse in {HEADINGS[headline]} on "
        f"{counted(len(far), 'test image')} than on the others: {names}."
    ]


def _role_notes(table: pd.DataFrame) -> list[str]:
    """Roles whose images differ, so that what is learned on one may not hold for the other."""
    groups = table.groupby("role")
    shares = {
        role: np.average(rows["foreground"], weights=labelled_pixels(rows))
        for role, rows in groups
        if labelled_pixels(rows).sum() > 0
    }
    test = shares.get("test", np.nan)
    sentences = []
    for role, name in (("train", "training"), ("validation", "validation")):
        share = shares.get(role, np.nan)
        ratio = max(share, test) / max(min(share, test), TINY)
        if abs(share - test) >= DIFFERENT_SHARE and ratio >= DIFFERENT_RATIO:
            sentences.append(
                f"The {name} images hold {percent(share)} foreground and the test images "
                f"{percent(test)}: the split gave them different kinds of images, so scores on "
                "other images may differ as well."
            )
    return sentences


def _loss_notes(run: Run) -> list[str]:
    if any(map(_still_improving, run.histories)):
        longer = "train.minutes" if run.trainings[0]["settings"].get("minutes") else "train.epochs"
        return [
            f"The run “{run.name}” was still improving in its last epochs: train longer ({longer})."
        ]
    ratios = [_overfitting(history) for history in run.histories]
    if max(ratios) < LARGE_LOSS_RATIO:
        return []
    return [
        f"The run “{run.name}” may be overfitting: its validation loss is past its lowest value "
        f"and ends at {number(max(ratios), 1)} times its training loss. More training images, "
        "stronger augmentation or a smaller encoder can help."
    ]


def _overfitting(history: pd.DataFrame) -> float:
    """Last validation loss over last training loss; 0 if it says nothing about overfitting."""
    last = history.iloc[-1]
    still_falling = not last["val_loss"] > history["val_loss"].min()
    if len(history) < ENOUGH_EPOCHS or last["loss"] <= 0 or still_falling:
        return 0.0
    return last["val_loss"] / last["loss"]


def _still_improving(history: pd.DataFrame) -> bool:
    """Whether the last quarter of the epochs, learning rate and all, still lowered the loss."""
    losses = history["val_loss"].to_numpy(float)
    if len(losses) < ENOUGH_EPOCHS or not np.isfinite(losses).all():
        return False
    before = losses[: -max(1, len(losses) // 4)].min()
    return losses[-1] == losses.min() and losses[-1] < (1 - STILL_FALLING) * before


def _component_notes(examples: Sequence[Mapping]) -> list[str]:
    in_labels = sum(example["label_components"] for example in examples)
    in_masks = sum(example["mask_components"] for example in examples)
    if in_masks < max(MANY_COMPONENTS_RATIO * in_labels, MANY_COMPONENTS):
        return []
    return [
        f"In the test images shown (of large ones in the middle {COUNTED_SIDE} rows and columns), "
        f"the masks hold {counted(in_masks, 'separate object')} where the labels hold "
        f"{number(in_labels, 0)}: many are fragments or specks."
    ]
