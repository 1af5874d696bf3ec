"""The sentences about the values of a data set's labels; equal faults of many labels are one."""

from collections.abc import Callable, Iterator

import numpy as np

from maskmake.data.folded import Sentence, about, counted, name_files
from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_files import is_shown_inverted
from maskmake.data.label_ignored import TRANSPARENT, Ignore
from maskmake.data.label_names import describe_files, split_files
from maskmake.data.label_shades import EXACT, shade_warnings
from maskmake.data.label_values import NONZERO, Histogram, colour_name, merged

HALF = 0.5  # of the range of the labels

# The middle half of the label range is neither background nor foreground.
MIDDLE = (0.25, 0.75)

FEW = 8  # so many values may be classes, and each of them is looked for in the labels

LISTED = 6  # values in a sentence

VOIDS = (255, 65535)  # many programs give them to pixels that they know nothing about

# Two polarities: the shares of foreground lie on both sides of a half, so far apart, those of one
# side are the complement of the other's, and the contrast in the images has the opposite sign.
POLARITY_GAP, POLARITY_COMPLEMENT, POLARITY_CONTRAST = 0.3, 0.15, 0.2


def label_range(largest: int) -> int:
    """Top of the range of label values (1, 255, 65535 or what follows) that holds ``largest``."""
    return next(top for top in (1, 255, 65535, 2**32 - 1, 2**64) if largest <= top)


def wrong_range_fault(
    labels: dict[str, LabelFacts], paths: list[str], side: str, threshold: float, top: int
) -> Iterator[str]:
    """Labels that the threshold makes all background or all foreground."""
    if paths:
        yield about(
            paths,
            "label",
            f"every pixel is {side} ({describe_values(labels[paths[0]])}), since"
            f" the labels of the data set range from 0 to {top} and dataset.label_threshold "
            f"{threshold:g} makes values above {threshold * top:g} foreground; expected 0 and "
            f"{top}; convert the label (class and instance numbers, too), fix the threshold, or "
            "set dataset.foreground in its place.",
        )


def third_value_fault(labels: dict[str, LabelFacts], pool: Histogram) -> str:
    """More than two values: which, how often, where, and what to set."""
    carriers = {
        int(value): [path for path, facts in labels.items() if value in facts.histogram.values]
        for value in (pool.values if len(pool.values) <= FEW else pool.values[:0])
    }
    rare = [value for value, paths in carriers.items() if len(paths) <= len(labels) / 2]
    if rare:
        value = min(rare, key=lambda value: (len(carriers[value]), -value))
        pixels = int(pool.counts[pool.values == value][0])
        has = "alone has" if len(carriers[value]) == 1 else "have"
        files = carriers[value]
        found = f"{name_files(files, 'label')} {has} the value {value}, in {pixels} pixels"
    else:
        most = max(labels, key=lambda path: len(labels[path].histogram.values))
        files = [most, *(path for path in labels if path != most)]
        found = f"{describe_files(most)}: {describe_values(labels[most])}"
    guess = "set dataset.foreground to the value or the list of values that is foreground"
    if len(pool.values) <= FEW:
        likely = likely_foreground(labels, pool)
        guess = f"{guess}, such as {likely}, or to nonzero for all but 0"
        void = int(pool.values[-1])
        if likely < void and void in VOIDS:
            guess = f"{guess}; if {void} marks pixels to be ignored, set dataset.ignore to {void}"
    if any(facts.pieces for facts in labels.values()):
        advice = f"if they number objects, set dataset.foreground to objects; if classes, {guess}"
    elif len(pool.values) <= FEW:
        advice = guess
    else:
        advice = f"{guess}, or dataset.label_threshold to {HALF:g} to cut at half of the range"
    together = f"{counted(len(labels), 'label')} together have {list_values(pool, False)}"
    return Sentence(
        f"{found}; {together}; expected "
        f"two values, the higher one foreground; {advice}, or convert the labels.",
        files,
    )


def likely_foreground(labels: dict[str, LabelFacts], pool: Histogram) -> int:
    """The commonest value but 0, and but 255 or 65535 beside far lower ones in the same label.

    Many programs mark pixels with these that they know nothing about.
    """
    likely, top = pool.values != 0, int(pool.values[-1])
    found = [facts.histogram.values for facts in labels.values()]
    if top in VOIDS and any(
        values[-1] == top and ((values != 0) & (values < MIDDLE[0] * top)).any() for values in found
    ):
        likely &= pool.values < top
    return int(pool.values[likely][pool.counts[likely].argmax()])


