"""The terms of the report: how numbers are written, and the names and meanings of scores."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from maskmake.masks.objectives import TINY, digits_to_show

DASH = "–"


class Term(NamedTuple):
    """How a key of ``metrics.json`` is shown."""

    heading: str
    form: Callable[[Any], str]
    meaning: str


def number(value: float | None, digits: int) -> str:
    """A rounded number; a dash if there is none."""
    return (
        DASH if value is None or pd.isna(value) else f"{value:,.{digits}f}".replace(",", "\u202f")
    )


def percent(share: float | None) -> str:
    """A share of 1 as a percentage; a dash if there is none."""
    return DASH if share is None or pd.isna(share) else f"{100 * share:.1f}\u00a0%"


def signed(value: float | None) -> str:
    """A difference of scores with its sign and not rounded to 0; a dash if there is none."""
    if value is None or pd.isna(value):
        return DASH
    return f"{value:+.{digits_to_show(value)}f}".replace("-", "−")


def signed_range(low: float | None, high: float | None) -> str:
    """Both ends of the interval of a difference; a dash if there is none."""
    return DASH if low is None or pd.isna(low) else f"{signed(low)} to {signed(high)}"


def duration(seconds: float | None) -> str:
    """A time in the two units that matter; a dash if there is none."""
    if seconds is None or pd.isna(seconds):
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_rest = divmod(minutes, 60)
    if hours:
        return f"{hours}\u00a0h {minutes_rest:02}\u00a0min"
    return f"{minutes}\u00a0min {rest:02}\u00a0s" if minutes else f"{rest}\u00a0s"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 image", "2 images"; a plural without -s is given."""
    return f"{number(count, 0)} {noun if count == 1 else plural or f'{noun}s'}"


def images_of_groups(images: int, groups: int) -> str:
    """A number of test images, and of how many groups they are, where a group has several."""
    of_groups = f" of {counted(groups, 'group')}" if groups < images else ""
    return f"{counted(images, 'test image')}{of_groups}"


def resampled(groups: pd.Series) -> str:
    """What a bootstrap draws.

    Args:
        groups: of each test image.
    """
    if groups.is_unique:
        return "test images"
    return f"{counted(groups.nunique(), 'group')} of the test images"


def levels(method: str) -> str:
    """The name of a ``decide.method`` in words."""
    return {"one_level": "one level", "two_level": "two levels"}[method]


# Why a false object or hole is there, by what would remove it.
CAUSE_TERMS = {
    "threshold": (
        "threshold",
        f"Another threshold removes it and costs at most {TINY} of the score.",
    ),
    "size": (
        "size",
        "It is sure and small: no such threshold removes it, but a clean-up by size does.",
    ),
    "model_or_label": (
        "model or label",
        "It is sure, and as large as true ones: the model or the label is wrong there.",
    ),
}

three_digits = partial(number, digits=3)
one_digit = partial(number, digits=1)
whole = partial(number, digits=0)


def pixels(distance: float | None) -> str:
    """A distance in pixels; a dash if there is none."""
    return DASH if pd.isna(distance) else f"{number(distance, 1)}\u00a0px"


