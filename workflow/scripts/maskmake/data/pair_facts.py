"""What a pair of image and label looks like, in a few numbers.

The audit gathers these while it reads the files once. What is wrong with a pair often shows only
beside the others, so all findings are made from these facts afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_values import foreground_mask, meaning_of

SAMPLED = 2**18  # about so many pixels of an image give its brightness and its values

# A label has few values and an image has many. Values are counted up to so many.
MANY_VALUES = 64

SMALL_OBJECT = 4  # pixels; smaller objects are slips of the pen, or noise of a threshold
BAND = 2**20  # pixels of a label whose objects are numbered at once, in 4 bytes each
SIDES_AND_CORNERS = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What an image and its label look like.

    Attributes:
        constant: whether all pixels of the image have one value in each channel.
        value: that of the first pixel; of several channels the highest.
        values: number of values of the image in a sample of its pixels, at most ``MANY_VALUES``.
        brightness: mean of the image, in the units of its file.
        low, high: percentiles 0.5 and 99.5 of the image, in the same units.
        at_top: share of the pixels that have the highest value of the image.
        commonest: share of the pixels that have the commonest value of the image.
        small_objects: number of objects of the label below ``SMALL_OBJECT`` pixels.
    """

    constant: bool
    value: float
    values: int
    brightness: float
    low: float
    high: float
    at_top: float
    commonest: float
    small_objects: int

    @property
    def spread(self) -> float:
        """How far the two percentiles lie apart."""
        return self.high - self.low


def pair_facts(image: np.ndarray, mask: np.ndarray) -> PairFacts:
    """Look at one pair.

    Args:
        image: (H, W) or (H, W, C), any number type.
        mask: (H, W) bool, foreground of the label.
    """
    sample = sampled(image)
    strongest = sample if sample.ndim == 2 else sample.max(axis=2)
    values, counts = _counted(strongest)
    low, high = _middle(values, counts)
    return PairFacts(
        constant=_is_constant(image),
        value=float(strongest[0, 0]),
        values=min(len(values), MANY_VALUES),
        brightness=float(sample.mean(dtype=np.float64)),
        low=low,
        high=high,
        at_top=float(counts[-1] / counts.sum()),
        commonest=float(counts.max() / counts.sum()),
        small_objects=count_small_objects(mask),
    )


def sampled(pixels: np.ndarray) -> np.ndarray:
    """Every n-th row and column of (H, W) or (H, W, C), about ``SAMPLED`` points."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / SAMPLED) ** 0.5))
    return pixels[::step, ::step]


def is_exchanged(facts: PairFacts, label: LabelFacts) -> bool:
    """Whether the image of a pair looks like a label, and the label like an image."""
    return facts.values <= 2 and len(label.histogram.values) >= MANY_VALUES


def likely_mask(
    label: np.ndarray, facts: LabelFacts, foreground: str | int | list[str | int]
) -> np.ndarray:
    """Foreground of a label before all labels are read, which settles its meaning; (H, W) bool.

    Args:
        label: as ``read_label`` gives it.
        facts: of the label.
        foreground: ``dataset.foreground``. For ``auto``, object numbers are all foreground, and
            other values above the middle of their range.
    """
    if foreground != "auto":
        wanted = foreground if isinstance(foreground, list) else [foreground]
        return foreground_mask(label, meaning_of(wanted))
    if facts.colour:
        return foreground_mask(label, "nonzero")
    values = facts.histogram.values
    if facts.pieces or len(set(facts.regions) - {0}) > 1:
        return label != 0
    if len(values) == 1:
        return label != 0
    return label > (float(values[0]) + float(values[-1])) / 2


def _counted(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of pixels, ascending, and how many pixels have each."""
    if pixels.dtype not in (np.uint8, np.uint16):
        return np.unique(pixels, return_counts=True)
    counts = np.bincount(pixels.reshape(-1))
    values = np.flatnonzero(counts)
    return values, counts[values]


def _middle(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The percentiles 0.5 and 99.5."""
    places = np.searchsorted(counts.cumsum(), np.array([0.005, 0.995]) * counts.sum())
    return float(values[places[0]]), float(values[places[1]])


def _is_constant(image: np.ndarray) -> bool:
    first = image[:1, :1]
    if (image[0] != first[0]).any():  # tells nearly every image apart in no time
        return False
    return all((band == first).all() for band in np.array_split(image, -(-image.size // BAND)))


# --- objects ----------------------------------------------------------------------------------


def count_small_objects(mask: np.ndarray) -> int:
    """Number of objects, connected by sides and corners, below ``SMALL_OBJECT`` pixels.

    The mask is looked at in bands. One reaches as many rows into the next as a small object can,
    and an object belongs to the band that has its first row.
    """
    return sum(_firsts(mask, *rows) for rows in _bands(*mask.shape))


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = max(SMALL_OBJECT, BAND // width)
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def _firsts(mask: np.ndarray, start: int, end: int) -> int:
    above = max(0, start - 1)
    band = mask[above : end + SMALL_OBJECT - 1]
    numbers, _ = ndimage.label(band, SIDES_AND_CORNERS)
    small = np.bincount(numbers.reshape(-1)) < SMALL_OBJECT
    small[0] = False
    if not small.any():
        return 0
    places = np.flatnonzero(small[numbers])
    _, first = np.unique(numbers.reshape(-1)[places], return_index=True)
    rows = places[first] // band.shape[1] + above
    return int(((rows >= start) & (rows < end)).sum())
