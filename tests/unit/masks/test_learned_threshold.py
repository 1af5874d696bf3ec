"""The learned threshold and the objectives against brute force."""

import json

import numpy as np
import pytest
from deciding import blobs, brute_force, learn, noisy, score_of

from maskmake.masks.decision import Decision, stored_decision
from maskmake.masks.objectives import OBJECTIVES, mean_dice, mean_iou
from maskmake.scores.pixels import Confusion, confusion, pixel_scores


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
