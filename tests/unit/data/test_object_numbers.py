"""Labels of object numbers: what is found in parts of them is what holds for the whole."""

import numpy as np
import pytest
from scipy import ndimage

from maskmake.data import label_facts as label_facts_module
from maskmake.data import label_values, pixel_store
from maskmake.data.label_facts import label_facts
from maskmake.data.label_files import LabelFile
from maskmake.data.label_values import lines_between
from maskmake.data.pair_facts import LikelyMask


def by_definition(label):
    """Pixels of objects that share a side with a smaller one; of equal ones the lower number is."""
    size = {value: ((label == value).sum(), value) for value in np.unique(label)}
    lines = np.zeros(label.shape, bool)
    for row, column in np.argwhere(label):
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            y, x = row + down, column + right
            if 0 <= y < label.shape[0] and 0 <= x < label.shape[1] and label[y, x]:
                lines[row, column] |= size[label[row, column]] > size[label[y, x]]
    return lines


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_object_numbers_are_looked_at_in_bands(rows, monkeypatch):
    """Bands of some rows give what holds for the whole label, wherever their borders lie."""
    rng = np.random.default_rng(rows)
    label = np.kron(rng.integers(0, 6, (9, 11)), np.ones((3, 2), int)).astype(np.uint8)
    for module in (label_values, label_facts_module):
        monkeypatch.setattr(module, "COUNTED", rows * label.shape[1])
    lines, pieces = lines_between(label), label_facts(LabelFile(label, None, None), None).pieces
    assert np.array_equal(lines, by_definition(label))
    numbered = (ndimage.label(label == value, np.ones((3, 3))) for value in range(1, 6))
    assert pieces == tuple(count for _, count in numbered)


@pytest.mark.parametrize("ignored", ["none", "4", "transparent"])
def test_any_part_of_object_numbers_is_that_of_the_whole(ignored, monkeypatch):
    """The mask of the audit in strides, and the store's bands; ignored pixels are no object."""
    rng = np.random.default_rng(7)
    label = np.kron(rng.integers(0, 6, (19, 11)), np.ones((3, 2), int)).astype(np.uint8)
    file = LabelFile(label, rng.random(label.shape) < 0.1, None)
    kept = np.where(label == 4, 0, label) if ignored == "4" else label
    kept = np.where(file.clear, 0, kept) if ignored == "transparent" else kept
    whole = (kept > 0) & ~by_definition(kept)
    facts = label_facts(file, None, ignored)
    assert facts.line_pixels == (kept > 0).sum() - whole.sum()
    monkeypatch.setattr(label_values, "COUNTED", 5 * label.shape[1])
    monkeypatch.setattr(pixel_store, "band_rows", lambda width: 4)
    mask = LikelyMask(file, ignored, facts, "objects")
    assert np.array_equal(mask[:], whole)
    assert np.array_equal(mask[5:21], whole[5:21])
    for step in (2, 3, 7):
        assert np.array_equal(mask[::step, ::step], whole[::step, ::step])
    bands = list(pixel_store.binary_bands(file, "objects", ignored))
    assert np.array_equal(np.concatenate(bands) == 1, whole)
