"""Objects of the background: an inverted label and its probability give the same, bit by bit."""

import re

import numpy as np
import pytest
from pictures import cells
from scipy import ndimage

from maskmake.data.object_class import find_object_class
from maskmake.masks.components import REMOVED
from maskmake.masks.decision import Decision, apply_decision, decision_contents, stored_decision
from maskmake.masks.learning import learn_decision
from maskmake.masks.object_terms import (
    foreground_terms,
    object_cases,
    resolve_objects,
)
from maskmake.masks.objectives import OBJECTIVES
from maskmake.masks.regions import region_picture
from maskmake.masks.specks import diagnose, find_specks
from maskmake.report.sentences import speck_sentences
from maskmake.report.speck_figure import crop_panels
from maskmake.runtime.errors import UserError
from maskmake.scores.cases import Case
from maskmake.scores.scorecard import IMAGE_SCORES, image_scores, score_card

TWO_LEVELS = Decision(0.375, 12, 9, 0.75, 4)
# The levels in a reason, which are those of foreground.
LEVEL = re.compile(r"(?<=at threshold )[\d.]+|(?<=level \()[\d.]+|(?<=two \()[\d. and]+")
SWAPPED = {
    "foreground_dice": "background_dice",
    "foreground_iou": "background_iou",
    "foreground_cldice": "background_cldice",
}
SWAPPED |= {other: name for name, other in SWAPPED.items()}


def case(seed: int, size: int = 72) -> Case:
    """Cells, and a probability of steps of 1/2048: of these, p and 1 - p are both float16."""
    label = cells(size, 14, seed)
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=label.shape), 1)
    soft = ndimage.gaussian_filter(label.astype(float), 1) * 0.7 + 0.15 + 0.2 * noise
    probability = (np.round(soft.clip(0, 1) * 2048) / 2048).astype(np.float16)
    return Case(str(seed), label, probability)


def inverse(case: Case) -> Case:
    mask = None if case.mask is None else ~case.mask
    return Case(case.id, 1 - case.label, 1 - case.probability, mask)


def learn(cases: list[Case], objects: str, objective: str = "dice", method: str = "auto") -> dict:
    seen = object_cases(lambda: iter(cases), objects)
    return foreground_terms(
        learn_decision(seen, objective, [4, 16, 64, 256], method, objects), objects
    )


OWN = [case(seed) for seed in range(3)]
INVERSE = [inverse(each) for each in OWN]


def test_inverting_a_case_loses_no_bit():
    for own, turned in zip(OWN, INVERSE, strict=True):
        assert (1 - turned.probability == own.probability).all()
    assert find_object_class(each.label for each in OWN)["objects"] == "foreground"
    assert find_object_class(each.label for each in INVERSE)["objects"] == "background"


# Applying


@pytest.mark.parametrize("upper", [None, 0.75])
@pytest.mark.parametrize("sizes", [(0, 0), (12, 0), (0, 9), (30, 20)])
def test_the_masks_of_inverse_probabilities_are_inverse(upper, sizes):
    for own, turned in zip(OWN, INVERSE, strict=True):
        decision = Decision(0.375, *sizes, upper, 4)
        background = Decision(0.375, *sizes, upper, 4, "background")
        mask = apply_decision(own.probability, decision)
        assert np.array_equal(apply_decision(turned.probability, background), ~mask)


def brute_force_mask(probability: np.ndarray, threshold: float, min_object: int, min_hole: int):
    """Clean-up of objects in the background, by its definition and piece by piece."""
    background = probability < threshold
    sides, corners = ndimage.generate_binary_structure(2, 1), np.ones((3, 3))
    pieces, count = ndimage.label(background, sides)
    for piece in range(1, count + 1):
        if np.count_nonzero(pieces == piece) < min_object:
            background[pieces == piece] = False
    pieces, count = ndimage.label(~background, corners)
    for piece in range(1, count + 1):
        if np.count_nonzero(pieces == piece) < min_hole:
            background[pieces == piece] = True
    return ~background


@pytest.mark.parametrize("seed", range(4))
def test_objects_of_the_background_are_4_connected_and_their_holes_8_connected(seed):
    rng = np.random.default_rng(seed)
    probability = (rng.integers(0, 2049, (24, 24)) / 2048).astype(np.float16)
    for threshold, min_object, min_hole in ((0.5, 6, 0), (0.5, 0, 6), (0.625, 5, 9), (0.25, 3, 40)):
        stored = {"threshold": threshold, "min_object": min_object, "min_hole": min_hole}
        mask = apply_decision(probability, stored_decision({**stored, "objects": "background"}))
        expected = brute_force_mask(probability, threshold, min_object, min_hole)
        assert np.array_equal(mask[probability != threshold], expected[probability != threshold])