def colour_fault(labels: dict[str, LabelFacts], coloured: list[str]) -> str:
    """The sentence on labels in colours of which none is said to be foreground."""
    pool = pool_values({path: labels[path] for path in coloured})
    colours = [int(value) for value in pool.values[np.argsort(-pool.counts)] if value]
    found = f"a coloured label; found {list_values(pool, True)}"
    likely = colour_name(colours[0])
    if any(shade_warnings(labels, meaning) for meaning in (likely, NONZERO)):
        text = f"{found}; expected a colour for each class, without shades; {EXACT}."
        return about(coloured, "label", text)
    return about(
        coloured,
        "label",
        f"{found}; expected "
        "one grey channel; set dataset.foreground to the colour or the list of colours that is "
        f"foreground, such as '{likely}', to nonzero for all but black, or "
        "convert the file.",
    )


def middle_fault(
    labels: dict[str, LabelFacts], threshold: float, tolerance: float, top: int
) -> Iterator[str]:
    """Labels with too many pixels between background and foreground."""
    low, high = MIDDLE[0] * top, MIDDLE[1] * top
    shares: dict[str, float] = {}
    for path, facts in labels.items():
        values, counts = facts.histogram.values, facts.histogram.counts
        share = counts[(values >= low) & (values <= high)].sum() / facts.pixels
        if share > tolerance:
            shares[path] = share
    if shares:
        worst = max(shares, key=lambda path: shares[path])
        found = labels[worst].histogram
        middle = (found.values >= low) & (found.values <= high)
        commonest = found.values[middle][found.counts[middle].argmax()]
        more = f" (the most of {len(shares)} such labels)" if len(shares) > 1 else ""
        yield Sentence(
            f"{describe_files(worst)}: {100 * shares[worst]:.4g} % of the pixels are neither "
            f"background nor foreground{more} (most often the value {commonest}); expected at most "
            f"{100 * tolerance:.4g} % between {low:g} and {high:g}, the middle of the range "
            f"0-{top}; give each pixel 0 or {top}, or set dataset.label_tolerance to 1 to cut at "
            f"dataset.label_threshold {threshold:g}.",
            [worst, *(path for path in shares if path != worst)],
        )


def polarity_findings(labels: dict[str, LabelFacts], meaning: str) -> tuple[list[str], list[str]]:
    """Faults and warnings on labels in which foreground and background are exchanged.

    The shares alone are a warning, because images differ. With the contrast of the images it is
    a fault.
    """
    shares = {path: facts.share(meaning) for path, facts in labels.items()}
    low = [path for path, share in shares.items() if 0 < share < HALF]
    high = [path for path, share in shares.items() if HALF <= share < 1]
    if not low or not high:
        return [], []
    middle = [float(np.median([shares[path] for path in side])) for side in (low, high)]
    gap = min(shares[path] for path in high) - max(shares[path] for path in low)
    if gap < POLARITY_GAP or abs(middle[0] + middle[1] - 1) > POLARITY_COMPLEMENT:
        return [], []
    found = (
        f"two polarities: foreground is {100 * middle[0]:.3g} % of the pixels in "
        f"{name_files(low, 'label')}, and {100 * middle[1]:.3g} % in {name_files(high, 'label')}"
    )
    contrast = {path: labels[path].contrast for path in [*low, *high]}
    clear = [path for path, value in contrast.items() if abs(value) >= POLARITY_CONTRAST]
    if len(clear) < len(contrast):  # NaN is not clear either
        text = f"{found}; look whether the labels of one kind are inverted."
        return [], [Sentence(text, [*low, *high])]
    signs = [{contrast[path] > 0 for path in side} for side in (low, high)]
    if len(signs[0]) == len(signs[1]) == 1 and signs[0] != signs[1]:
        parts = ("brighter", "darker") if signs[0] == {True} else ("darker", "brighter")
        value = meaning if meaning.isdigit() else NONZERO
        text = (
            f"{found}; it is the {parts[0]} part of the image in the former and the {parts[1]} "
            "part in the latter; expected one meaning of each value; invert the labels of one "
            f"kind, or, if all are right, set dataset.foreground to {value}."
        )
        return [Sentence(text, [*low, *high])], []
    return [], []


