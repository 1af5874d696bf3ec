"""Two levels, which separate objects that touch."""

from dataclasses import replace

import numpy as np
import pytest
from deciding import brute_force, certain, learn, noisy
from scipy import ndimage

from maskmake.masks.decision import Decision, apply_decision, stored_decision
from maskmake.masks.objectives import OBJECTIVES
from maskmake.masks.two_levels import SEED_SIZES, score_candidates
from maskmake.scores.cases import Case


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
