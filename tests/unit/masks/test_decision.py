"""What a decision does, what is learned of degenerate data, and what is written."""

import json
import logging
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from deciding import SIZES, learn, noisy

from maskmake.masks.decision import Decision, apply_decision, stored_decision
from maskmake.masks.learning import decide_run, learn_calibration
from maskmake.masks.objectives import OBJECTIVES
from maskmake.runtime.errors import UserError
from maskmake.scores.cases import Case
from maskmake.scores.probabilities import FLOAT16_LEVELS

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
