"""Scores of probabilities: closed-form cases."""

import numpy as np
import pytest
from pictures import cells

from maskmake.scores.probabilities import (
    FLOAT16_LEVELS,
    SMALLEST,
    SURE,
    ProbabilitySums,
    probability_histogram,
    probability_scores,
    probability_sums,
)


def scored(histogram: np.ndarray, temperature: float = 1.0) -> dict:
    return probability_scores(probability_sums(histogram, temperature))


def random_probabilities(seed: int = 0, shape=(64, 64)) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many ties, and a label that follows them in part."""
    rng = np.random.default_rng(seed)
    probability = np.round(rng.random(shape), 2).astype(np.float16)
    return probability, (rng.random(shape) < probability.astype(float) ** 2).astype(np.uint8)


def test_levels_are_all_float16_numbers_from_0_to_1():
    levels = FLOAT16_LEVELS
    assert levels[0] == 0 and levels[-1] == 1 and (np.diff(levels.astype(float)) > 0).all()
    assert np.array_equal(np.nextafter(levels[:-1], np.float16(1)), levels[1:])


def test_histogram_is_exact_and_pools():
    parts = [random_probabilities(seed) for seed in (0, 1)]
    pooled = sum(probability_histogram(*part) for part in parts)
    assert pooled.dtype == np.int64
    for row, label_value in enumerate((0, 1)):
        values = np.concatenate([p[label == label_value] for p, label in parts])
        levels, counts = np.unique(values, return_counts=True)
        occurs = pooled[row] > 0
        assert np.array_equal(FLOAT16_LEVELS[occurs], levels)
        assert np.array_equal(pooled[row][occurs], counts)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_histogram_refuses_what_is_no_probability(value):
    probability = np.full((2, 2), value, np.float16)
    with pytest.raises(ValueError, match="between 0 and 1"):
        probability_histogram(probability, np.zeros((2, 2), np.uint8))


def test_histogram_refuses_another_type():
    with pytest.raises(ValueError, match="float16"):
        probability_histogram(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.uint8))


def test_average_precision_by_its_definition():
    probability, label = random_probabilities()
    expected, previous = 0.0, 0.0
    for threshold in np.unique(probability)[::-1]:
        positive = probability >= threshold
        tp = np.count_nonzero(positive & (label > 0))
        recall = tp / np.count_nonzero(label)
        expected += (recall - previous) * tp / np.count_nonzero(positive)
        previous = recall
    values = scored(probability_histogram(probability, label))
    assert values["average_precision"] == pytest.approx(expected)


def test_brier_and_calibration_error_by_their_definitions():
    probability, label = random_probabilities()
    values = scored(probability_histogram(probability, label))
    p, y = probability.astype(float).ravel(), label.ravel()
    assert values["brier"] == pytest.approx(np.mean((p - y) ** 2))
    ece = 0.0
    for lower in np.arange(15) / 15:
        inside = (p > lower) & (p <= lower + 1 / 15) | ((lower == 0) & (p == 0))
        if inside.any():
            ece += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert values["ece"] == pytest.approx(ece)


def test_calibrated_scores_are_those_of_the_calibrated_probabilities():
    probability, label = random_probabilities()
    q = np.clip(probability.astype(float), SMALLEST, 1 - SURE)
    q = 1 / (1 + (1 / q - 1) ** (1 / 1.7))
    values = scored(probability_histogram(probability, label), 1.7)
    assert values["brier_calibrated"] == pytest.approx(np.mean((q - label) ** 2))
    gaps = np.bincount((np.ceil(15 * q) - 1).ravel().astype(int), (label - q).ravel())
    assert values["ece_calibrated"] == pytest.approx(np.abs(gaps).sum() / label.size)
    same = scored(probability_histogram(probability, label), 1.0)
    for name in ("ece", "brier"):
        assert same[f"{name}_calibrated"] == pytest.approx(same[name], abs=1e-5)
        assert same[name] == values[name]


def test_certain_pixels_share_the_last_bin_of_the_calibration_error():
    probability = np.array([[1, 1, 0.9375, 0.9375]], np.float16)
    label = np.array([[1, 0, 1, 1]], np.uint8)
    values = scored(probability_histogram(probability, label))
    assert values["ece"] == pytest.approx((1 - 2 * 0.0625) / 4)


def test_perfect_and_worthless_probabilities():
    label = cells()
    perfect = scored(probability_histogram(label.astype(np.float16), label))
    assert [perfect[name] for name in ("average_precision", "ece", "brier")] == [1, 0, 0]
    constant = np.full(label.shape, 0.3, np.float16)
    worthless = scored(probability_histogram(constant, label))
    assert worthless["average_precision"] == pytest.approx(label.mean())
    assert worthless["ece"] == pytest.approx(abs(label.mean() - float(constant[0, 0])))


def test_average_precision_without_foreground_is_undefined():
    histogram = probability_histogram(np.full((4, 4), 0.5, np.float16), np.zeros((4, 4), np.uint8))
    assert np.isnan(scored(histogram)["average_precision"])


def test_sums_of_probabilities_pool():
    """Of images added up, and of several sets at once, as bootstrap needs them."""
    histograms = [probability_histogram(*random_probabilities(seed)) for seed in range(3)]
    sums = [
        np.stack(field)
        for field in zip(*(probability_sums(h, 2.0) for h in histograms), strict=True)
    ]
    weights = np.array([[1, 1, 1], [0, 2, 1]])
    values = probability_scores(ProbabilitySums(*(weights @ each for each in sums)))
    for row, weight in enumerate(weights):
        expected = scored(sum(w * h for w, h in zip(weight, histograms, strict=True)), 2.0)
        assert {name: value[row] for name, value in values.items()} == pytest.approx(expected)
