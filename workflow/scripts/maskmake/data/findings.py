"""What looks wrong with the pairs of a data set: each finding, its level, and its pairs.

A fault stops the chain. A warning is worth a look. A note is for readers of the page alone.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.folded import Sentence, about, counted, page_name
from maskmake.data.image_findings import SMALLEST_SIDE, list_pages
from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_fit import ROBUST, OtherFit
from maskmake.data.label_names import describe_files
from maskmake.data.pair_facts import MANY_VALUES, SMALL_OBJECT, PairFacts, is_exchanged

Level = Literal["fault", "warning", "note"]

# Share of the pixels with the highest value of an image. Without clipping, a percent have it.
SATURATED = 0.2

# An image is nearly empty if so many of its pixels have one value, or if its values spread over so
# small a share of what those of the median image of its pixel type do.
EMPTY_PIXELS, EMPTY_SPREAD = 0.99, 0.03

# Robust z (Iglewicz and Hoaglin 1993): distance from the median, in deviations that the median
# absolute distance gives. They advise 3.5; with more, nuclei of DSB 2018, whose shares differ
# 50-fold, raise no alarm. With fewer values, a deviation means little.
FAR, FEWEST = 5.0, 8

# The deviation is never taken to be less: a tenth of a share, of a size or of a brightness is
# nothing to look at, however equal the others are.
LEAST_DEVIATION = 0.1

LEAST_SHARE = 1e-5  # a share of 0 has no odds; an empty label is a finding of its own


@dataclass(frozen=True)
class Finding:
    """A sentence and the ids of the pairs that it is about, the worst one first."""

    level: Level
    sentence: str
    ids: tuple[str, ...]


class Parts(NamedTuple):
    """A sentence of the audit in its parts; an empty text where it has no such part."""

    file: str
    found: str
    expected: str
    advice: str


def parts_of(sentence: str) -> Parts:
    """Take a sentence apart: file: found; expected what; advice."""
    text = sentence.removesuffix(".")
    file, colon, rest = text.partition(": ")
    if not colon or len(file.split("; ")) > 1:
        file, rest = "", text
    found, _, after = rest.partition("; expected ")
    if after:
        expected, _, advice = after.partition("; ")
    else:
        (found, _, advice), expected = rest.partition("; "), ""
    return Parts(file, found, expected, advice)


def pair_findings(
    manifest: pd.DataFrame,
    facts: dict[str, PairFacts],
    labels: dict[str, LabelFacts],
    fits: list[OtherFit],
) -> list[Finding]:
    """Everything that the facts of the pairs show.

    Args:
        manifest: of the audit.
        facts: of each pair, by its id.
        labels: what each label looks like, by the id of its image.
        fits: images that the label of another pair fits better, the clearest first.
    """
    table = manifest.assign(facts=manifest["id"].map(facts))
    exchanged = table[
        [
            is_exchanged(facts, labels[id_])
            for facts, id_ in zip(table["facts"], table["id"], strict=True)
        ]
    ]
    plain = table.drop(exchanged.index)
    findings = list(_small(table))
    if len(exchanged):
        findings.append(_exchange(exchanged))
    constant = np.array([facts.constant for facts in plain["facts"]], bool)
    findings.extend(_constant(plain[constant]))
    shown = plain[~constant]
    for check in (_saturated, _empty, _shares, _small_objects):
        findings.extend(check(shown))
    if fits:
        findings.append(_other_fits(manifest, fits))
    findings.extend(_looks_apart(shown))
    return findings


def _small(rows: pd.DataFrame) -> Iterator[Finding]:
    sides = rows[["height", "width"]].min(axis=1).sort_values(kind="stable")
    found = rows.loc[sides.index[sides < SMALLEST_SIDE]]
    if len(found):
        size = f"{found['height'].iloc[0]} x {found['width'].iloc[0]}"
        yield _of_files(
            "fault",
            found,
            "image",
            f"{size} pixels (height x width); expected at least {SMALLEST_SIDE} "
            "on each side, which the network needs; remove the image and its label.",
        )


def _exchange(rows: pd.DataFrame) -> Finding:
    first = rows.iloc[0]
    many = f" and so for {counted(len(rows) - 1, 'more pair')}" if len(rows) > 1 else ""
    return Finding(
        "fault",
        Sentence(
            f"{_name(first, 'image')}: at most 2 values, as in a label, and its label "
            f"{_name(first, 'label')} has {MANY_VALUES} or more, as in an image{many}; expected "
            "images in the one folder and labels in the other; exchange the files, or, where all "
            "are exchanged, dataset.images and dataset.labels.",
            list_pages(rows, "image"),
        ),
        tuple(rows["id"]),
    )


def _constant(rows: pd.DataFrame) -> Iterator[Finding]:
    empty = rows["foreground"] == 0
    levels: list[tuple[Level, pd.DataFrame]] = [("fault", rows[~empty]), ("warning", rows[empty])]
    for level, found in levels:
        if len(found):
            value = found["facts"].iloc[0].value
            nothing = " and nothing is labelled" if level == "warning" else ""
            yield _of_files(
                level,
                found,
                "image",
                f"every pixel has one value ({value:g}){nothing}; expected an "
                "image that shows something; replace the image, or remove it and its label.",
            )


def _saturated(rows: pd.DataFrame) -> Iterator[Finding]:
    found = _worst_first(rows, lambda facts: facts.at_top if facts.values > 2 else 0, SATURATED)
    if len(found):
        share = found["facts"].iloc[0].at_top
        yield _of_files(
            "warning",
            found,
            "image",
            f"{100 * share:.3g} % of the pixels have the highest value of the "
            "image; expected few, since nothing can be told apart where an image is saturated; "
            "look at the picture, and export it without clipping.",
        )


def _empty(rows: pd.DataFrame) -> Iterator[Finding]:
    found = _worst_first(rows, lambda facts: facts.commonest, EMPTY_PIXELS)
    if len(found):
        share = found["facts"].iloc[0].commonest
        yield _of_files(
            "warning",
            found,
            "image",
            f"{100 * share:.4g} % of the pixels have one value, so the image is "
            "nearly empty; expected an image that shows what is labelled; look at it, and remove "
            "the pair if it shows nothing.",
        )
    rest = rows.drop(found.index)
    for _, alike in rest.groupby("dtype", sort=False):
        median = float(np.median([facts.spread for facts in alike["facts"]]))
        flat = _worst_first(alike, lambda facts: -facts.spread, -EMPTY_SPREAD * median)
        if len(flat) and median:
            yield _of_files(
                "warning",
                flat,
                "image",
                "nearly no contrast, 99 % of the values lie within "
                f"{flat['facts'].iloc[0].spread:.3g}, and within {median:.3g} in the median image; "
                "expected images of similar contrast; look whether the image is empty.",
            )


def _shares(rows: pd.DataFrame) -> Iterator[Finding]:
    labelled = rows[(rows["foreground"] > 0) & (rows["foreground"] < 1)]
    share = labelled["foreground"].to_numpy(float).clip(LEAST_SHARE, 1 - LEAST_SHARE)
    far = far_places(np.log(share / (1 - share)))
    if far:
        found = labelled.iloc[far]
        yield _of_files(
            "warning",
            found,
            "label",
            f"foreground is {100 * found['foreground'].iloc[0]:.3g} % of the pixels, in the "
            f"median label {100 * float(np.median(share)):.3g} %; expected shares nearer to each "
            "other; look whether the label is complete and belongs to its image.",
        )


def _small_objects(rows: pd.DataFrame) -> Iterator[Finding]:
    found = _worst_first(rows, lambda facts: facts.small_objects, 1)
    if len(found):
        counts = [facts.small_objects for facts in found["facts"]]
        together = f", {sum(counts)} together" if len(counts) > 1 else ""
        yield _of_files(
            "warning",
            found,
            "label",
            f"{counted(counts[0], 'object')} below "
            f"{SMALL_OBJECT} pixels{together}; expected objects, not specks; remove them if they "
            "are slips of the tool, since scores of objects count each of them.",
        )


def _other_fits(manifest: pd.DataFrame, fits: list[OtherFit]) -> Finding:
    fit, many = fits[0], ""
    if len(fits) > 1:
        many = f" and so for {counted(len(fits) - 1, 'more image')}"
    own = manifest[manifest["id"] == fit.image].iloc[0]
    other = manifest[manifest["id"] == fit.label].iloc[0]
    images = dict(zip(manifest["id"], list_pages(manifest, "image"), strict=True))
    return Finding(
        "warning",
        Sentence(
            f"{_name(own, 'image')}: {_name(other, 'label')} fits it better than its own label "
            f"(agreement of edges {fit.other:.2f} against {fit.own:.2f}){many}; expected each "
            "label to fit its own image best; look whether labels are shifted by one or exchanged.",
            [images[fit.image] for fit in fits],
        ),
        tuple(fit.image for fit in fits),
    )


def _looks_apart(rows: pd.DataFrame) -> Iterator[Finding]:
    """Sizes and brightness far from those of the others."""
    sizes = np.log((rows["height"] * rows["width"]).to_numpy(float))
    if far := far_places(sizes):
        found = rows.iloc[far]
        size = f"{found['height'].iloc[0]} x {found['width'].iloc[0]}"
        yield _of_files(
            "note",
            found,
            "image",
            f"{size} pixels (height x width), a size far from those of the "
            "others; look whether the scale is the same.",
        )
    for _, alike in rows.groupby(["dtype", "channels"], sort=False):
        brightness = np.array([facts.brightness for facts in alike["facts"]])
        if far := far_places(brightness, LEAST_DEVIATION * float(np.abs(brightness).max())):
            found = alike.iloc[far]
            yield _of_files(
                "note",
                found,
                "image",
                f"mean brightness {found['facts'].iloc[0].brightness:.4g}, "
                f"{np.median(brightness):.4g} in the median image; look whether it was taken as "
                "the others.",
            )


# --- shared -----------------------------------------------------------------------------------


def far_places(values: np.ndarray, least: float = LEAST_DEVIATION) -> list[int]:
    """Places of the values whose robust z is above ``FAR``, the farthest first.

    Args:
        values: (N,) finite.
        least: the deviation is taken to be at least this.
    """
    if len(values) < FEWEST:
        return []
    distance = np.abs(values - np.median(values))
    z = distance / max(ROBUST * float(np.median(distance)), least)
    order = np.argsort(-z, kind="stable")
    return [int(place) for place in order if z[place] > FAR]


def _worst_first(
    rows: pd.DataFrame, measure: Callable[[PairFacts], float], least: float
) -> pd.DataFrame:
    """The rows whose facts measure at least so much, in descending order."""
    measured = np.array([measure(facts) for facts in rows["facts"]], float)
    order = np.argsort(-measured, kind="stable")
    return rows.iloc[order[measured[order] >= least]]


def _of_files(level: Level, rows: pd.DataFrame, kind: str, text: str) -> Finding:
    """What was found in the images or labels of some pairs."""
    return Finding(level, about(list_pages(rows, kind), kind, text), tuple(rows["id"]))


def _name(row: pd.Series, kind: str) -> str:
    """The image or label of a pair, as people are told it."""
    return page_name(describe_files(row[kind]), row["page"])


def sentences(findings: Iterable[Finding], level: Level) -> list[str]:
    """The sentences of one level."""
    return [finding.sentence for finding in findings if finding.level == level]