def inversion_warning(labels: dict[str, LabelFacts], pool: Histogram) -> Iterator[str]:
    """Labels whose foreground a viewer shows darker than their background."""
    if len(pool.values) < 2:
        return
    low, high = (int(value) for value in pool.values)
    inverted = [path for path in labels if is_shown_inverted(split_files(path)[0], low, high)]
    if inverted:
        share = np.mean([labels[path].share(str(high)) for path in inverted])
        yield about(
            inverted,
            "label",
            f"viewers show {high} darker than {low} (an inverting look-up "
            f"table or a palette); the stored values count, so {high} is foreground, "
            f"{100 * share:.3g} % of the pixels; if it is not, set dataset.foreground to {low}.",
        )


def pool_values(labels: dict[str, LabelFacts]) -> Histogram:
    """The values of all labels; where one has colours, the grey of others as colours."""
    colour = any(facts.colour for facts in labels.values())
    return merged(
        [
            Histogram(found.values * 0x10101, found.counts) if colour and not coloured else found
            for found, coloured in ((facts.histogram, facts.colour) for facts in labels.values())
        ]
    )


def list_values(pool: Histogram, colour: bool) -> str:
    """The commonest values, ascending, with their shares, and how many others there are."""
    commonest = np.sort(np.argsort(-pool.counts, kind="stable")[:LISTED])
    total = pool.counts.sum()
    name: Callable[[int], str] = colour_name if colour else str
    listed = ", ".join(
        f"{name(int(pool.values[i]))} ({100 * pool.counts[i] / total:.3g} %)" for i in commonest
    )
    left = len(pool.values) - len(commonest)
    return f"{listed} and {left} more values" if left else listed


def describe_values(facts: LabelFacts) -> str:
    """The values of a label in words: up to two of them, or how many in which range."""
    values = facts.histogram.values
    if facts.colour:
        return f"{len(values)} colours"
    if len(values) == 1:
        return f"the value {values[0]}"
    if len(values) == 2:
        return f"the values {values[0]} and {values[1]}"
    return f"{len(values)} values from {values[0]} to {values[-1]}"


def ignore_faults(labels: dict[str, LabelFacts], ignore: Ignore) -> Iterator[str]:
    """Ignored values that no label has, transparent pixels, and no data where all is labelled."""
    listed = ignore if isinstance(ignore, list) else [] if ignore is None else [ignore]
    found = frozenset().union(*(facts.ignored_by for facts in labels.values()))
    if missing := [str(value) for value in listed if str(value).lower() not in found]:
        yield (
            f"dataset.ignore: no label has {' or '.join(missing)} pixels; expected what labels "
            "have; correct the setting."
        )
    clear = [path for path, facts in labels.items() if facts.clear]
    if clear and TRANSPARENT not in listed and ignore != []:
        yield about(
            clear,
            "label",
            "pixels are transparent; expected opaque labels; set "
            "dataset.ignore to transparent if these pixels are not to count, to [] to drop the "
            "transparency, or save the labels without it.",
        )
    left = pool_values(labels).values
    tagged = [path for path, facts in labels.items() if facts.ignored]
    if ignore is None and tagged and len(left) == 1:
        nodata = labels[tagged[0]].nodata
        yield about(
            tagged,
            "label",
            f"the file says that {nodata} is no data, and all other pixels "
            f"are {left[0]}; expected background and foreground; set dataset.ignore to [] if "
            f"{nodata} is background, or correct the nodata tag.",
        )


def nodata_warning(labels: dict[str, LabelFacts], ignore: Ignore) -> Iterator[str]:
    """Labels of which pixels are ignored because the file says that they have no data."""
    tagged = [path for path, facts in labels.items() if facts.ignored]
    if ignore is None and tagged:
        counts = np.sum([[labels[path].ignored, labels[path].pixels] for path in tagged], axis=0)
        yield about(
            tagged,
            "label",
            f"the file says that {labels[tagged[0]].nodata} is no data; "
            f"{100 * counts[0] / counts.sum():.3g} % of the pixels are ignored; to count them, set "
            "dataset.ignore to [].",
        )
