"""What is learned on validation images: the decision that makes masks, and the temperature."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from maskmake.data.fingerprint import Plan
from maskmake.data.labels import is_labelled, where_labelled
from maskmake.data.object_class import ObjectName
from maskmake.data.pixel_store import PixelStore
from maskmake.data.splits import check_classes
from maskmake.masks.decision import (
    Calibration,
    Decision,
    LearnedDecision,
    LearnedMethod,
    TriedDecision,
    apply_decision,
    decision_contents,
    other_level,
    stored_decision,
)
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.object_terms import foreground_terms, object_cases, resolve_objects
from maskmake.masks.objectives import OBJECTIVE_NAMES, OBJECTIVES, TINY, error_of_differences
from maskmake.masks.one_level import learn_one_level, pooled_histogram
from maskmake.masks.two_levels import Candidate, best_candidate, learn_two_levels, score_candidates
from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger
from maskmake.scores.calibration import expected_dice, learn_temperature
from maskmake.scores.cases import Case, Cases
from maskmake.scores.pixels import confusion, mean_dice
from maskmake.scores.probabilities import probability_histogram


def decide_run(
    run: RunProbabilities,
    labels: PixelStore,
    groups: Mapping[str, str],
    plan: Plan,
    objective: str,
    method: str,
    objects: str,
    sizes: Sequence[int],
) -> LearnedDecision:
    """Learn decision and temperature of a run on its validation images, and log what was found.

    Args:
        run: its probabilities.
        labels: of the data set.
        groups: by id, the group of each image, from ``manifest.csv``.
        plan: contents of ``plan.json``.
        objective, method, sizes: see ``learn_decision``.
        objects: see ``object_terms.resolve_objects``.

    Returns:
        The contents of ``decision.json``.

    Raises:
        UserError: there is no validation image, their labels have one class alone, or the plan does
            not know the class of the objects.
    """
    of_class, why = resolve_objects(objects, plan)
    logger.info("objects are the %s: %s", of_class, why)

    def cases() -> Iterator[Case]:
        return (case._replace(group=groups[case.id]) for case in run.validation_cases(labels))

    learned = learn_decision(object_cases(cases, of_class), objective, sizes, method, of_class)
    learned = {**foreground_terms(learned, of_class), "objects_reason": why}
    _log(learned)
    calibration = learn_calibration(cases, stored_decision(learned))
    logger.info("temperature %.3f", calibration["temperature"])
    return {**learned, **calibration, "images": run.validation_ids}


def _log(learned: LearnedDecision) -> None:
    logger.info(
        "threshold %.3f, smallest object %d, smallest hole %d pixels, %s %.4f",
        learned["threshold"],
        learned["min_object"],
        learned["min_hole"],
        OBJECTIVE_NAMES[learned["objective"]],
        learned["score"],
    )
    effect, removed = "", learned["removed"]
    if learned["min_object"] or learned["min_hole"]:
        effect = (
            f" At that threshold it removes {removed['objects_false']} false and "
            f"{removed['objects_true']} true objects and fills {removed['holes_false']} false and "
            f"{removed['holes_true']} true holes."
        )
    logger.info("%s%s", learned["clean_up_reason"], effect)
    logger.info("%s: %s", learned["method"], learned["reason"])


def learn_decision(
    cases: Cases,
    objective: str,
    sizes: Sequence[int],
    method: str = "auto",
    objects: ObjectName = "foreground",
) -> LearnedDecision:
    """Find the decision that scores best on the validation images.

    First the threshold without clean-up: ``dice`` and ``iou`` (of the pixels of all images pooled)
    try every ``float16`` number from 0 to 1 and take the middle of those that share the best score;
    ``v_rand`` and ``boundary_f1`` (means over images) try 19 levels. Then a grid of sizes at it and
    at others that score nearly as well: a clean-up pays if it gains more than the standard error of
    its gain (jackknife over images, those of a group together), so that a gain that they do not
    share changes nothing. Of those that pay, the mildest within one standard error of the best is
    taken, see ``one_level._choose``; so the score is never below that of the best threshold without
    clean-up.
    One or two groups have no such error: there any gain counts.

    Then two levels around that threshold compete with it, see ``two_levels.best_candidate``; the
    upper one is the middle of those that separate objects equally well.

    With a constant probability there is still a decision: the threshold that makes everything the
    better of the two classes. A pixel of probability 0 is background at every threshold.

    Args:
        cases: called once for each of several passes, gives each validation image; objects are
            foreground in it.
        objective: a key of ``OBJECTIVES``.
        sizes: of the smallest object and hole in pixels, ascending, that are tried; empty for no
            clean-up.
        method: one_level, two_level, or auto for the better of the two.
        objects: their class, for what is said in sentences.

    Returns:
        The contents of ``decision.json`` for objects of the foreground, but objects_reason,
        temperature, validation and images.

    Raises:
        UserError: there is no validation image, or their labels have one class alone.
    """
    if next(iter(cases()), None) is None:
        raise UserError(
            "split.validation: the split has no validation image, but the threshold is learned on "
            "at least one; raise split.validation or set split.folds above 1."
        )
    histogram = pooled_histogram(cases())
    classes = histogram.sum(axis=1)
    check_classes("validation", *(classes if objects == "foreground" else classes[::-1]))
    cleaned, one_level = learn_one_level(cases, objective, histogram, sizes, objects)
    chosen, learned_method = _learn_method(cases, objective, method, cleaned, objects)
    return {
        **decision_contents(chosen),
        "objective": objective,
        **one_level,
        **learned_method,
    }


def _learn_method(
    cases: Cases, name: str, method: str, one_level: Decision, objects: ObjectName
) -> tuple[Decision, LearnedMethod]:
    """Compare two levels with one."""
    objective = OBJECTIVES[name]
    two: list[Candidate] = []
    tried: list[Candidate] = []
    if method != "one_level":
        best, tried = learn_two_levels(cases, objective, one_level)
        two = [best]
    (one,) = score_candidates(cases(), [one_level], objective)
    chosen = best_candidate(two if method == "two_level" else [one, *two], objective)
    return chosen.decision, {
        "score": chosen.score,
        "reason": _reason(name, method, one, two, chosen, objects),
        "methods": [_tried(candidate) for candidate in (one, *tried)],
    }


def _tried(candidate: Candidate) -> TriedDecision:
    return {
        **decision_contents(candidate.decision),
        "score": candidate.score,
        "v_rand": candidate.v_rand,
    }


def _reason(
    name: str,
    method: str,
    one: Candidate,
    two: list[Candidate],
    chosen: Candidate,
    objects: ObjectName,
) -> str:
    """Why this method, in a sentence."""
    if method != "auto":
        return f"decide.method asks for {method}."
    (other,) = two
    scores = (
        f"{OBJECTIVE_NAMES[name]} {one.score:.4f} with one level ({_levels(one, objects)}), "
        f"{other.score:.4f} with two ({_levels(other, objects)}); V-Rand by the quick thinning "
        f"{one.v_rand:.4f} and {other.v_rand:.4f}"
    )
    apart = other.v_rand > one.v_rand + TINY
    if chosen is one:
        if apart:
            return f"Two levels separate objects better, but their masks score lower: {scores}."
        return f"Two levels separate objects no better than one, by {TINY} of V-Rand: {scores}."
    if not apart:
        return f"Two levels score higher than one: {scores}."
    if other.score >= one.score:
        return f"Two levels separate objects that touch and score no lower: {scores}."
    numbers = np.stack([one.numbers, other.numbers], axis=2)
    error = error_of_differences(numbers, OBJECTIVES[name].score, 0)[1]
    limit = f"{TINY}, which is allowed" if error <= TINY else f"one standard error, {error:.4f}"
    return (
        "Two levels separate objects that touch and cost "
        f"{one.score - other.score:.5f}, no more than {limit}: {scores}."
    )


def _levels(candidate: Candidate, objects: ObjectName) -> str:
    levels = (candidate.decision.threshold, candidate.decision.upper)
    return " and ".join(
        f"{other_level(level, objects):.3f}" for level in levels if level is not None
    )


def learn_calibration(cases: Cases, decision: Decision) -> Calibration:
    """Learn the temperature on the validation images, and the Dice to expect of their masks.

    With folds a validation image is judged by one network and a new one by all; their mean logit
    needs about the same temperature (ISBI 2012, three folds: 1.24 learned, 1.21 best on the test
    images).

    Args:
        cases: called once for each of two passes, gives each validation image.
        decision: what makes the masks.

    Returns:
        Both; the lists are in the order of the cases.
    """
    histogram = pooled_histogram(cases())
    temperature = learn_temperature(histogram)
    foreground, expected, real = [], [], []
    for case in cases():
        label, probability = case.label, case.probability
        mask = apply_decision(probability, decision)
        mask_histogram = probability_histogram(probability, where_labelled(mask, label))
        foreground.append(mask[is_labelled(label)].mean())
        expected.append(expected_dice(mask_histogram, temperature)["expected_mean_dice"])
        real.append(float(mean_dice(confusion(mask, label))))
    return {
        "temperature": temperature,
        "validation": {
            "foreground": foreground,
            "expected_mean_dice": expected,
            "mean_dice": [value if np.isfinite(value) else None for value in real],
        },
    }
