"""How large the tiles of a prediction are, and where they lie."""

from collections import Counter
from collections.abc import Iterable

from maskmake.network.settings import ENCODER_STRIDE

# ``auto`` takes the largest side whose tiles have, in all, at most SPARE times the fewest pixels
# that any side needs. Images up to LARGEST_WHOLE may be one tile each; where one is larger, no tile
# is larger than half of LARGEST_WHOLE.
SMALLEST_TILE, LARGEST_WHOLE, SPARE = 256, 1024, 1.25
# Overlap by which sides are compared, the default of ``predict.overlap``, so that the plan of a
# training does not depend on a setting of the prediction.
OVERLAP = 0.5
Shape2D = tuple[int, int]


def auto_tile(shapes: Iterable[Shape2D]) -> int:
    """Side of the square tiles that ``predict.tile: auto`` takes, the same for all images.

    Args:
        shapes: (H, W) of each image, at least one.
    """
    images = Counter(shapes)
    longest = max(map(max, images))
    whole = -(-longest // ENCODER_STRIDE) * ENCODER_STRIDE
    largest = whole if whole <= LARGEST_WHOLE else LARGEST_WHOLE // 2
    sides = range(largest, min(largest, SMALLEST_TILE) - 1, -ENCODER_STRIDE)

    def pixels(side: int) -> int:
        tiles = (count * tile_count([shape], side, OVERLAP) for shape, count in images.items())
        return sum(tiles) * side**2

    fewest = min(map(pixels, sides))
    return next(side for side in sides if pixels(side) <= SPARE * fewest)


def tile_count(shapes: Iterable[Shape2D], tile: int, overlap: float) -> int:
    """Number of the tiles of images of these (H, W)."""
    counts = ([len(tile_starts(n, tile, overlap)) for n in shape] for shape in shapes)
    return sum(down * across for down, across in counts)


def tile_step(tile: int, overlap: float) -> int:
    """The longest step from tile to tile: a multiple of the encoder's stride, at least one."""
    return max(1, int(tile - tile * overlap) // ENCODER_STRIDE) * ENCODER_STRIDE


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Evenly spaced starts of tiles that cover ``length`` and share at least ``overlap``.

    All are multiples of the encoder's stride, so that its grids fall on the same pixels in every
    tile as in the whole image: shifted by one pixel, tiles changed probabilities of a trained U-Net
    by up to 0.8. The last tile may therefore reach up to 31 pixels beyond the image. Tiles share
    less than ``overlap`` where that much would need steps shorter than the stride.
    """
    strides = max(0, -(-(length - tile) // ENCODER_STRIDE))
    steps = -(-strides * ENCODER_STRIDE // tile_step(tile, overlap))
    return [strides * i // max(steps, 1) * ENCODER_STRIDE for i in range(steps + 1)]
