"""Decision: learned levels and clean-up against brute force and planted cases."""

import json
import logging
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from maskmake.masks.decision import Decision, apply_decision, stored_decision
from maskmake.masks.learning import decide_run, learn_calibration, learn_decision
from maskmake.masks.objectives import OBJECTIVES, mean_dice, mean_iou
from maskmake.masks.two_levels import SEED_SIZES, score_candidates
from maskmake.plan.mask_settings import choose_sizes
from maskmake.runtime.errors import UserError
from maskmake.scores.boundaries import boundary_f1
from maskmake.scores.cases import Case
from maskmake.scores.objects import rand_and_information
from maskmake.scores.pixels import Confusion, confusion, pixel_scores
from maskmake.scores.probabilities import FLOAT16_LEVELS

SIZES = choose_sizes(256**2).value


def blobs(seed: int, size: int = 128) -> np.ndarray:
    """A label of a few large smooth objects."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 10)
    return (field > 0).astype(np.uint8)


def noisy(seed: int, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose threshold leaves specks and pits of all sizes, and their label."""
    label = blobs(seed, size)
    rng = np.random.default_rng(seed + 1000)
    noise = ndimage.gaussian_filter(rng.normal(size=label.shape), 1.5) * 5
    logit = 3.0 * label - 1.0 + noise
    return (1 / (1 + np.exp(-logit))).astype(np.float16), label


def certain(label: np.ndarray) -> np.ndarray:
    return np.where(label > 0, 0.95, 0.05).astype(np.float16)


def learn(
    cases: list, objective: str = "dice", method: str = "auto", groups: str | None = None
) -> dict:
    """What is learned on pairs of a probability and a label, each of a group named by a letter."""
    named = [
        Case(str(place), label, p, group=groups and groups[place])
        for place, (p, label) in enumerate(cases)
    ]
    return learn_decision(lambda: iter(named), objective, SIZES, method)


def score_of(decision: Decision, cases: list) -> float:
    counts = [confusion(apply_decision(p, decision), label) for p, label in cases]
    return float(mean_dice(sum(counts, Confusion())))


def plant(label: np.ndarray, seed: int, value: float) -> np.ndarray:
    """``certain(label)`` with squares of 1 to 30 pixels of ``value`` where the label is the other
    class everywhere near."""
    probability = certain(label)
    rng = np.random.default_rng(seed)
    wrong = label == (0 if value > 0.5 else 1)
    for height, width in [(1, 1), (2, 2), (3, 3), (5, 4), (5, 6)] * 3:
        depth = ndimage.distance_transform_cdt(np.pad(wrong, 1), "chessboard")[1:-1, 1:-1]
        rows, columns = np.nonzero(depth > 6)
        place = rng.integers(len(rows))
        row, column = rows[place], columns[place]
        probability[row : row + height, column : column + width] = value
        wrong[row - 2 : row + height + 2, column - 2 : column + width + 2] = False
    return probability


# Applying


def test_threshold_is_exclusive():
    probability = np.array([[0.0, 0.5, 0.50048828125, 1.0]], np.float16)
    assert apply_decision(probability, Decision(0.5, 0, 0)).tolist() == [[False, False, True, True]]


def test_only_objects_and_holes_below_the_size_go():
    probability = np.zeros((30, 30), np.float16)
    probability[2:4, 2:5] = 1  # an object of 6 pixels
    probability[10:25, 10:25] = 1
    probability[15:17, 15:18] = 0  # a hole of 6 pixels
    kept = apply_decision(probability, Decision(0.5, 6, 6))
    assert np.array_equal(kept, probability > 0.5)
    cleaned = apply_decision(probability, Decision(0.5, 7, 7))
    assert not cleaned[:9].any() and cleaned[10:25, 10:25].all()


def test_objects_touch_by_their_sides_and_holes_by_their_corners_too():
    diagonal = np.eye(20, dtype=np.float16)
    assert not apply_decision(diagonal, Decision(0.5, 2, 0)).any()
    assert np.array_equal(apply_decision(1 - diagonal, Decision(0.5, 0, 20)), diagonal == 0)


