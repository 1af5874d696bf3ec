"""Which data sets have thin structures, for which a training takes other steps than for cells."""

from typing import NamedTuple

# The loss of the worst neighbours raised Dice and clDice and lowered the error in Betti 0 on cracks
# of 0.4 % foreground, but cost membrane Dice on ISBI 2012, whose membranes are 22 % of the pixels.
RARE = 0.05
# In pixels. A network sees wider structures whole, so that its masks seldom break them.
THIN = 8.0
# Times the width. Shorter ones are dots: they do not break, and the loss can cost small objects.
LONG = 4.0


class ThinStructures(NamedTuple):
    """Whether a data set has them, and why, in a sentence without its end."""

    found: bool
    reason: str


def thin_structures(foreground: float, width: float, area: float) -> ThinStructures:
    """Whether the foreground is thin structures such as cracks, vessels or roads.

    Args:
        foreground: its share of the labelled pixels, 0 to 1.
        width: median width of an object in pixels, above 0.
        area: median area of an object in pixels.
    """
    length = area / width
    if foreground > RARE:
        return ThinStructures(
            False, f"foreground is {foreground:.1%} of the pixels, more than {RARE:.0%}"
        )
    if width > THIN:
        return ThinStructures(False, f"objects are {width:.0f} pixels wide, more than {THIN:.0f}")
    if length < LONG * width:
        return ThinStructures(
            False, f"objects are {length / width:.1f} times as long as wide, less than {LONG:.0f}"
        )
    return ThinStructures(
        True,
        f"foreground is {foreground:.1%} of the pixels, in objects {width:.0f} pixels wide and "
        f"{length / width:.0f} times as long",
    )
