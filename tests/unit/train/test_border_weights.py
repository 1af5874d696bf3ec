"""The weight map of what lies between two objects, by its formula."""

import numpy as np
import pytest
from scipy import ndimage

from maskmake.data.labels import IGNORED
from maskmake.train.border_weights import border_map, with_border_weights


def by_the_formula(label):
    """From whole-image distances to every object, as the paper has it."""
    objects, count = ndimage.label(label)
    distances = [ndimage.distance_transform_edt(objects != i) for i in range(1, count + 1)]
    nearest, second = np.sort(distances, axis=0)[:2]
    return 255 * np.exp(-((nearest + second) ** 2) / (2 * 5.0**2))


def two_bars(gap):
    label = np.zeros((20, 60), np.uint8)
    label[4:15, 10:20] = label[4:15, 20 + gap : 30 + gap] = 1
    return label


@pytest.mark.parametrize(("gap", "sum_of_distances"), [(1, 2), (3, 4), (9, 10)])
def test_the_weight_falls_with_the_width_of_the_gap(gap, sum_of_distances):
    between = border_map(two_bars(gap))[10, 20 : 20 + gap]
    np.testing.assert_array_equal(between, round(255 * np.exp(-(sum_of_distances**2) / 50)))


@pytest.mark.parametrize("density", [0.02, 0.2, 0.5])
def test_many_objects_of_any_shape(density):
    random = np.random.default_rng(2)
    smooth = ndimage.gaussian_filter(random.random((70, 90)), 1.5)
    label = (smooth > np.quantile(smooth, 1 - density)).astype(np.uint8)
    assert ndimage.label(label)[1] > 5
    np.testing.assert_allclose(border_map(label), by_the_formula(label), atol=0.51)


@pytest.mark.parametrize("label", [np.zeros((8, 9)), np.ones((8, 9)), np.eye(12)[:1], two_bars(20)])
def test_no_weight_without_two_objects_near_each_other(label):
    found = border_map(label.astype(np.uint8))
    assert (found.dtype, found.shape, found.max()) == (np.uint8, label.shape, 0)


def test_the_map_is_the_second_channel_and_is_computed_once(make_stores, tmp_path):
    labels = {"a": two_bars(3), "b": np.zeros((30, 20), np.uint8), "c": two_bars(5)[:, ::-1]}
    store = make_stores(labels, labels)[2]
    path = tmp_path / "folder" / "borders.npy"
    written = []
    for _ in range(2):
        both = with_border_weights(store, ["c", "a"], path, "foreground")
        for name in ("a", "c"):
            assert both.shape(name) == (20, 60, 2)
            np.testing.assert_array_equal(both[name][..., 0], labels[name])
            np.testing.assert_array_equal(both[name][..., 1], border_map(labels[name]))
        written.append(path.stat().st_mtime_ns)
    assert written[0] == written[1]


def test_objects_may_be_the_background_of_the_label(make_stores, tmp_path):
    own, ignored = two_bars(3), np.s_[:, :5]
    inverted = 1 - own
    own[ignored] = inverted[ignored] = IGNORED
    store = make_stores({"a": own, "b": inverted}, {"a": own, "b": inverted})[2]
    both = with_border_weights(store, ["b"], tmp_path / "borders.npy", "background")["b"]
    np.testing.assert_array_equal(both[..., 0], inverted)
    np.testing.assert_array_equal(both[..., 1], border_map(own))
    assert both[..., 1].any()
