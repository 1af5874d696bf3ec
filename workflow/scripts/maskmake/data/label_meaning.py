"""Settling what the values of a data set's labels mean, and what is wrong with them.

``auto`` takes two values, whose higher one is foreground, and object numbers. It cuts labels at
half of their range where only blurred borders lie between two values. Everything else is a fault
that names the setting which accepts it, so that nothing is trained that nobody has said.
"""

from dataclasses import dataclass, field

import numpy as np

from maskmake.data.folded import Sentence, about
from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_faults import (
    FEW,
    HALF,
    MIDDLE,
    colour_fault,
    describe_values,
    ignore_faults,
    inversion_warning,
    label_range,
    likely_foreground,
    list_values,
    middle_fault,
    nodata_warning,
    polarity_findings,
    pool_values,
    third_value_fault,
    wrong_range_fault,
)
from maskmake.data.label_ignored import Ignore
from maskmake.data.label_names import describe_files
from maskmake.data.label_shades import shade_warnings
from maskmake.data.label_values import (
    ABOVE,
    NONZERO,
    OBJECTS,
    Histogram,
    colour_name,
    is_foreground,
    meaning_of,
)

# Pixels of other values than two, in a label of few values, that are slips of a drawing tool: 9 of
# a million in axon_sem. Where there are more than ``FEW`` values, blur is expected.
SLIPS = 1e-4


@dataclass(frozen=True)
class LabelSettings:
    """The settings of ``dataset`` that say what a label is.

    Attributes:
        foreground: "auto", "nonzero", "objects", a value or colour, or a list of these.
        threshold: share of the label range above which a pixel is foreground, in place of
            ``foreground``; None: ``foreground`` counts.
        tolerance: largest share of a label's pixels in the middle half of the range.
        empty: "accept" or "refuse" labels that are all background or all foreground.
        ignore: values, colours or "transparent" that count nowhere; None: what a file says is no
            data.
    """

    foreground: str | int | list[str | int] = "auto"
    threshold: float | None = None
    tolerance: float = 0.01
    empty: str = "refuse"
    ignore: Ignore = None


@dataclass
class Settled:
    """What the values of labels mean, and what is to be said of them.

    Attributes:
        meaning: text of ``label_values``; where there are faults, it only serves their page.
        faults, warnings: sentences.
    """

    meaning: str
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def settle(labels: dict[str, LabelFacts], settings: LabelSettings) -> Settled:
    """Say which values of a data set's labels are foreground.

    Args:
        labels: what each label looks like, by its path; at least one.
        settings: of the user.
    """
    if faults := list(ignore_faults(labels, settings.ignore)):
        return Settled(NONZERO, faults)
    threshold = settings.threshold
    if settings.foreground == "auto" and threshold is None and settings.tolerance == 1:
        threshold = HALF  # the tolerance accepts any label
    if threshold is not None:
        settled = _cut(labels, threshold, settings.tolerance)
    elif settings.foreground == "auto":
        settled = _automatic(labels, settings.tolerance)
    else:
        settled = _chosen(labels, settings.foreground)
    if settled.faults:  # which values are foreground is open, but a label of one value is not
        one_value = {path: found for path, found in labels.items() if len(_values(found)) == 1}
        labels = one_value if settings.empty == "refuse" else {}
    _check_sides(labels, settled, settings)
    settled.warnings.extend(nodata_warning(labels, settings.ignore))
    return settled


def propose_foreground(labels: dict[str, LabelFacts]) -> str | int | None:
    """A value of ``dataset.foreground`` for labels that auto refuses; None where none is likely.

    Args:
        labels: what each label looks like, by its path; at least one.
    """
    if not settle(labels, LabelSettings()).faults:
        return None
    pool = pool_values(labels)
    proposed: list[str | int] = []
    if any(facts.colour for facts in labels.values()):
        colours = [int(value) for value in pool.values[np.argsort(-pool.counts)] if value]
        proposed += map(colour_name, colours[:1])
    elif 2 < len(pool.values) <= FEW:
        proposed.append(likely_foreground(labels, pool))
    elif any(facts.pieces for facts in labels.values()):
        proposed.append(OBJECTS)
    accepted = (
        value
        for value in proposed
        if not settle(labels, LabelSettings(foreground=value)).faults
        and not shade_warnings(labels, meaning_of([value]))
    )
    return next(accepted, None)


# --- what the user says -------------------------------------------------------------------------


def _chosen(labels: dict[str, LabelFacts], foreground: str | int | list[str | int]) -> Settled:
    """Foreground is what the setting lists."""
    wanted = foreground if isinstance(foreground, list) else [foreground]
    settled = Settled(meaning_of(wanted))
    settled.warnings += shade_warnings(labels, settled.meaning)
    if wanted == [NONZERO]:
        return settled
    by_colour = isinstance(wanted[0], str) and wanted != [OBJECTS]
    coloured = [path for path, facts in labels.items() if facts.colour]
    if coloured and not by_colour:
        settled.faults.append(colour_fault(labels, coloured))
        return settled
    if wanted == [OBJECTS]:
        return settled
    missing = []
    for value in wanted:
        alone = meaning_of([value])
        if not any(_counts(facts, alone).any() for facts in labels.values()):
            missing.append(str(value))
    if missing:
        settled.faults.append(
            f"dataset.foreground: no label has {' or '.join(missing)}; found "
            f"{list_values(pool_values(labels), bool(coloured))}; expected values of the labels; "
            "correct the setting."
        )
    return settled


def _counts(facts: LabelFacts, meaning: str) -> np.ndarray:
    return is_foreground(facts.histogram.values, meaning, facts.colour)


