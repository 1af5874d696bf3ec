"""How long the three lengths of a training are, in views of the labelled pixels."""

from typing import NamedTuple


class Preset(NamedTuple):
    """A length of training. Numbers of views and no times, so that results can be repeated.

    Attributes:
        views: how often each labelled pixel of the training images is seen.
        least, most: pixels that are seen at least and at most, for few and for many images.
        step: pixels of a step.
        patch: largest side of a patch.
        longest: most steps, which only small images need.
        epochs: after each of which the network is validated.
    """

    views: int
    least: int
    most: int
    step: int
    patch: int
    longest: int
    epochs: int


# Two cores without bfloat16 saw 45,000 pixels a second in the demo (U-Net with ResNet-18): 22
# minutes for the most of quick. Standard is as long as what reached V-Rand 0.98 on ISBI 2012 (4000
# steps of 16 patches of 256 pixels, 200 views), best four times as long.
PRESETS = {
    "quick": Preset(60, 16 * 10**6, 60 * 10**6, step=2**17, patch=256, longest=4000, epochs=10),
    "standard": Preset(
        250, 800 * 10**6, 8 * 10**9, step=2**20, patch=512, longest=25_000, epochs=20
    ),
    "best": Preset(
        1000, 3200 * 10**6, 32 * 10**9, step=2**20, patch=512, longest=100_000, epochs=40
    ),
}