def test_objects_are_removed_before_holes_are_filled():
    probability = np.ones((20, 20), np.float16)
    probability[5:10, 5:10] = 0
    probability[7, 7] = 1  # an object of one pixel in a hole of 24: without it the hole has 25
    assert not apply_decision(probability, Decision(0.5, 2, 25))[7, 7]
    assert apply_decision(probability, Decision(0.5, 0, 25)).all()


@pytest.mark.parametrize("objects", ["foreground", "background"])
def test_a_mask_without_objects_is_no_hole(objects):
    nothing = np.full((8, 8), 0 if objects == "foreground" else 1, np.float16)
    speck = nothing.copy()
    speck[3, 3] = 1 - nothing[0, 0]
    decision = Decision(0.5, 4, 100, objects=objects)
    for probability in (nothing, speck):
        assert (apply_decision(probability, decision) == (objects == "background")).all()


def test_zero_is_no_clean_up():
    probability, _ = noisy(0)
    assert np.array_equal(apply_decision(probability, Decision(0.4, 0, 0)), probability > 0.4)


# Learning the threshold


def test_threshold_equals_brute_force():
    cases = [noisy(0, 48), noisy(1, 48)]
    learned = learn(cases)
    probability, label = (np.concatenate(part) for part in zip(*cases, strict=True))
    thresholds = np.concatenate([[0], np.unique(probability)])
    best = max(mean_dice(confusion(probability > t, label)) for t in thresholds)
    assert learned["score_uncleaned"] == best
    assert score_of(Decision(learned["threshold_uncleaned"], 0, 0), cases) == best
    assert learned["score_at_half"] == score_of(Decision(0.5, 0, 0), cases) < best


def test_scores_are_pooled_over_images():
    large, small = noisy(0, 128), noisy(1, 16)
    both = learn([large, small])
    assert both["score_uncleaned"] == score_of(
        Decision(both["threshold_uncleaned"], 0, 0), [large, small]
    )


def test_perfect_separation_gives_the_middle():
    label = blobs(0)
    learned = learn([(np.where(label, 0.9, 0.7).astype(np.float16), label)])
    assert learned["score"] == 1
    assert learned["threshold"] == pytest.approx(0.8, abs=1e-3)


def test_threshold_survives_a_round_trip_through_json():
    probability, label = noisy(0)
    threshold = json.loads(json.dumps(learn([(probability, label)])))["threshold"]
    assert np.float16(threshold) == threshold


def test_curve_is_short_and_passes_through_the_best():
    learned = learn([noisy(0)])
    curve = learned["curve"]
    assert set(curve) == {"threshold", "foreground_dice", "background_dice", "objective"}
    assert len({len(values) for values in curve.values()}) == 1
    assert 100 < len(curve["threshold"]) <= 202
    assert curve["threshold"] == sorted(curve["threshold"])
    at_best = curve["threshold"].index(learned["threshold_uncleaned"])
    assert learned["threshold"] in curve["threshold"]
    assert curve["objective"][at_best] == max(curve["objective"]) == learned["score_uncleaned"]
    assert np.allclose(
        curve["objective"],
        (np.array(curve["foreground_dice"]) + curve["background_dice"]) / 2,
    )


# Learning the clean-up


