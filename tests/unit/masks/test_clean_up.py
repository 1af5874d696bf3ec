"""The learned clean-up: what is planted goes, and what is true stays."""

import numpy as np
import pytest
from deciding import blobs, certain, learn, noisy, plant, score_of
from scipy import ndimage

from maskmake.masks.decision import Decision, apply_decision, stored_decision
from maskmake.masks.learning import learn_decision
from maskmake.scores.cases import Case
from maskmake.scores.probabilities import FLOAT16_LEVELS


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
