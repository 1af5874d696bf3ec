"""Where the tiles of an image start."""

import numpy as np
import pytest

from maskmake.network.settings import ENCODER_STRIDE
from maskmake.network.tiles import tile_starts, tile_step


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("tile", [32, 96, 320])
def test_tiles_cover_every_length_and_share_the_overlap(tile, overlap):
    for length in [*range(1, 3 * tile, 7), tile, tile + 1, 2 * tile, 1000, 1999]:
        starts = tile_starts(length, tile, overlap)
        steps = np.diff(starts)
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        if length > tile:
            assert length <= starts[-1] + tile < length + ENCODER_STRIDE
            assert steps.max() <= max(ENCODER_STRIDE, tile - tile * overlap)
            assert steps.max() - steps.min() <= ENCODER_STRIDE
        else:
            assert starts == [0]


@pytest.mark.parametrize(
    ("tile", "overlap", "step"), [(320, 0.8, 64), (288, 0.5, 128), (64, 1, 32)]
)
def test_starts_are_multiples_of_the_stride_of_the_encoder(tile, overlap, step):
    assert tile_step(tile, overlap) == step
    for length in (321, 1000, 1999):
        starts = np.array(tile_starts(length, tile, overlap))
        assert not (starts % ENCODER_STRIDE).any() and np.diff(starts).max() <= step