def _cut(labels: dict[str, LabelFacts], threshold: float, tolerance: float) -> Settled:
    """Foreground is what lies above a share of the range, whatever values there are."""
    coloured = [path for path, facts in labels.items() if facts.colour]
    if coloured:
        return Settled(NONZERO, [colour_fault(labels, coloured)])
    largest = max(int(facts.histogram.values[-1]) for facts in labels.values())
    top = label_range(largest)
    settled = Settled(f"{ABOVE}{threshold * top:g}")
    settled.faults.extend(middle_fault(labels, threshold, tolerance, top))
    if numbered := [path for path, facts in labels.items() if facts.has_object_numbers]:
        settled.warnings.append(about(numbered, "label", _cut_numbers(settled.meaning)))
    for side, found in _one_sided(labels, settled.meaning).items():
        wrong = [path for path in found if not set(_values(labels[path])) <= {0, top}]
        settled.faults.extend(wrong_range_fault(labels, wrong, side, threshold, top))
    return settled


def _cut_numbers(meaning: str) -> str:
    return (
        f"the values look like object numbers, and only those {meaning} are foreground, so "
        "whole objects may become background; if they are numbers, set dataset.foreground to "
        "objects, in place of dataset.label_threshold and dataset.label_tolerance."
    )


# --- auto ---------------------------------------------------------------------------------------


def _automatic(labels: dict[str, LabelFacts], tolerance: float) -> Settled:
    coloured = [path for path, facts in labels.items() if facts.colour]
    if coloured:
        return Settled(NONZERO, [colour_fault(labels, coloured)])
    pool = pool_values(labels)
    values = pool.values
    if len(values) <= 2:
        settled = Settled(meaning_of([int(values[-1]) or 1]))
        settled.faults, settled.warnings = polarity_findings(labels, settled.meaning)
        settled.warnings.extend(inversion_warning(labels, pool))
        return settled
    if any(facts.has_object_numbers for facts in labels.values()) and all(
        facts.may_have_object_numbers for facts in labels.values()
    ):
        many = max(len(facts.pieces) for facts in labels.values())
        warning = (
            f"Labels with up to {many} values, each a connected region, are taken for object "
            "numbers: every value but 0 is foreground, with a line of background between objects "
            "that touch; if the values are classes, set dataset.foreground to those of the objects."
        )
        return Settled(OBJECTS, [], [warning])
    return _soft(labels, pool, tolerance)


def _soft(labels: dict[str, LabelFacts], pool: Histogram, tolerance: float) -> Settled:
    """Two values with blurred borders between them, or a fault."""
    least, largest = int(pool.values[0]), int(pool.values[-1])
    if least < 0 or largest > 65535:
        return Settled(NONZERO, [third_value_fault(labels, pool)])
    top = label_range(largest)
    settled = Settled(f"{ABOVE}{HALF * top:g}")
    ends = {_ends(facts, HALF * top) for facts in labels.values()} - {None}
    if not ends or any(_has_third_value(facts, top, ends) for facts in labels.values()):
        return Settled(NONZERO, [third_value_fault(labels, pool)])
    settled.faults.extend(middle_fault(labels, HALF, tolerance, top))
    if not settled.faults:
        settled.faults, settled.warnings = polarity_findings(labels, settled.meaning)
    return settled


def _ends(facts: LabelFacts, middle: float) -> tuple[int, int] | None:
    """The commonest values below and above the middle of the range, if there are both."""
    found = facts.histogram
    above = found.values > middle
    if above.all() or not above.any():
        return None
    low = found.values[~above][found.counts[~above].argmax()]
    high = found.values[above][found.counts[above].argmax()]
    return int(low), int(high)


def _has_third_value(facts: LabelFacts, top: int, known: set) -> bool:
    """Whether a label has a value that is neither of two, nor blur between them, nor a slip."""
    values, counts = facts.histogram.values, facts.histogram.counts
    ends = _ends(facts, HALF * top)
    if ends is None:  # all background or all foreground
        return len(values) > 1 or not any(values[0] in pair for pair in known)
    other = ~np.isin(values, ends)
    regions = counts[other & np.isin(values, list(facts.regions))].sum()
    if regions > SLIPS * facts.pixels:
        return True
    outside = other & ((values < MIDDLE[0] * top) | (values > MIDDLE[1] * top))
    return len(values) <= FEW and counts[outside].sum() > SLIPS * facts.pixels


# --- sides --------------------------------------------------------------------------------------


def _one_sided(labels: dict[str, LabelFacts], meaning: str) -> dict[str, list[str]]:
    sides: dict[str, list[str]] = {"background": [], "foreground": []}
    for path, facts in labels.items():
        inside = _counts(facts, meaning)
        if inside.all() or not inside.any():
            sides["foreground" if inside.all() else "background"].append(path)
    return sides


def _check_sides(labels: dict[str, LabelFacts], settled: Settled, settings: LabelSettings) -> None:
    """Labels that are all background or all foreground."""
    sides = _one_sided(labels, settled.meaning)
    empty = [path for paths in sides.values() for path in paths]
    if not empty:
        return
    if settings.empty == "accept" and len(max(sides.values(), key=len)) < len(labels):
        text = (
            f"{len(empty)} of {len(labels)} labels hold only background or only foreground, "
            f"such as {describe_files(empty[0])}; dataset.empty_labels accepts them."
        )
        settled.warnings.append(Sentence(text, empty))
        return
    for side, paths in sides.items():
        if paths:
            text = (
                f"every pixel is {side} ({describe_values(labels[paths[0]])}); expected "
                "background and foreground; remove the pair, or, where other labels have both, "
                "set dataset.empty_labels to accept."
            )
            settled.faults.append(about(paths, "label", text))


def _values(facts: LabelFacts) -> list[int]:
    return facts.histogram.values.tolist()