def planted(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability with soft, noisy borders and sure specks and pits; its label; the planted."""
    label = blobs(seed, 256)
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(0, 0.1, label.shape), 1)
    soft = ndimage.gaussian_filter(label.astype(float), 1.5) + noise
    probability = soft.clip(0.02, 0.98).astype(np.float16)
    specks = (plant(label, seed, 0.97) != certain(label)) & (label == 0)
    pits = (plant(label, seed, 0.03) != certain(label)) & (label == 1)
    probability[specks], probability[pits] = 0.97, 0.03
    return probability, label, specks | pits


def test_no_threshold_removes_sure_specks_and_pits_but_the_decision_does():
    images = [planted(seed) for seed in range(4)]
    cases = [(probability, label) for probability, label, _ in images]
    learned = learn(cases)
    at_any_threshold = max(score_of(Decision(float(t), 0, 0), cases) for t in FLOAT16_LEVELS[::64])
    assert learned["score"] > learned["score_uncleaned"] >= at_any_threshold
    assert learned["removed"]["objects_false"] == learned["removed"]["holes_false"] == 60
    assert learned["removed"]["objects_true"] + learned["removed"]["holes_true"] < 5
    assert learned["clean_up_reason"].startswith("The clean-up pays: at threshold")
    for probability, label, wrong in images:
        cleaned = apply_decision(probability, stored_decision(learned))
        assert np.array_equal(cleaned[wrong], label[wrong] > 0)


def test_noise_at_the_borders_is_no_reason_to_clean():
    cases = [
        (np.where(w, label, p).astype(np.float16), label) for p, label, w in map(planted, range(4))
    ]
    learned = learn(cases)
    assert (learned["min_object"], learned["min_hole"]) == (0, 0)
    assert learned["clean_up_reason"].startswith("No clean-up")


def small_true_objects(false_side: int) -> list:
    """100 true objects of 9 pixels and a false square in each of 4 images; all of them sure."""
    label = np.zeros((128, 128), np.uint8)
    for row in range(4, 124, 12):
        for column in range(4, 124, 12):
            label[row : row + 3, column : column + 3] = 1
    cases = []
    for place in range(9, 57, 12):
        probability = certain(label)
        probability[place : place + false_side, place : place + false_side] = 0.97
        cases.append((probability, label))
    return cases


def test_false_objects_smaller_than_the_true_ones_go_and_no_true_one_does():
    learned = learn(small_true_objects(false_side=2))
    assert (learned["min_object"], learned["min_hole"]) == (8, 0)
    assert learned["score"] == 1
    assert (learned["removed"]["objects_false"], learned["removed"]["objects_true"]) == (4, 0)


def test_a_clean_up_that_would_take_true_objects_is_refused_and_says_so():
    learned = learn(small_true_objects(false_side=4))
    assert (learned["min_object"], learned["min_hole"]) == (0, 0)
    reason = learned["clean_up_reason"]
    assert reason.startswith(f"No clean-up: at threshold {learned['threshold']:.3f} the best one ")
    assert "takes anything false (objects below 32 pixels) takes away 4 false and 400" in reason
    assert "400 true components and changes mean Dice by -0." in reason
    assert reason.endswith("no gain.")


@pytest.mark.parametrize("value, key", [(0.97, "min_object"), (0.03, "min_hole")])
def test_planted_specks_and_pits_go(value, key):
    label = blobs(0, 256)
    cases = [(plant(label, seed, value), label) for seed in (1, 2)]
    learned = learn(cases)
    assert learned[key] == 32  # the mildest of the grid above 30 pixels
    assert learned["min_object"] + learned["min_hole"] == 32
    assert learned["score"] == 1 > learned["score_uncleaned"]
    assert score_of(stored_decision(learned), cases) == 1


def test_clean_data_get_no_clean_up():
    cases = [(certain(blobs(seed)), blobs(seed)) for seed in (0, 1)]
    learned = learn(cases)
    assert (learned["min_object"], learned["min_hole"]) == (0, 0)
    assert learned["score"] == learned["score_uncleaned"] == 1


def test_true_small_objects_and_holes_stay():
    label = np.zeros((128, 128), np.uint8)
    label[4:60:8, 4::8] = 1
    label[64:] = 1
    label[70::8, 4::8] = 0
    probability = certain(label)
    probability[2, 2] = 0.95  # one false speck of the size of the true objects
    learned = learn([(probability, label)])
    assert (learned["min_object"], learned["min_hole"]) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_every_score_of_the_grid_is_what_applying_gives(seed):
    cases = [noisy(seed, 96), noisy(seed + 10, 64)]
    learned = learn(cases)
    for tried in learned["sizes"]:
        decision = Decision(learned["threshold"], tried["min_object"], tried["min_hole"])
        assert tried["score"] == score_of(decision, cases)
    assert learned["score"] == score_of(stored_decision(learned), cases)


def test_specks_inside_holes_are_scored_as_applied():
    label = np.ones((96, 96), np.uint8)
    probability = certain(label)
    for row in range(8, 80, 16):
        for column in range(8, 80, 16):
            probability[row : row + 6, column : column + 6] = 0.05  # a hole of 36 pixels
            probability[row + 2 : row + 4, column + 2 : column + 4] = 0.95  # 4 pixels in it
    label[:, 90:] = 0
    probability[:, 90:] = 0.05
    learned = learn([(probability, label)])
    assert learned["score"] == 1
    assert (learned["min_object"], learned["min_hole"]) == (0, 64)
    for tried in learned["sizes"]:
        decision = Decision(learned["threshold"], tried["min_object"], tried["min_hole"])
        assert tried["score"] == score_of(decision, [(probability, label)])


@pytest.mark.parametrize(
    ("sizes", "objective", "tried"),
    [
        ([9], "dice", [0, 9]),
        ([4, 8, 16, 32, 64], "v_rand", [0, 4, 8, 16, 32, 64]),
        ([4, 8, 16, 32, 64, 128], "v_rand", [0, 8, 32, 128]),  # which takes longer
    ],
)
def test_the_sizes_that_are_given_are_tried(sizes, objective, tried):
    case = Case("", *noisy(0, 32)[::-1], None)
    learned = learn_decision(lambda: iter([case]), objective, sizes, "one_level")
    for side in ("min_object", "min_hole"):
        assert sorted({size[side] for size in learned["sizes"]}) == tried


def test_without_sizes_nothing_is_removed():
    case = Case("", *noisy(0)[::-1], None)
    learned = learn_decision(lambda: iter([case]), "dice", [])
    assert (learned["min_object"], learned["min_hole"]) == (0, 0)
    assert learned["clean_up_reason"] == "No clean-up: decide.sizes has no size."


def test_a_gain_that_the_images_do_not_share_is_no_reason_to_clean():
    label = blobs(0, 256)
    pitted = plant(label, 1, 0.03)
    holed = label.copy()
    holed[:128][pitted[:128] < 0.5] = 0
    one_gains = [(pitted, label), (certain(holed), holed), *[(certain(label), label)] * 2]
    all_gain = [(plant(label, seed, 0.03), label) for seed in range(4)]
    for cases, min_hole in ((one_gains, 0), (all_gain, 32)):
        learned = learn(cases, method="one_level")
        assert max(tried["score"] for tried in learned["sizes"]) > learned["score_uncleaned"]
        assert (learned["min_object"], learned["min_hole"]) == (0, min_hole)


def test_a_gain_that_one_group_has_alone_is_no_reason_to_clean():
    label = blobs(0, 256)
    pitted = [(plant(label, seed, 0.03), label) for seed in range(4)]
    holed = label.copy()
    holed[:128][pitted[1][0][:128] < 0.5] = 0
    cases = [*pitted, (certain(holed), holed), (certain(label), label)]
    for groups, min_hole in (("abcdef", 32), ("aaaabc", 0)):
        assert learn(cases, "dice", "one_level", groups)["min_hole"] == min_hole


def test_what_the_clean_up_removes_is_counted():
    label = blobs(0, 256)
    probability = plant(label, 1, 0.97)
    learned = learn([(probability, label)])
    nothing = {"objects_true": 0, "objects_false": 0, "holes_true": 0, "holes_false": 0}
    assert learned["removed"] == nothing | {"objects_false": 15}
    assert learn([(certain(label), label)])["removed"] == nothing
    depth = ndimage.distance_transform_cdt(label == 0, "chessboard")
    row, column = np.argwhere((depth > 3) & (probability < 0.5))[0]
    label[row, column], probability[row, column] = 1, 0.95  # a true object of one pixel
    assert learn([(probability, label)])["removed"]["objects_true"] == 1


# Two levels


def touching(gap: float = 0.7, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two discs whose gap of two columns is fainter than they are, but not faint."""
    rows, columns = np.mgrid[:64, :96]
    columns = columns - shift
    discs = np.hypot(rows - 32, columns - 34) < 16
    discs |= np.hypot(rows - 32, columns - 62) < 16
    probability = np.where(discs, 0.97, 0.05)
    label = discs.astype(np.uint8)
    between = (np.abs(columns - 47.5) < 1) & discs
    label[between], probability[between] = 0, gap
    # Faint true pixels that a threshold above the gap would lose.
    probability[discs & (np.hypot(rows - 32, columns - 34) > 12) & (columns < 34)] = 0.6
    return probability.astype(np.float16), label


def components(mask: np.ndarray) -> int:
    return ndimage.label(mask)[1]


def test_two_levels_separate_what_one_threshold_leaves_together():
    probability, label = touching()
    assert components(probability > 0.5) == 1
    separated = apply_decision(probability, Decision(0.5, 0, 0, upper=0.9, min_seed=8))
    assert components(separated) == components(label) == 2
    drawn = (probability > 0.5) & ~separated
    assert not drawn[label > 0].any() and not (separated & (probability <= 0.5)).any()


@pytest.mark.parametrize("seed", range(3))
def test_lines_separate_the_seeds_and_take_nothing_else(seed):
    probability, _ = noisy(seed)
    decision = Decision(0.3, 4, 4, upper=0.8, min_seed=4)
    whole = apply_decision(probability, replace(decision, upper=None))
    separated = apply_decision(probability, decision)
    assert not (separated & ~whole).any()
    seeds, count = ndimage.label(whole & (probability > decision.upper))
    large = np.flatnonzero(np.bincount(seeds.ravel())[1:] >= decision.min_seed) + 1
    objects = ndimage.label(separated)[0]
    for piece in np.unique(objects[objects > 0]):
        assert len(np.intersect1d(seeds[objects == piece], large)) <= 1
    one_seeded = [
        pieces
        for pieces in map(ndimage.label(whole)[0].__eq__, range(1, components(whole) + 1))
        if len(np.intersect1d(seeds[pieces], large)) < 2
    ]
    assert one_seeded and count > len(large)
    for pieces in one_seeded:
        assert separated[pieces].all()


def test_parts_without_a_seed_stay():
    probability, _ = touching()
    probability[2:6, 2:6] = 0.6
    probability[2:4, 50:52] = 0.97  # above the upper level, but too small for a seed
    separated = apply_decision(probability, Decision(0.5, 0, 0, upper=0.9, min_seed=8))
    assert separated[2:6, 2:6].all() and separated[2:4, 50:52].all()
    assert components(separated) == 4


def test_touching_objects_are_learned_to_be_separated():
    cases = [touching(shift=shift) for shift in (-4, 0, 4)]
    learned = learn(cases)
    assert learned["method"] == "two_level"
    assert learned["upper"] > 0.7 > learned["threshold"]
    assert components(apply_decision(cases[0][0], stored_decision(learned))) == 2
    assert learned["reason"].startswith("Two levels separate objects that touch")
    assert learn(cases, method="one_level")["method"] == "one_level"


def test_of_levels_that_separate_equally_well_the_middle_one_is_taken():
    learned = learn([touching(gap=0.8, shift=shift) for shift in (-4, 0, 4)])
    row = [tried for tried in learned["methods"] if tried["min_seed"] == SEED_SIZES[0]]
    separating = sorted(
        {tried["upper"] for tried in row if tried["v_rand"] > learned["methods"][0]["v_rand"] + 0.1}
    )
    assert len(separating) >= 3 and separating[0] >= 0.8 and separating[-1] <= 0.97
    assert learned["upper"] == separating[len(separating) // 2]


def test_a_network_that_is_far_too_sure_still_has_seeds():
    """The threshold is above 0.998 here; an upper level that is rounded to 1 separates nothing."""
    label = np.zeros((64, 96), np.uint8)
    label[24:44, 8:28] = label[24:44, 40:60] = 1
    probability = label.astype(np.float16)
    probability[2:10] = 0.998
    learned = learn([(probability, label)] * 3, method="two_level")
    assert learned["threshold"] > 0.998 and learned["upper"] < 1
    probability[32:36, 28:40] = 0.9995  # joins the objects of another image
    assert components(probability > learned["threshold"]) == 1
    assert components(apply_decision(probability, stored_decision(learned))) == 2


def test_images_without_objects_do_not_change_the_level_that_separates():
    single = np.zeros((64, 96), np.uint8)
    single[20:44, 30:60] = 1
    cases = [touching(gap=0.9), (certain(single), single)]
    empty = (np.zeros((64, 96), np.float16), np.zeros((64, 96), np.uint8))
    levels = {learn([*cases, *[empty] * count])["upper"] for count in (0, 2, 4)}
    assert len(levels) == 1 and None not in levels


def test_where_nothing_touches_one_level_stays():
    label = np.zeros((96, 96), np.uint8)
    for row in range(8, 96, 24):
        for column in range(8, 96, 24):
            label[row : row + 12, column : column + 12] = 1
    rng = np.random.default_rng(0)
    soft = ndimage.gaussian_filter(label.astype(float), 1.5)
    cases = [
        (np.clip(soft + rng.normal(0, 0.05, label.shape), 0, 1).astype(np.float16), label)
        for _ in range(3)
    ]
    learned = learn(cases)
    assert (learned["method"], learned["upper"]) == ("one_level", None)
    assert "no better" in learned["reason"]
    assert learn(cases, method="two_level")["method"] == "two_level"


def test_lines_that_cost_score_are_not_drawn():
    label = np.ones((64, 64), np.uint8)
    label[:, 60:] = 0
    probability = certain(label)
    probability[:, 2:60:3] = 0.8  # each third column of one true object is fainter
    assert learn([(probability, label)] * 3)["method"] == "one_level"


def test_thinning_by_distance_hardly_changes_v_rand():
    for seed in range(4):
        probability, label = noisy(seed, 192)
        smooth = ndimage.gaussian_filter(probability.astype(float), 2).astype(np.float16)
        decisions = [Decision(0.5, 0, 0), Decision(0.5, 8, 8, 0.7, 8), Decision(0.6, 0, 0)]
        candidates = score_candidates([Case("", label, smooth)], decisions, OBJECTIVES["dice"])
        for decision, candidate in zip(decisions, candidates, strict=True):
            exact = brute_force(decision, [(smooth, label)], "v_rand")
            assert candidate.v_rand == pytest.approx(exact, abs=0.003)


def brute_force(decision: Decision, cases: list, objective: str) -> float:
    masks = [(apply_decision(probability, decision), label) for probability, label in cases]
    if objective == "v_rand":
        return float(np.nanmean([rand_and_information(*pair)["v_rand"] for pair in masks]))
    if objective == "boundary_f1":
        return float(np.nanmean([boundary_f1(*pair) for pair in masks]))
    counts = sum((confusion(*pair) for pair in masks), Confusion())
    return float({"dice": mean_dice, "iou": mean_iou}[objective](counts))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_scores_what_applying_gives(objective):
    cases = [noisy(seed, 64) for seed in range(3)]
    learned = learn(cases, objective)
    assert learned["score"] == pytest.approx(
        brute_force(stored_decision(learned), cases, objective), abs=1e-12
    )
    for tried in learned["methods"]:
        decision = stored_decision(tried)
        assert tried["score"] == pytest.approx(brute_force(decision, cases, objective), abs=1e-12)
        assert tried["v_rand"] == pytest.approx(brute_force(decision, cases, "v_rand"), abs=0.02)
    for tried in learned["sizes"]:
        decision = Decision(
            learned["methods"][0]["threshold"], tried["min_object"], tried["min_hole"]
        )
        assert tried["score"] == pytest.approx(brute_force(decision, cases, objective), abs=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_finds_its_best_threshold(objective):
    cases = [noisy(seed, 64) for seed in range(2)]
    learned = learn(cases, objective, "one_level")
    levels = [*np.linspace(0.05, 0.95, 19).astype(np.float16), learned["curve"]["threshold"][0]]
    assert len(learned["curve"]["threshold"]) >= 19
    scores = [brute_force(Decision(float(level), 0, 0), cases, objective) for level in levels]
    assert learned["score_uncleaned"] >= max(scores) - 1e-12
    at_half = brute_force(Decision(0.5, 0, 0), cases, objective)
    assert learned["score_at_half"] == pytest.approx(at_half)
    assert learned["score"] >= learned["score_uncleaned"] >= at_half - 1e-12
    json.dumps(learned, allow_nan=False)


def test_mean_iou_is_the_mean_of_both_classes():
    counts = Confusion(tp=50, fp=10, fn=5, tn=35)
    scores = pixel_scores(counts)
    both = (scores["foreground_iou"] + scores["background_iou"]) / 2
    assert mean_iou(counts) == pytest.approx(both)


# Degenerate data


@pytest.mark.parametrize("share, foreground", [(0.25, False), (0.75, True)])
def test_constant_probability_gives_the_better_class(share, foreground):
    label = np.zeros((64, 64), np.uint8)
    label[: int(64 * share)] = 1
    probability = np.full(label.shape, 0.3, np.float16)
    learned = learn([(probability, label)])
    assert (apply_decision(probability, stored_decision(learned)) == foreground).all()
    assert (learned["min_object"], learned["min_hole"]) == (0, 0)


@pytest.mark.parametrize("value, found", [(0, "background"), (1, "foreground")])
def test_labels_of_one_class_are_the_users_error(value, found):
    label = np.full((64, 64), value, np.uint8)
    probability = np.random.default_rng(0).uniform(0.2, 0.8, label.shape).astype(np.float16)
    with pytest.raises(UserError, match=rf"split\.validation: every pixel .* is {found}; "):
        learn([(probability, label)] * 3)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_image_of_one_class_among_others_is_no_error(objective):
    nothing = np.zeros((32, 32), np.uint8)
    probability = np.random.default_rng(0).uniform(0.2, 0.8, nothing.shape).astype(np.float16)
    learned = learn([(probability, nothing), noisy(0, 32), noisy(1, 32)], objective)
    assert 0 <= learned["threshold"] <= 1


def test_no_validation_image_is_the_users_error():
    with pytest.raises(UserError, match=r"split\.validation"):
        learn([])


def test_decision_is_written_as_it_is_learned():
    learned = learn([noisy(0)])
    assert list(learned) == [
        "method", "threshold", "upper", "min_seed", "min_object", "min_hole", "objects",
        "objective", "score_at_half", "threshold_uncleaned", "score_uncleaned", "curve", "removed",
        "clean_up", "clean_up_reason", "sizes", "score", "reason", "methods",
    ]  # fmt: skip
    json.dumps(learned, allow_nan=False)
    decision = asdict(stored_decision(json.loads(json.dumps(learned))))
    assert decision == {key: learned[key] for key in decision}
    assert learned["threshold"] in FLOAT16_LEVELS


# --- the stage as a whole ---------------------------------------------------------------------


def test_the_decision_of_a_run_has_what_was_learned_and_its_images(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("maskmake"), "propagate", True)
    cases = [noisy(seed, 64) for seed in (1, 2)]
    run = SimpleNamespace(
        validation_ids=["a", "b"],
        validation_cases=lambda labels: (
            Case(i, labels[i], p) for i, (p, _) in zip("ab", cases, strict=True)
        ),
    )
    labels = {"a": cases[0][1], "b": cases[1][1]}
    why = "decide.objects asks for foreground."
    with caplog.at_level("INFO", logger="maskmake"):
        decision = decide_run(
            run, labels, {"a": "a", "b": "b"}, {}, "dice", "one_level", "foreground", SIZES
        )
    learned = {**learn(cases, "dice", "one_level"), "objects_reason": why}
    calibration = learn_calibration(lambda: run.validation_cases(labels), stored_decision(learned))
    assert decision == {**learned, **calibration, "images": ["a", "b"]}
    objects, first, clean_up, method, temperature = dict.fromkeys(caplog.messages)
    assert objects == f"objects are the foreground: {why}"
    assert first.startswith(f"threshold {decision['threshold']:.3f}, smallest object ")
    assert clean_up.startswith(decision["clean_up_reason"])
    assert method == "one_level: decide.method asks for one_level."
    assert temperature == f"temperature {decision['temperature']:.3f}"
