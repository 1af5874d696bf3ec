"""The sentences of the report, each made from the numbers that it states."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from maskmake.data.object_class import ObjectName
from maskmake.masks.objectives import DIGITS, OBJECTIVE_NAMES, TINY, digits_to_show
from maskmake.masks.specks import CAUSES, KINDS, LARGE
from maskmake.report.inputs import Run, labelled_pixels
from maskmake.report.terms import (
    CAUSE_TERMS,
    HEADINGS,
    counted,
    images_of_groups,
    number,
    percent,
    signed_range,
)
from maskmake.scores.bootstrap import MIN_GROUPS_FOR_VERDICT, RESAMPLES
from maskmake.scores.comparison import (
    ANOTHER_SEED,
    NO_DIFFERENCE,
    TOO_SMALL,
    UNCLEAR,
    UNKNOWN,
)
from maskmake.scores.scorecard import headline_score

# Up to this temperature, or down to its inverse, probabilities need no correction.
HONEST = 1.05


def result_sentence(best: Run, table: pd.DataFrame) -> str:
    """The result of the best run.

    Args:
        best: the run.
        table: the manifest with roles; the more common class is that of its test images.
    """
    metrics = best.metrics
    test = table[table["role"] == "test"]
    share = np.average(test["foreground"], weights=labelled_pixels(test))
    majority = "foreground" if share >= 0.5 else "background"
    if headline_score(metrics) == "foreground_dice":
        return (
            f"On {counted(metrics['images'], 'held-out image')} the foreground Dice of the run "
            f"“{best.name}” is {number(metrics['foreground_dice'], 3)}. Foreground is rare, "
            f"{percent(metrics['foreground'])} of the pixels, so scores with the background in "
            f"them say little: mean Dice {number(metrics['mean_dice'], 3)}, background Dice "
            f"{number(metrics['background_dice'], 3)}, and {percent(metrics['pixel_accuracy'])} of "
            f"the pixels right (calling everything “{majority}” would give "
            f"{percent(metrics['majority_accuracy'])})."
        )
    return (
        f"On {counted(metrics['images'], 'held-out image')} the run “{best.name}” labels "
        f"{percent(metrics['pixel_accuracy'])} of the pixels right (calling everything "
        f"“{majority}” would give {percent(metrics['majority_accuracy'])}); its Dice is "
        f"{number(metrics['foreground_dice'], 3)} for the foreground and "
        f"{number(metrics['background_dice'], 3)} for the background."
    )


def objects_of(learned: Mapping) -> ObjectName:
    """The class of the objects in the contents of ``decision.json``."""
    return learned.get("objects", "foreground")


def objects_sentence(learned: Mapping) -> str:
    """Which class the objects are, and why where that is known.

    Args:
        learned: contents of ``decision.json``.
    """
    reason = learned.get("objects_reason", "")
    return (
        f"Objects are the connected parts of the {objects_of(learned)}: clean-up, lines, specks "
        f"and the scores of objects and borders are those of this class. {reason}"
    ).rstrip()


def calibration_sentences(metrics: Mapping, per_image: pd.DataFrame) -> list[str]:
    """What the temperature did, and how far the expected Dice can be trusted.

    Args:
        metrics: contents of ``metrics.json``.
        per_image: table of ``per_image.csv``.
    """
    temperature = metrics["temperature"]
    if temperature > HONEST:
        verdict = "overconfident: its probabilities are too close to 0 and 1"
    elif temperature < 1 / HONEST:
        verdict = "underconfident: its probabilities are too far from 0 and 1"
    else:
        verdict = "honest: a temperature hardly changes its probabilities"
    before, after = metrics["ece"], metrics["ece_calibrated"]
    # By the digits that are shown.
    change = "lowers" if round(after, DIGITS) < round(before, DIGITS) else "does not lower"
    sentences = [
        f"On the validation images the network is {verdict}. The temperature learned there is "
        f"{number(temperature, 2)}.",
        f"On the test images it {change} the calibration error: {number(before, 4)} before, "
        f"{number(after, 4)} after; the Brier score is {number(metrics['brier'], 4)} before and "
        f"{number(metrics['brier_calibrated'], 4)} after.",
    ]
    misses = (per_image["expected_mean_dice"] - per_image["mean_dice"]).dropna()
    if len(misses):
        sentences.append(
            "The Dice expected from the calibrated probabilities, without a label, misses the real "
            f"mean Dice of {counted(len(misses), 'test image')} by {number(misses.abs().mean(), 3)}"
            f" on average and by {number(misses.abs().max(), 3)} at most."
        )
    return sentences


def verdict_sentences(pairs: pd.DataFrame, score: str = "mean_dice") -> list[str]:
    """How runs differ in the score that ranks them, and how far seeds are apart.

    Args:
        pairs: table of ``comparison_pairs.csv``.
        score: see ``scorecard.headline_score``.
    """
    pairs = pairs[pairs["score"] == score]
    seeds = pairs["verdict"] == ANOTHER_SEED
    compared = [_verdict_sentence(row) for row in pairs[~seeds].itertuples()]
    return compared + _seed_sentences(pairs[seeds])


def _seed_sentences(pairs: pd.DataFrame) -> list[str]:
    """A sentence for each recipe of several runs, from the pairs of its best run."""
    firsts = pairs[~pairs["run"].isin(pairs["other"])]
    sentences = []
    for run, others in firsts.groupby("run", sort=False):
        names = [f"“{name}”" for name in (run, *others["other"])]
        gap = others["difference"].abs().max()
        sentences.append(
            f"{', '.join(names[:-1])} and {names[-1]} differ in their seed alone, and by "
            f"{number(gap, digits_to_show(gap))} at most in {HEADINGS[others['score'].iloc[0]]}."
        )
    return sentences


def _verdict_sentence(row) -> str:
    names, score = f"“{row.run}” and “{row.other}”", HEADINGS[row.score]
    if row.images == 0:
        return f"{names} cannot be compared: one of them has no {score}."
    if row.verdict == NO_DIFFERENCE:
        return f"{names}: no difference in {score}."
    if row.difference == 0:
        return f"{names}: equal {score} over all test images, but not in each of them."
    gain = f"by {number(row.difference, digits_to_show(row.difference))} in {score}"
    if row.groups < MIN_GROUPS_FOR_VERDICT:
        images = images_of_groups(row.images, row.groups)
        return (
            f"“{row.run}” is ahead of “{row.other}” {gain}, but {images} cannot show which of "
            "them is better."
        )
    if row.verdict == UNKNOWN:
        return (
            f"“{row.run}” is ahead of “{row.other}” {gain}, but whether it is with other seeds is "
            f"not known, since one of theirs has no {score}."
        )
    evidence = _evidence(row)
    if row.verdict == TOO_SMALL:
        wide = max(-row.low, row.high) >= row.smallest
        doubt = " The interval holds larger ones, too." if wide else ""
        return (
            f"{names}: no difference that matters. “{row.run}” is ahead {gain}, less than "
            f"{row.smallest:g} {evidence}.{doubt}"
        )
    if row.verdict == UNCLEAR:
        return f"{names}: no clear difference. “{row.run}” is ahead {gain} {evidence}."
    return f"“{row.run}” is better than “{row.other}” {gain} {evidence}."


def _evidence(row) -> str:
    """The interval of a difference, and what it holds."""
    bounds = f"(95 % interval {signed_range(row.low, row.high)}; "
    if row.run_seeds == row.other_seeds == 1:
        return (
            f"{bounds}better in {percent(row.share)} of {number(RESAMPLES, 0)} resamples of the "
            "test images; the interval allows for other test images, not for another seed)"
        )
    return f"{bounds}it allows for other test images and, from {_seeds(row)}, for other seeds)"


def _seeds(row) -> str:
    if row.run_seeds == row.other_seeds:
        return f"{row.run_seeds} seeds each"
    return f"{row.run_seeds} and {row.other_seeds} seeds"


def speck_sentences(specks: Mapping, learned: Mapping) -> list[str]:
    """Why there are false objects and holes: the most frequent cause first, then the others.

    Args:
        specks: contents of ``specks.json``.
        learned: contents of ``decision.json``.
    """
    where = f"on validation images at threshold {learned['threshold']:.3f}"
    if specks["verdict"] == "none":
        pieces = counted(specks["components"], "object")
        return [f"No specks: none of the {pieces} and holes {where} is false."]
    describe = {
        "threshold": _describe_threshold,
        "size": _describe_size,
        "model_or_label": _describe_model,
    }
    causes, total = specks["causes"], counted(specks["false"], "false component")
    ordered = sorted(CAUSES, key=lambda cause: (cause != specks["verdict"], -causes[cause]))
    return [
        (f"A {CAUSE_TERMS[cause][0]} problem: " if cause == specks["verdict"] else "Beside it, ")
        + f"{causes[cause]} of the {total} "
        + describe[cause](specks["by_cause"][cause], specks, learned)
        for cause in ordered
        if causes[cause]
    ]


def _describe_threshold(found: Mapping, specks: Mapping, learned: Mapping) -> str:
    gone_at = specks["free_thresholds"][::-1]  # objects, holes
    if objects_of(learned) == "background":
        gone_at = gone_at[::-1]
    gone = [
        f"{counted(found[plural], kind)} at {threshold:.3f}"
        for (kind, plural), threshold in zip(KINDS.items(), gone_at, strict=True)
        if found[plural]
    ]
    costs = f"cost {TINY} of {OBJECTIVE_NAMES[learned['objective']]} or less"
    if learned["threshold"] in gone_at:
        costs += ", or are the learned one"
    return (
        f"are unsure and gone at thresholds that {costs}: "
        f"{' and '.join(gone)} ({found['only_at_half']} of them are in the masks at 0.5 and gone "
        f"at the learned {learned['threshold']:.3f} already)."
    )


def _describe_size(found: Mapping, specks: Mapping, learned: Mapping) -> str:
    means = [
        f"{plural} of mean probability {found['mean_probability'][plural]:.2g}"
        for plural in KINDS.values()
        if found[plural]
    ]
    if found["cleaned"]:
        cure = (
            f"the learned clean-up (objects below {learned['min_object']}, holes below "
            f"{learned['min_hole']} pixels) removes {found['cleaned']} of them, and "
            f"{counted(specks['cleaned_true'], 'true component')}."
        )
    else:
        cure = f"only a clean-up by size could remove them. {learned['clean_up_reason']}"
    return (
        f"are small and too sure for a threshold ({' and '.join(means)}; median "
        f"{found['median_size']:.0f} pixels, largest {found['largest']['size']}): {cure}"
    )


def _describe_model(found: Mapping, specks: Mapping, learned: Mapping) -> str:
    small = found["objects"] + found["holes"] - found["large"]
    reasons = []
    if small:
        taken = counted(found["true_as_small"], "true component")
        reasons.append(f"a clean-up of {small} of them would take {taken} with them")
    if found["large"]:
        reasons.append(f"{found['large']} have {LARGE} pixels or more")
    largest = found["largest"]
    kind = {"object": "an object", "hole": "a hole"}[largest["kind"]]
    return (
        "are too sure for a threshold, and no size separates them from true ones: "
        f"{' and '.join(reasons)}. Either the label is wrong there or the model is; the largest, "
        f"{largest['size']} pixels, is {kind} in image {largest['image']} at row {largest['row']}, "
        f"column {largest['column']}."
    )
