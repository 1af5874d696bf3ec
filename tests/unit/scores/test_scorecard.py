"""The score card: what is pooled, what is averaged, and the intervals."""

import tracemalloc

import numpy as np
import pytest
from pictures import cells

from maskmake.report import terms
from maskmake.scores import bootstrap, pixels, probabilities, scorecard
from maskmake.scores.cases import Case


def case(image_id: str, seed: int) -> Case:
    label = cells(size=96, count=12, seed=seed)
    rng = np.random.default_rng(seed)
    probability = np.clip(label * 0.6 + rng.random(label.shape) * 0.4, 0, 1).astype(np.float16)
    return Case(image_id, label, probability, probability > 0.62)


def test_score_card_pools_pixels_and_averages_images():
    cases = [case("a", 0), case("b", 1)]
    card = scorecard.score_card(iter(cases), 2.0)
    assert tuple(card.scores) == scorecard.SCORES
    assert list(card.per_image.columns) == ["id", "group", *scorecard.SCORES]
    assert list(card.per_image["id"]) == ["a", "b"]
    # Side by side the images have the pixels of both.
    label, probability, mask = (np.hstack(arrays) for arrays in list(zip(*cases, strict=True))[1:4])
    expected = pixels.pixel_scores(pixels.confusion(mask, label))
    histogram = probabilities.probability_histogram(probability, label)
    expected |= probabilities.probability_scores(probabilities.probability_sums(histogram, 2.0))
    assert {name: card.scores[name] for name in expected} == pytest.approx(expected)
    for name in scorecard.IMAGE_SCORES:
        assert card.scores[name] == pytest.approx(card.per_image[name].mean())


def test_score_card_leaves_undefined_scores_out_of_means():
    empty = np.zeros((96, 96), np.uint8)
    cases = [case("a", 0), Case("empty", empty, empty.astype(np.float16), empty > 0)]
    card = scorecard.score_card(cases, 2.0)
    assert card.per_image.set_index("id").loc["empty", "v_rand":"object_f1"].isna().all()
    assert card.scores["v_rand"] == card.per_image["v_rand"][0]
    assert card.scores["hausdorff_95"] == card.per_image["hausdorff_95"][0]
    # One image that has the score does not tell how it scatters.
    assert np.isnan(card.intervals["v_rand_low"])
    assert card.intervals["pixel_accuracy_low"] < card.scores["pixel_accuracy"]


def test_score_card_of_no_image_is_undefined():
    card = scorecard.score_card([], 2.0)
    assert card.per_image.empty and list(card.per_image.columns) == [
        "id",
        "group",
        *scorecard.SCORES,
    ]
    assert all(np.isnan(value) for value in card.scores.values())
    assert all(np.isnan(value) for value in card.intervals.values())


def test_score_card_of_one_image_has_no_interval():
    card = scorecard.score_card([case("a", 0)], 2.0)
    assert all(np.isnan(value) for value in card.intervals.values())


def test_images_of_one_group_count_as_one_for_the_interval():
    cases = [case(str(seed), seed) for seed in range(4)]
    one = scorecard.score_card(cases, 2.0, groups=dict.fromkeys("0123", "patient"))
    assert one.per_image["group"].tolist() == ["patient"] * 4
    assert all(np.isnan(value) for value in one.intervals.values())
    pairs = scorecard.score_card(cases, 2.0, groups={"0": "a", "1": "b", "2": "a", "3": "b"})
    alone = scorecard.score_card(cases, 2.0)
    assert alone.per_image["group"].tolist() == list("0123")
    assert pairs.scores == alone.scores
    # Of two groups the ends are those of drawing the same one twice.
    for name in ("foreground_dice", "boundary_f1"):  # one is pooled, one a mean over images
        halves = [scorecard.score_card(cases[place::2], 2.0).scores[name] for place in (0, 1)]
        ends = [pairs.intervals[f"{name}_{end}"] for end in ("low", "high")]
        assert ends == pytest.approx(sorted(halves), rel=1e-4)


def test_every_score_has_an_interval_around_it():
    card = scorecard.score_card((case(str(seed), seed) for seed in range(6)), 2.0)
    names = [f"{name}_{end}" for name in scorecard.SCORES for end in ("low", "high")]
    assert list(card.intervals) == names
    for name, value in card.scores.items():
        low, high = card.intervals[f"{name}_low"], card.intervals[f"{name}_high"]
        assert low <= value <= high, name
        assert low < high or card.per_image[name].nunique() == 1, name


@pytest.mark.long
def test_pooled_scores_are_resampled_pooled():
    """A large bad image counts by its pixels, not as one of the images."""
    small = [case(str(seed), seed) for seed in range(5)]
    label = cells(size=384, count=100, seed=9)
    probability = np.where(label > 0, 0.25, 0.75).astype(np.float16)
    bad = Case("bad", label, probability, label == 0)
    card = scorecard.score_card([*small, bad], 2.0)
    weights = bootstrap.resampling_weights(range(6))
    cases = [*small, bad]
    for row in (0, 1, 2):
        drawn = [
            case for case, times in zip(cases, weights[row], strict=True) for _ in range(int(times))
        ]
        expected = scorecard.score_card(drawn, 2.0).scores
        resample = card.resamples.loc[row]
        assert resample.to_dict() == pytest.approx(
            {name: expected[name] for name in scorecard.POOLED_SCORES}, rel=1e-4
        )


@pytest.mark.long
def test_a_hundred_images_more_take_few_megabytes(monkeypatch):
    monkeypatch.setattr(
        scorecard, "image_scores", lambda *_: dict.fromkeys(scorecard.IMAGE_SCORES, 0.5)
    )
    one = case("a", 0)

    def peak(images: int) -> int:
        tracemalloc.start()
        scorecard.score_card((one for _ in range(images)), 2.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(120) - peak(20) < 100 * 60_000


def test_every_score_has_its_direction_and_its_term():
    assert tuple(scorecard.HIGHER_IS_BETTER) == scorecard.SCORES
    groups = list(terms.SCORE_TERMS.values())
    explained = [key for group in groups[:-1] for key in group]
    assert sorted(explained) == sorted(scorecard.SCORES)
    assert not set(groups[-1]) & set(scorecard.SCORES)  # the decision and what the run cost
