"""The tile and the sizes of the clean-up that auto takes."""

import pytest
from planning import plan


@pytest.mark.parametrize(
    ("shapes", "explicit", "tile", "reason"),
    [
        ([(512, 500)] * 3, {}, 512, "the largest image, 512 pixels long, is one tile"),
        ([(256, 256)] * 100 + [(600, 600)], {}, 256, "smaller tiles leave fewer pixels over"),
        ([(4000, 6000)], {}, 512, "the largest image is 6000 pixels long; tiles of it have 512"),
        ([(512, 512)], {"architecture": "PSPNet", "patch": 192}, 192, "PSPNet takes tiles"),
    ],
)
def test_the_tile_follows_the_sizes_of_the_images(shapes, explicit, tile, reason):
    setting = plan(shapes=shapes, **explicit)["auto"]["predict.tile"]
    assert setting["value"] == tile
    assert setting["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("side", "sizes", "reason"),
    [
        (64, [4, 8, 16, 32, 64, 128, 256], "doubled up to 256 pixels, more than a speck has"),
        (1024, [4, 8, 16, 32, 64, 128, 256, 512, 1024], "doubled up to a thousandth of the larg"),
    ],
)
def test_larger_images_try_larger_sizes(side, sizes, reason):
    setting = plan(shapes=[(32, 32), (side, side)])["auto"]["decide.sizes"]
    assert setting["value"] == sizes
    assert setting["reason"].startswith(reason)
