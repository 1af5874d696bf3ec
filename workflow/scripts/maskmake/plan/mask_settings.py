"""What ``auto`` takes in the sections that make masks: the tile, and the sizes of the clean-up.

They follow from the sizes of the images alone, not from other settings, so that a change of
``predict`` or ``decide`` plans no training again.
"""

import math
from collections.abc import Sequence

from maskmake.network.tiles import LARGEST_WHOLE, Shape2D, auto_tile
from maskmake.plan.rules import Choice

# Sizes double from the smallest to a share of the largest image, but at least to 256 pixels.
SMALLEST_SIZE = 4
LARGEST_SIZE = 256
LARGEST_SIZE_SHARE = 1 / 1024


def plan_masks(settings: dict, shapes: Sequence[Shape2D]) -> dict[str, Choice]:
    """What ``auto`` takes, by the dotted name of the setting.

    Args:
        settings: architecture and patch of a run, the patch chosen.
        shapes: (H, W) of each image.
    """
    return {
        "predict.tile": choose_tile(settings, shapes),
        "decide.sizes": choose_sizes(max(height * width for height, width in shapes)),
    }


def choose_tile(settings: dict, shapes: Sequence[Shape2D]) -> Choice:
    """One side for all images of the data set."""
    if settings["architecture"] == "PSPNet":
        return Choice(settings["patch"], "PSPNet takes tiles of the size of its patches")
    side = auto_tile(shapes)
    longest = max(map(max, shapes))
    if longest <= side:
        return Choice(side, f"the largest image, {longest} pixels long, is one tile")
    if longest <= LARGEST_WHOLE:
        return Choice(side, "smaller tiles leave fewer pixels over than one tile an image")
    reason = f"the largest image is {longest} pixels long; tiles of it have {LARGEST_WHOLE // 2}"
    return Choice(side, f"{reason} at most")


def choose_sizes(largest_image: int) -> Choice:
    """Sizes in pixels of the smallest object and hole that are tried.

    Args:
        largest_image: its pixels.
    """
    largest = max(LARGEST_SIZE, largest_image * LARGEST_SIZE_SHARE)
    doublings = int(math.log2(largest / SMALLEST_SIZE))
    sizes = [SMALLEST_SIZE * 2**doubling for doubling in range(doublings + 1)]
    if largest > LARGEST_SIZE:
        return Choice(sizes, "doubled up to a thousandth of the largest image")
    return Choice(sizes, f"doubled up to {LARGEST_SIZE} pixels, more than a speck has")
