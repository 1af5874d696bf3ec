"""One level: properties that hold whatever the images, over random cases with planted specks."""

import re

import numpy as np
import pytest
from reasons import NUMBER, check_clean_up
from scipy import ndimage
from scipy.special import expit

from maskmake.masks.decision import Decision, apply_decision
from maskmake.masks.learning import learn_decision
from maskmake.masks.objectives import TINY
from maskmake.masks.one_level import learn_one_level, pooled_histogram
from maskmake.plan.mask_settings import choose_sizes
from maskmake.scores.cases import Case
from maskmake.scores.pixels import Confusion, confusion, mean_dice

SIZES = choose_sizes(256**2).value


def random_cases(seed: int) -> list[Case]:
    """Images that differ in brightness, noise and specks, so that the images disagree."""
    rng = np.random.default_rng(seed)
    cases = []
    for place in range(rng.integers(1, 7)):
        field = ndimage.gaussian_filter(rng.normal(size=(40, 40)), 5)
        label = (field > np.quantile(field, rng.uniform(0.3, 0.9))).astype(np.uint8)
        soft = ndimage.gaussian_filter(label.astype(float), 1) - 0.5 + rng.normal(0, 0.15)
        noise = ndimage.gaussian_filter(rng.normal(size=label.shape), 0.7)
        probability = expit(8 * soft + rng.uniform(0, 4) * noise)
        for _ in range(rng.poisson(rng.choice([0, 0.5, 3]))):
            row, column = rng.integers(0, 35, 2)
            height, width = rng.integers(1, 6, 2)
            probability[row : row + height, column : column + width] = rng.choice([0.02, 0.6, 0.97])
        cases.append(Case(str(place), label, probability.astype(np.float16)))
    return cases


def learned_one_level(cases: list[Case]) -> tuple[Decision, dict]:
    return learn_one_level(
        lambda: iter(cases), "dice", pooled_histogram(cases), SIZES, "foreground"
    )


def score_of(decision: Decision, cases: list[Case]) -> float:
    counts = [confusion(apply_decision(c.probability, decision), c.label) for c in cases]
    return float(mean_dice(sum(counts, Confusion())))


@pytest.mark.parametrize("seed", range(24))
def test_the_decision_is_never_worse_than_no_clean_up_and_its_reason_is_true(seed):
    cases = random_cases(seed)
    decision, learned = learned_one_level(cases)
    score = score_of(decision, cases)
    cleaned = decision.min_object > 0 or decision.min_hole > 0
    reason, clean_up = learned["clean_up_reason"], learned["clean_up"]
    assert reason.startswith("The clean-up pays") == cleaned
    if not cleaned:
        assert score == learned["score_uncleaned"]
        assert decision.threshold == learned["threshold_uncleaned"]
    else:
        assert score > learned["score_uncleaned"] >= clean_up["score_without"]

        if len(cases) < 3:  # nothing is known about errors, so the best is taken
            assert score == max(tried["score"] for tried in learned["sizes"])

    # What the sentence says is what applying gives, all at one threshold.
    check_clean_up(reason, {"clean_up": clean_up, "threshold": decision.threshold}, cleaned)
    if clean_up is None:
        return
    assert clean_up["threshold"] == decision.threshold
    tried = Decision(decision.threshold, clean_up["min_object"], clean_up["min_hole"])
    assert tried == decision or not cleaned
    assert clean_up["score_with"] == score_of(tried, cases)
    assert clean_up["score_without"] == score_of(Decision(decision.threshold, 0, 0), cases)


@pytest.mark.parametrize("seed", range(6))
def test_a_second_level_costs_no_more_than_its_reason_says(seed):
    cases = random_cases(100 + seed)
    learned = learn_decision(lambda: iter(cases), "dice", SIZES)
    loss = learned["methods"][0]["score"] - learned["score"]
    assert learned["methods"][0]["score"] >= learned["score_uncleaned"]
    if loss <= 0:
        return
    pattern = rf"cost ({NUMBER}), no more than (?:one standard error, )?({NUMBER})"
    said = re.search(pattern, learned["reason"])
    assert float(said[1]) == pytest.approx(loss, abs=5e-6)
    assert loss <= max(TINY, float(said[2])) + 5e-5
