"""Calibration: a known temperature is found, and an expected Dice comes true."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit, logit

from maskmake.masks.decision import Decision, apply_decision
from maskmake.masks.learning import learn_calibration
from maskmake.scores.calibration import (
    TEMPERATURES,
    assess_calibration,
    expected_dice,
    learn_temperature,
    reliability,
)
from maskmake.scores.cases import Case
from maskmake.scores.pixels import confusion, pixel_scores
from maskmake.scores.probabilities import (
    FLOAT16_LEVELS,
    calibrated_levels,
    probability_histogram,
    probability_scores,
    probability_sums,
)


def honest(seed: int, bias: float = 0.0, std: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (256, 256) of smooth blobs, and a label drawn with just these probabilities."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(256, 256)), 6)
    logits = bias + std * field / field.std()
    return logits, (rng.random(logits.shape) < expit(logits)).astype(np.uint8)


def stored(logits: np.ndarray) -> np.ndarray:
    return expit(logits).astype(np.float16)


def histogram_of(*cases: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return sum(probability_histogram(probability, label) for probability, label in cases)


def scaled(seeds: range, temperature: float) -> np.ndarray:
    """Histogram of images whose logits are too large by a factor."""
    cases = map(honest, seeds)
    return histogram_of(*((stored(logits * temperature), label) for logits, label in cases))


def scored(histogram: np.ndarray, temperature: float) -> dict:
    return probability_scores(probability_sums(histogram, temperature))


# The temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5, 2.0])
def test_the_temperature_of_scaled_logits_is_found(temperature):
    assert learn_temperature(scaled(range(6), temperature)) == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize("temperature", [0.5, 1.5, 2.0])
def test_calibration_error_and_brier_score_fall_on_images_it_did_not_see(temperature):
    learned = learn_temperature(scaled(range(4), temperature))
    unseen = scaled(range(4, 8), temperature)
    scores = scored(unseen, learned)
    assert scores["ece_calibrated"] < 0.2 * scores["ece"]
    assert scores["brier_calibrated"] < scores["brier"]


@pytest.mark.parametrize("bias", [-6.0, 6.0])
def test_a_rare_class_does_not_hide_the_temperature(bias):
    cases = [honest(seed, bias) for seed in range(6)]
    pooled = histogram_of(*((stored(1.4 * logits), label) for logits, label in cases))
    assert learn_temperature(pooled) == pytest.approx(1.4, rel=0.12)


@pytest.mark.parametrize("temperature", [*TEMPERATURES, 0.9, 1.3])
def test_the_order_of_pixels_and_the_masks_at_one_half_stay(temperature):
    levels = calibrated_levels(temperature)
    assert (np.diff(levels) >= 0).all() and 0 < levels[0] < levels[-1] < 1
    assert ((levels > 0.5) == (FLOAT16_LEVELS > 0.5)).all()
    assert ((levels < 0.5) == (FLOAT16_LEVELS < 0.5)).all()


def test_calibrated_levels_are_those_of_divided_logits():
    inner = slice(1, -1)
    expected = expit(logit(FLOAT16_LEVELS[inner].astype(np.float64)) / 1.7)
    np.testing.assert_allclose(calibrated_levels(1.7)[inner], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("probability", "label", "end"),
    [
        ([0.2, 0.9], [0, 1], 0),  # every pixel right
        ([0.2, 0.3], [0, 0], 0),  # one class, and right
        ([0.0, 1.0], [0, 1], 0),
        ([0.2, 0.9], [1, 0], 1),  # every pixel wrong
        ([0.0, 1.0], [1, 0], 1),
        ([0.7, 0.8], [0, 0], 1),
    ],
)
def test_the_temperature_is_bounded_where_none_is_best(probability, label, end):
    histogram = histogram_of((np.array([probability], np.float16), np.array([label], np.uint8)))
    assert learn_temperature(histogram) == TEMPERATURES[end]


def test_one_class_with_wrong_pixels_has_a_temperature():
    # One pixel in four at logit 1 is wrong, as 0.731 says nearly, but label 0 is the only class.
    probability = np.array([[expit(-1)] * 3 + [expit(1)]], np.float16)
    histogram = histogram_of((probability, np.zeros((1, 4), np.uint8)))
    assert learn_temperature(histogram) == pytest.approx(1 / logit(0.75), rel=1e-2)


def test_a_constant_probability_of_one_half_is_left_alone():
    probability = np.full((4, 4), 0.5, np.float16)
    temperature = learn_temperature(histogram_of((probability, np.eye(4, dtype=np.uint8))))
    assert calibrated_levels(temperature)[FLOAT16_LEVELS == 0.5] == 0.5


# The reliability table


def test_the_table_adds_up_to_the_calibration_error():
    histogram = scaled(range(2), 1.8)
    table = reliability(histogram, 1.8)
    scores = scored(histogram, 1.8)
    expected = {"raw": scores["ece"], "calibrated": scores["ece_calibrated"]}
    for name, bins in table.groupby("probabilities"):
        assert len(bins) == 15 and bins["pixels"].sum() == histogram.sum()
        gaps = (bins["frequency"] - bins["mean_probability"]).abs()
        error = (gaps * bins["pixels"]).sum() / bins["pixels"].sum()
        assert error == pytest.approx(expected[name])
        assert bins["mean_probability"].between(bins["low"], bins["high"]).all()


def test_a_bin_without_pixels_has_no_frequency():
    probability = np.full((2, 2), 0.7, np.float16)
    table = reliability(histogram_of((probability, np.eye(2, dtype=np.uint8))), 1.0)
    raw = table[table["probabilities"] == "raw"].reset_index()
    assert raw["pixels"].tolist() == [4 * (place == 10) for place in range(15)]
    assert raw["frequency"].notna().tolist() == [place == 10 for place in range(15)]
    assert raw.loc[10, "frequency"] == 0.5


# The expected Dice


def test_expected_dice_by_hand():
    probability = np.array([[0.75, 0.75, 0.25, 0.25]], np.float16)
    mask = np.array([[1, 0, 1, 0]])
    # In the mask 1 pixel of foreground is expected, in the image 2.
    assert expected_dice(probability_histogram(probability, mask), 1.0) == pytest.approx(
        dict.fromkeys(
            ("expected_foreground_dice", "expected_background_dice", "expected_mean_dice"), 0.5
        )
    )


def test_bands_add_up_to_the_image():
    logits, label = honest(3)
    probability = stored(logits)
    whole = probability_histogram(probability, label)
    bands = sum(
        probability_histogram(probability[top : top + 50], label[top : top + 50])
        for top in range(0, 256, 50)
    )
    assert expected_dice(bands, 1.3) == expected_dice(whole, 1.3)


def test_a_wide_background_adds_hardly_a_pixel_to_a_small_object():
    """``float16`` distinguishes 0.00001 from 0.001, and so does the calibrated probability."""
    probability = np.full((512, 512), 1e-6, np.float16)
    probability[:20, :20] = 0.999
    histogram = probability_histogram(probability, probability > 0.5)
    assert expected_dice(histogram, 1.3)["expected_foreground_dice"] > 0.98


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("std", [0.5, 2.0, 6.0])
def test_an_expected_dice_comes_true(threshold, std):
    logits, label = honest(7, bias=-1.0, std=std)
    probability = stored(logits)
    mask = probability > threshold
    real = pixel_scores(confusion(mask, label))
    expected = expected_dice(probability_histogram(probability, mask), 1.0)
    for kind in ("foreground", "background"):
        assert expected[f"expected_{kind}_dice"] == pytest.approx(real[f"{kind}_dice"], abs=0.015)


def test_images_are_ranked_as_their_labels_would_rank_them():
    cases = [honest(seed, std=0.5 + seed / 2) for seed in range(10)]
    temperature = 1.6
    expected, real = [], []
    for logits, label in cases:
        probability = stored(temperature * logits)
        mask = probability > 0.5
        histogram = probability_histogram(probability, mask)
        expected.append(expected_dice(histogram, temperature)["expected_mean_dice"])
        scores = pixel_scores(confusion(mask, label))
        real.append((scores["foreground_dice"] + scores["background_dice"]) / 2)
    assert np.argsort(expected).tolist() == np.argsort(real).tolist()


def test_an_empty_mask_is_undefined_only_where_nothing_is_expected():
    empty = np.zeros((64, 64), bool)
    sure = expected_dice(probability_histogram(np.zeros((64, 64), np.float16), empty), 1.0)
    assert np.isnan(sure["expected_foreground_dice"])
    assert sure["expected_mean_dice"] == sure["expected_background_dice"] > 0.999
    doubtful = np.full((64, 64), 0.125, np.float16)
    unsure = expected_dice(probability_histogram(doubtful, empty), 1.0)
    assert unsure["expected_foreground_dice"] == 0
    assert unsure["expected_mean_dice"] == pytest.approx(0.5 * 2 * 0.875 / 1.875)


# What the rules use


def test_what_is_learned_and_how_it_is_assessed():
    """The masks are those of the decision, and the scores pool all pixels."""
    decision = Decision(0.4, 30, 0)
    cases = [(stored(2 * logits), label) for logits, label in map(honest, range(3))]
    named = [Case("", label, probability) for probability, label in cases]
    learned = learn_calibration(lambda: iter(named), decision)
    temperature = learned["temperature"]
    assert temperature == learn_temperature(histogram_of(*cases))
    masks = [apply_decision(probability, decision) for probability, _ in cases]
    assert learned["validation"]["foreground"] == [mask.mean() for mask in masks]

    table, expected = assess_calibration(
        (
            Case(str(place), label, probability, mask)
            for place, (mask, (probability, label)) in enumerate(zip(masks, cases, strict=True))
        ),
        temperature,
    )
    assert expected["id"].tolist() == ["0", "1", "2"]
    dice = expected["expected_mean_dice"].tolist()
    assert dice == learned["validation"]["expected_mean_dice"]
    pooled = histogram_of(*cases)
    assert table.equals(reliability(pooled, temperature))
