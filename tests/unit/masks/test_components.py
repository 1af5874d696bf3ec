"""Objects and holes of a mask against the clean-up that is really applied."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from maskmake.masks.components import REMOVED, clean_up_counts, find_components
from maskmake.masks.decision import Decision, apply_decision, threshold_and_clean
from maskmake.scores.pixels import Confusion, confusion

SIZES = np.array([0, 2, 4, 8, 16, 32, 64])


def random_case(seed: int, smooth: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(2, 61, 47)), (0, smooth, smooth))
    mask, label = fields > np.median(fields)
    return mask, label.astype(np.uint8)


@pytest.mark.parametrize("smooth", [0, 0.7, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_cleaned_mask(seed, smooth):
    mask, label = random_case(seed, smooth)
    counts, removed = clean_up_counts(mask, label, SIZES)
    for (i, smallest_object), (j, smallest_hole) in product(enumerate(SIZES), enumerate(SIZES)):
        decision = Decision(0.5, smallest_object, smallest_hole)
        cleaned = apply_decision(mask.astype(np.float16), decision)
        assert Confusion(*(int(field[i, j]) for field in counts)) == confusion(cleaned, label)
        without = threshold_and_clean(mask.astype(np.float16), Decision(0.5, smallest_object, 0))
        pieces = {
            "objects": (mask & ~without, label > 0, None),
            "holes": (cleaned & ~without, label == 0, np.ones((3, 3))),
        }
        for kind, (gone, truth, structure) in pieces.items():
            labels, count = ndimage.label(gone, structure)
            shares = ndimage.mean(truth, labels, np.arange(1, count + 1))
            true = int((np.array(shares) >= 0.5).sum())
            assert removed[REMOVED.index(f"{kind}_true"), i, j] == true
            assert removed[REMOVED.index(f"{kind}_false"), i, j] == count - true


def test_sizes_and_overlaps_of_a_mask_drawn_by_hand():
    mask = np.zeros((12, 12), bool)
    mask[1:3, 1:4] = True  # an object of 6 pixels, 4 of them true
    mask[6:11, 6:11] = True  # one of 24 pixels around a hole
    mask[8, 8] = False
    label = np.zeros((12, 12), np.uint8)
    label[1:3, 1:3] = 1
    label[6:11, 6:11] = 1
    found = find_components(mask, label)
    assert found.holes == 2
    assert found.sizes.tolist() == [144 - 6 - 25, 1, 6, 24]
    assert found.is_object.tolist() == [False, False, True, True]
    assert found.overlaps == pytest.approx([1, 0, 4 / 6, 1])
    assert (found.pieces[mask] >= 2).all() and (found.pieces[~mask] < 2).all()


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_of_one_piece(value):
    mask = np.full((5, 7), value)
    counts, removed = clean_up_counts(mask, np.zeros((5, 7), np.uint8), np.array([0, 36]))
    assert counts.fp.tolist() == ([[35, 35], [0, 0]] if value else [[0, 0], [0, 0]])
    assert removed.sum(axis=0).tolist() == ([[0, 0], [1, 1]] if value else [[0, 0], [0, 0]])
