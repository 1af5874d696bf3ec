"""The first screen: what was trained, which scores count for these data, and why."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.data_source import named_places
from maskmake.report.inputs import Run
from maskmake.report.layers import LABEL, Look
from maskmake.report.sentences import objects_of
from maskmake.report.terms import HEADINGS, SCORE_TERMS, counted, duration, number, percent
from maskmake.scores.scorecard import headline_score

MATTERING = 6

# Objects are thin if they are at most so many pixels wide, and so many times as long.
THIN, LONG = 12, 10
SEVERAL = 2  # objects in an image, in the middle of the test images


class Counting(NamedTuple):
    """A score that counts for these data, and why."""

    key: str
    reason: str


def counting_scores(best: Run, looks: Sequence[Look]) -> list[Counting]:
    """The scores that fit the data: the first ranks runs, the others say what it leaves out.

    Args:
        best: the run.
        looks: of its test images.
    """
    metrics, objects = best.metrics, objects_of(best.decision)
    rare = headline_score(metrics) == "foreground_dice"
    found = [
        Counting(
            headline_score(metrics),
            "foreground is rare, and scores with the background in them say little"
            if rare
            else "foreground and background both count",
        )
    ]
    counts = [look.objects[LABEL] for look in looks]
    if best.decision["upper"] is not None or objects == "background":
        of_run = (
            "a second level separates objects"
            if best.decision["upper"] is not None
            else "objects are the background"
        )
        found.append(
            Counting("v_rand", f"{of_run}, and it falls where two are merged or one is split")
        )
    width = _width(looks)
    if width <= THIN and _length(looks, width) > LONG * width:
        found.append(
            Counting(
                f"{objects}_cldice",
                f"objects are thin, about {number(width, 0)} pixels wide, and it falls where one "
                "is broken",
            )
        )
    elif len(found) == 1 and np.median(counts) >= SEVERAL:
        found.append(Counting("object_f1", "it counts the objects that are found, not the pixels"))
    return found


def _width(looks: Sequence[Look]) -> float:
    """Pixels across the objects: a line of width w has 2 / w of its pixels at its border."""
    border = sum(look.border for look in looks)
    return 2 * sum(look.area for look in looks) / border if border else np.inf


def _length(looks: Sequence[Look], width: float) -> float:
    """Pixels along an object."""
    objects = sum(look.objects[LABEL] for look in looks)
    return sum(look.area for look in looks) / (objects * width) if objects else 0.0


def mattering_keys(counting: Sequence[Counting]) -> list[str]:
    """The six scores that are shown first."""
    usual = ["mean_dice", "foreground_dice", "boundary_f1", "precision", "recall", "v_rand"]
    return list(dict.fromkeys([*(score.key for score in counting), *usual]))[:MATTERING]


def reason_sentence(counting: Sequence[Counting]) -> str:
    """Why these scores were chosen."""
    parts = [f"{HEADINGS[score.key]}, because {score.reason}" for score in counting]
    return f"What counts here: {'; and '.join(parts)}."


def headline_scores(best: Run, counting: Sequence[Counting]) -> list[tuple[str, str, str]]:
    """Heading, value and remark of the numbers at the top of the page.

    Args:
        best: the run.
        counting: the scores that come first.
    """
    keys = [*(score.key for score in counting), "foreground_dice", "mean_dice"]
    tiles = [_tile(best.metrics, key) for key in list(dict.fromkeys(keys))[:4]]
    accuracy = percent(best.metrics["pixel_accuracy"])
    majority = percent(best.metrics["majority_accuracy"])
    return [*tiles, ("pixel accuracy", accuracy, f"majority: {majority}")]


def _tile(metrics: Mapping, key: str) -> tuple[str, str, str]:
    term = next(terms[key] for terms in SCORE_TERMS.values() if key in terms)
    value, low, high = (metrics.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if value is None or pd.isna(value):
        sure = "not defined for these images"
    elif low is None or pd.isna(low):
        sure = "too few images for an interval"
    else:
        sure = f"95 %: {term.form(low)} to {term.form(high)}"
    return term.heading, term.form(value), sure


def span(numbers: Sequence[int], noun: str) -> str:
    """Numbers of the networks of a run, with their noun: "1 epoch", "12 to 40 epochs"."""
    low, high = min(numbers), max(numbers)
    return f"{number(low, 0)} to {counted(high, noun)}" if low < high else counted(high, noun)


def repetitions(best: Run) -> str:
    """In how many folds and with how many seeds a run was trained; empty for one of each."""
    folds = len({training["fold"] for training in best.trainings})
    seeds = len(best.trainings) // folds
    in_folds = f" in {counted(folds, 'fold')}" if folds > 1 else ""
    return f"{in_folds} with {counted(seeds, 'seed')}" if seeds > 1 else in_folds


def training_sentence(best: Run, table: pd.DataFrame, settings: Mapping) -> str:
    """What the best run was trained on, with what, for how long, where and when."""
    first = best.trainings[0]
    used: Mapping = first["settings"]
    roles = table["role"].value_counts()
    validation = int(roles.get("validation", 0))
    chosen = f", with {number(validation, 0)} more for validation" if validation else ""
    place = named_places(settings["dataset"])["images"]
    epochs = span([len(history) for history in best.histories], "epoch")
    seconds = sum(training["seconds"] for training in best.trainings)
    devices = ", ".join(sorted({training["device"] for training in best.trainings}))
    dates = sorted(training.get("finished", "") for training in best.trainings)
    date = f", finished on {dates[-1]}" if dates[-1] else ""
    return (
        f"Trained{repetitions(best)} on "
        f"{counted(int(roles.get('train', 0)), 'image')} of {place}{chosen}: "
        f"{used['architecture']} with the encoder {used['encoder']}, {epochs}, "
        f"{duration(seconds)} on {devices}{date}."
    )
