"""Bootstrap intervals: how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from maskmake.scores import bootstrap


def test_every_resample_draws_as_many_images_as_there_are():
    weights = bootstrap.resampling_weights(range(7))
    assert weights.shape == (bootstrap.RESAMPLES, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.1)
    assert np.array_equal(weights, bootstrap.resampling_weights(range(7)))


def test_images_of_one_group_are_drawn_together():
    weights = bootstrap.resampling_weights(["b", "a", "b", "c"])
    assert np.array_equal(weights[:, [0, 1, 3]], bootstrap.resampling_weights(range(3)))
    assert np.array_equal(weights[:, 2], weights[:, 0])


def test_means_leave_undefined_scores_out():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [6.0, 3.0]])
    weights = np.array([[1.0, 1, 1], [2, 1, 0], [0, 0, 3]])
    means = bootstrap.resampled_means(values, weights)
    assert means == pytest.approx(np.array([[3, 3], [4 / 3, np.nan], [6, 3]]), nan_ok=True)


@pytest.mark.parametrize("images", [6, 9, 30])
def test_interval_of_a_mean_is_about_the_t_interval(images):
    rng = np.random.default_rng(images)
    values = rng.normal(0.9, 0.02, images)
    weights = bootstrap.resampling_weights(range(images))
    ends = bootstrap.interval(weights @ values / images, images)
    expected = stats.t.interval(0.95, images - 1, values.mean(), stats.sem(values))
    assert ends == pytest.approx(expected, abs=0.2 * (expected[1] - expected[0]))


@pytest.mark.parametrize("images", [6, 9, 30])
def test_intervals_hold_the_truth_in_about_95_of_100_sets(images):
    rng = np.random.default_rng(0)
    weights = bootstrap.resampling_weights(range(images))
    sets = rng.normal(size=(400, images))
    ends = np.array([bootstrap.interval(each, images) for each in sets @ weights.T / images])
    assert 0.92 <= np.mean((ends[:, 0] < 0) & (ends[:, 1] > 0)) <= 0.98


@pytest.mark.parametrize(("groups", "held"), [(True, (0.9, 0.98)), (False, (0, 0.8))])
def test_intervals_over_groups_hold_the_truth_where_images_of_a_group_are_alike(groups, held):
    """Of ten patients with six images each; half of the variance is between patients."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(10), 6)
    weights = bootstrap.resampling_weights(patients if groups else range(60))
    sets = rng.normal(size=(400, 10))[:, patients] + rng.normal(size=(400, 60))
    means = sets @ weights.T / weights.sum(axis=1)
    ends = np.array([bootstrap.interval(each, 10 if groups else 60) for each in means])
    assert held[0] <= np.mean((ends[:, 0] < 0) & (ends[:, 1] > 0)) <= held[1]


def test_one_image_has_no_interval():
    assert np.isnan(bootstrap.interval(np.full(2000, 0.9), 1)).all()
    assert np.isnan(bootstrap.interval(np.full(2000, np.nan), 0)).all()


def test_undefined_resamples_are_left_out():
    resampled = np.linspace(0, 1, 2000)
    resampled[::2] = np.nan
    low, high = bootstrap.interval(resampled, 10_000)
    assert (low, high) == pytest.approx((0.025, 0.975), abs=0.002)