def test_levels_are_stored_as_probabilities_of_foreground():
    background = Decision(0.875, 3, 4, 0.9375, 5, "background")
    stored = decision_contents(background)
    assert (stored["threshold"], stored["upper"]) == (0.125, 0.0625)
    assert stored_decision(stored) == background
    probability = np.array([[0.0, 0.12, 0.13, 1.0]], np.float16)
    assert apply_decision(probability, Decision(0.875, 0, 0, objects="background")).tolist() == [
        [False, False, True, True]
    ]


def test_a_decision_without_a_class_of_objects_means_foreground():
    stored = {"method": "one_level", "threshold": 0.4, "min_object": 3, "min_hole": 0}
    assert stored_decision(stored) == Decision(0.4, 3, 0)


# Learning


@pytest.mark.parametrize(
    ("objective", "method"), [*((name, "auto") for name in OBJECTIVES), ("dice", "two_level")]
)
def test_what_is_learned_from_inverse_labels_is_the_same(objective, method):
    cases = OWN if objective in ("dice", "iou") else [case(3, size=32)]
    turned = list(map(inverse, cases))
    own = learn(cases, "foreground", objective, method)
    background = learn(turned, "background", objective, method)
    decision, inverse_decision = stored_decision(own), stored_decision(background)
    assert inverse_decision == Decision(
        decision.threshold,
        decision.min_object,
        decision.min_hole,
        decision.upper,
        decision.min_seed,
        "background",
    )
    for key in ("score", "score_at_half", "score_uncleaned", "removed", "sizes"):
        assert own[key] == background[key], key
    for key in ("reason", "clean_up_reason"):
        assert LEVEL.sub("", own[key]) == LEVEL.sub("", background[key]), key
    for learned in (own, background):
        level = learned["clean_up"]["threshold"] if learned["clean_up"] else learned["threshold"]
        assert f"at threshold {level:.3f} " in learned["clean_up_reason"]
        if method == "auto":
            first = learned["methods"][0]["threshold"]
            assert f"with one level ({first:.3f})" in learned["reason"]
    assert own["threshold_uncleaned"] == 1 - background["threshold_uncleaned"]
    assert [each["v_rand"] for each in own["methods"]] == [
        each["v_rand"] for each in background["methods"]
    ]
    assert own["method"] == "two_level" or method == "auto"


def test_the_curve_of_inverse_labels_is_that_of_their_foreground():
    curve = learn(INVERSE, "background")["curve"]
    assert curve["threshold"] == sorted(curve["threshold"])
    for place in (30, 100, 150):
        # A pixel at the threshold itself is foreground where objects are the background.
        counts = np.zeros((2, 2), int)
        for each in INVERSE:
            mask = each.probability >= curve["threshold"][place]
            np.add.at(counts, (mask.astype(int).ravel(), each.label.ravel()), 1)
        (tn, fn), (fp, tp) = counts
        assert curve["foreground_dice"][place] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert curve["background_dice"][place] == pytest.approx(2 * tn / (2 * tn + fp + fn))


def test_cells_between_white_membranes_are_separated():
    """A faint gap in a membrane joins two cells: lines are drawn only if cells are the objects."""
    label = np.zeros((64, 96), np.uint8)
    label[:, 46:49] = label[:, :3] = label[:, -3:] = 1
    label[:3] = label[30:33] = label[-3:] = 1
    probability = np.where(label > 0, 0.95, 0.03)
    probability[14:18, 46:49] = probability[44:48, 46:49] = 0.3
    # Parts of cells that any threshold below the gaps would give to the membrane.
    probability[label == 0] = np.where(np.indices(label.shape)[1] < 7, 0.4, probability)[label == 0]
    cases = [Case(str(seed), label, probability.astype(np.float16)) for seed in range(3)]
    assert find_object_class([label])["objects"] == "background"
    scores = {}
    for objects in ("foreground", "background"):
        decision = stored_decision(learn(cases, objects))
        mask = apply_decision(cases[0].probability, decision)
        scores[objects] = image_scores(mask, label, "background")["v_rand"]
    assert scores["background"] > 0.95 > 0.7 > scores["foreground"]


