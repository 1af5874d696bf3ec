"""The class of the objects of a run, and how a decision is learned where it is the background.

What learns a decision and what counts objects and holes sees objects as foreground. For objects of
the background it gets inverted labels and their probabilities, and what it found is turned round.
"""

from collections.abc import Iterator
from dataclasses import replace

from maskmake.data.fingerprint import Plan, object_class_of
from maskmake.data.object_class import MANY, ObjectName, object_label
from maskmake.masks.decision import (
    Curve,
    LearnedDecision,
    StoredDecision,
    decision_contents,
    object_mask,
    object_probability,
    other_level,
    stored_decision,
)
from maskmake.scores.cases import Case, Cases


def resolve_objects(setting: str, plan: Plan) -> tuple[ObjectName, str]:
    """The class of the objects, and why, in a sentence.

    Args:
        setting: ``decide.objects``: foreground, background, or auto for what ``plan.json`` says.
        plan: contents of ``plan.json``.

    Raises:
        UserError: auto, and the plan is of an earlier version.
    """
    objects = object_class_of(setting, plan)
    if setting != "auto":
        return objects, f"decide.objects asks for {setting}."
    pieces, other = plan["pieces"], other_class(objects)
    if pieces[objects] >= MANY * max(1, pieces[other]):
        found = (
            f"In the labels the {objects} falls into {pieces[objects]:.1f} pieces of like size, "
            f"the {other} into {pieces[other]:.1f} (means over images)."
        )
    else:
        found = (
            f"In the labels neither class falls into many pieces of like size ({objects} "
            f"{pieces[objects]:.1f}, {other} {pieces[other]:.1f}, means over images)."
        )
    return objects, found


def other_class(objects: ObjectName) -> ObjectName:
    """The class that is not the objects'."""
    return "background" if objects == "foreground" else "foreground"


def object_case(case: Case, objects: ObjectName) -> Case:
    """A case as if its objects were foreground; rounding may change a probability below 0.5."""
    if objects == "foreground":
        return case
    return case._replace(
        label=object_label(case.label, objects),
        probability=object_probability(case.probability, objects),
        mask=case.mask if case.mask is None else object_mask(case.mask, objects),
    )


def object_cases(cases: Cases, objects: ObjectName) -> Cases:
    """All cases as ``object_case`` gives them."""

    def seen() -> Iterator[Case]:
        return (object_case(case, objects) for case in cases())

    return seen


def foreground_terms(learned: LearnedDecision, objects: ObjectName) -> LearnedDecision:
    """What was learned on ``object_cases``, with levels and curves of the foreground."""
    curve = learned["curve"]
    if objects == "background":
        curve = Curve(
            threshold=[other_level(level, objects) for level in reversed(curve["threshold"])],
            foreground_dice=curve["background_dice"][::-1],
            background_dice=curve["foreground_dice"][::-1],
            objective=curve["objective"][::-1],
        )
    clean_up = learned.get("clean_up")
    if clean_up is not None:
        clean_up = {**clean_up, "threshold": other_level(clean_up["threshold"], objects)}
    return {
        **learned,
        **_turned(learned, objects),
        "clean_up": clean_up,
        "methods": [{**tried, **_turned(tried, objects)} for tried in learned["methods"]],
        "threshold_uncleaned": other_level(learned["threshold_uncleaned"], objects),
        "curve": curve,
    }


def _turned(contents: StoredDecision, objects: ObjectName) -> StoredDecision:
    return decision_contents(replace(stored_decision(contents), objects=objects))