SCORE_TERMS = {
    "Pixels": {
        "mean_dice": Term(
            "mean Dice",
            three_digits,
            "Mean of foreground and background Dice. Where foreground is rare it is high whatever "
            "is found, since the background's is.",
        ),
        "foreground_dice": Term(
            "foreground Dice",
            three_digits,
            "Overlap of mask and label foreground: twice their common pixels, divided by the "
            "pixels of both. 1 is perfect, 0 is no overlap.",
        ),
        "background_dice": Term(
            "background Dice",
            three_digits,
            "Overlap of mask and label background: as foreground Dice, for the background.",
        ),
        "foreground_iou": Term(
            "foreground IoU",
            three_digits,
            "Common foreground pixels of mask and label, divided by the pixels in either.",
        ),
        "background_iou": Term(
            "background IoU",
            three_digits,
            "Common background pixels of mask and label, divided by the pixels in either.",
        ),
        "pixel_accuracy": Term(
            "pixel accuracy", three_digits, "Share of pixels with the right class."
        ),
        "majority_accuracy": Term(
            "majority accuracy",
            three_digits,
            "Pixel accuracy of a mask that is all of the more common class; a useful run has to "
            "exceed it.",
        ),
        "precision": Term(
            "precision", three_digits, "Share of the mask's foreground that is right."
        ),
        "recall": Term("recall", three_digits, "Share of the label's foreground that is found."),
    },
    "Probabilities": {
        "average_precision": Term(
            "average precision",
            three_digits,
            "Precision averaged over all recalls, whatever the threshold.",
        ),
        "ece": Term(
            "calibration error",
            three_digits,
            "Expected calibration error: how far the probabilities are, on average, from the "
            "share of pixels that turn out to be foreground.",
        ),
        "brier": Term(
            "Brier score",
            three_digits,
            "Mean squared difference of probability and label.",
        ),
        "ece_calibrated": Term(
            "calibration error, calibrated",
            three_digits,
            "The calibration error after the logits are divided by the temperature.",
        ),
        "brier_calibrated": Term(
            "Brier score, calibrated",
            three_digits,
            "The Brier score after the logits are divided by the temperature.",
        ),
    },
    "Borders": {
        "boundary_f1": Term(
            "boundary F1",
            three_digits,
            "Harmonic mean of the shares of mask border and label border that lie close to "
            "each other.",
        ),
        "hausdorff_95": Term(
            "Hausdorff 95",
            pixels,
            "95 % of the mask's border lie within this distance of the label's border, and 95 % of "
            "the label's border within it of the mask's; the diagonal of the image where only one "
            "of them has a border.",
        ),
    },
    "Topology": {
        "foreground_cldice": Term(
            "foreground clDice",
            three_digits,
            "How much of the centre lines of mask and label lies inside the other's foreground. It "
            "falls where a thin structure is broken. For thin foreground, such as vessels.",
        ),
        "background_cldice": Term(
            "background clDice",
            three_digits,
            "As foreground clDice, for thin background, such as membranes between cells.",
        ),
        "betti_0_error": Term(
            "Betti-0 error",
            one_digit,
            "Difference of the number of objects in mask and label.",
        ),
        "betti_1_error": Term(
            "Betti-1 error",
            one_digit,
            "Difference of the number of holes that objects enclose.",
        ),
    },
    "Objects": {
        "v_rand": Term(
            "V-Rand",
            three_digits,
            "Agreement on which pixels belong to one object (foreground-restricted Rand score "
            "after border thinning, ISBI 2012).",
        ),
        "v_split": Term(
            "V-Rand, split",
            three_digits,
            "The part of V-Rand that falls when an object is split.",
        ),
        "v_merge": Term(
            "V-Rand, merge",
            three_digits,
            "The part of V-Rand that falls when two objects are merged.",
        ),
        "v_info": Term(
            "V-Info",
            three_digits,
            "As V-Rand, from the information that mask objects and label objects share.",
        ),
        "v_info_split": Term(
            "V-Info, split",
            three_digits,
            "The part of V-Info that falls when an object is split.",
        ),
        "v_info_merge": Term(
            "V-Info, merge",
            three_digits,
            "The part of V-Info that falls when two objects are merged.",
        ),
        "object_f1": Term(
            "object F1",
            three_digits,
            "F1 of finding objects: one is found if it and an object of the mask share more than "
            "half of the pixels that the two cover together. For blobs that lie apart.",
        ),
    },
    "Decision and cost": {
        "method": Term("method", levels, "Whether a second level separates objects that touch."),
        "threshold": Term(
            "threshold",
            three_digits,
            "Probability above which a pixel is foreground.",
        ),
        "upper": Term(
            "upper level",
            three_digits,
            "An object grows from a seed of pixels beyond it: above it where objects are the "
            "foreground, below it where they are the background.",
        ),
        "min_seed": Term("smallest seed", whole, "Smaller seeds (pixels) make no object."),
        "min_object": Term("smallest object", whole, "Smaller objects (pixels) are removed."),
        "min_hole": Term("smallest hole", whole, "Smaller holes in objects (pixels) are filled."),
        "temperature": Term(
            "temperature",
            three_digits,
            "The logits are divided by it, so that probabilities mean what they say. It is above 1 "
            "where they were too sure. No mask depends on it.",
        ),
        "images": Term("test images", whole, "Images that were scored."),
        "seconds_train": Term("training time", duration, "Time the training took."),
        "seconds_predict": Term("prediction time", duration, "Time the prediction took."),
    },
}

HEADINGS = {key: term.heading for group in SCORE_TERMS.values() for key, term in group.items()}