def test_auto_is_what_the_plan_says_and_why():
    plan = {"objects": "background", "pieces": {"foreground": 1.04, "background": 26.3}}
    objects, why = resolve_objects("auto", plan)
    assert objects == "background"
    assert "the background falls into 26.3 pieces" in why and "the foreground into 1.0" in why
    plan = {"objects": "foreground", "pieces": {"foreground": 1.2, "background": 1.1}}
    objects, why = resolve_objects("auto", plan)
    assert objects == "foreground" and "neither class falls into many pieces" in why
    objects, why = resolve_objects("foreground", plan={})
    assert (objects, why) == ("foreground", "decide.objects asks for foreground.")


def test_a_plan_of_an_earlier_version_is_named_with_a_remedy():
    with pytest.raises(UserError, match=r"plan\.json .*set decide\.objects to foreground or"):
        resolve_objects("auto", {})


# Scores, regions and specks


def test_scores_of_inverse_masks_are_the_same_with_the_classes_exchanged():
    masked = [each._replace(mask=apply_decision(each.probability, TWO_LEVELS)) for each in OWN]
    own = score_card(masked, 1.5, "foreground").per_image
    turned = score_card(map(inverse, masked), 1.5, "background").per_image
    for name in ("pixel_accuracy", "mean_dice", *SWAPPED, *IMAGE_SCORES):
        assert (own[SWAPPED.get(name, name)] == turned[name]).all(), name
    assert own["v_rand"].nunique() == len(OWN)
    wrong = score_card(map(inverse, masked), 1.5, "foreground").per_image
    assert (wrong["v_rand"] != own["v_rand"]).all()


def test_regions_of_an_inverse_mask_are_the_same():
    mask = OWN[0].label > 0
    assert np.array_equal(region_picture(~mask, "background"), region_picture(mask))


def test_specks_of_inverse_labels_are_the_same_pieces():
    specked = []
    for each in OWN:
        probability = each.probability.copy()
        probability[2:5, 2:5] = 0.9375 if each.label[3, 3] == 0 else 0.0625
        probability[40:42, 40:42] = 0.9375 if each.label[41, 41] == 0 else 0.0625
        specked.append(each._replace(probability=probability))
    turned = [inverse(each) for each in specked]
    own_learned, learned = learn(specked, "foreground"), learn(turned, "background")
    own = find_specks(lambda: iter(specked), own_learned)
    pieces = find_specks(lambda: iter(turned), learned)
    same = ["id", "kind", "row", "column", "size", "overlap", "cleaned", "false", "cause"]
    assert own[same].equals(pieces[same]) and own["false"].any()
    for column in ("threshold", "mean_probability"):
        np.testing.assert_allclose(own[column], 1 - pieces[column], atol=1e-12)
    own_diagnosis, diagnosis = diagnose(own, own_learned), diagnose(pieces, learned)
    for key in ("verdict", "causes", "by_size", "by_overlap", "worst", "cleaned_true"):
        assert own_diagnosis[key] == diagnosis[key]
    low, high = own_diagnosis["free_thresholds"]
    assert diagnosis["free_thresholds"] == (1 - high, 1 - low)

    image = np.zeros_like(OWN[0].label)
    panels = [
        list(
            crop_panels(
                image, each.label, each.probability, diagnosis["worst"], stored_decision(learned)
            ).values()
        )
        for each, learned in ((specked[0], own_learned), (turned[0], learned))
    ]
    for before, after in zip(panels[0][3:], panels[1][3:], strict=True):
        painted = (before != before[..., :1]).any(axis=2)
        assert np.array_equal(painted, (after != after[..., :1]).any(axis=2))
        assert np.array_equal(before[~painted], 255 - after[~painted])


def test_faint_objects_of_the_background_go_at_the_lower_threshold():
    label = np.ones((64, 64), np.uint8)
    label[20:50, 20:50] = 0
    probability = np.where(label > 0, 0.95, 0.05)
    probability[4:6, 4:6] = probability[4:7, 12:15] = 0.4
    cases = [Case(str(seed), label, probability.astype(np.float16)) for seed in range(3)]
    learned = learn(cases, "background", method="one_level")
    diagnosis = diagnose(find_specks(lambda: iter(cases), learned), learned)
    assert diagnosis["causes"]["threshold"] == 6
    low, _ = diagnosis["free_thresholds"]
    assert learned["threshold"] < 0.4
    (sentence,) = speck_sentences(diagnosis, learned)
    assert f"6 objects at {low:.3f} (6 of them are in the masks at 0.5" in sentence
    assert set(learned["removed"]) == set(REMOVED)
