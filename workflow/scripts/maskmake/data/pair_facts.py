"""What a pair of image and label looks like, in a few numbers.

The audit gathers these while it reads the files once. What is wrong with a pair often shows only
beside the others, so all findings are made from these facts afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from maskmake.data.image_samples import is_grey, sampled
from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_files import LabelFile
from maskmake.data.label_ignored import ignored_pixels, without_ignored
from maskmake.data.label_values import OBJECTS, Objects, foreground_mask, meaning_of
from maskmake.data.pair_pictures import reduced

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


class ImageLook(NamedTuple):
    """What is asked of the pixels of an image, so that its label can be read without them.

    Attributes:
        size: height and width.
        channels: 1 for three equal ones, too.
        minimum, maximum: of all pixels.
        constant: see ``PairFacts``.
        sample: see ``sampled``.
        reduced: see ``pair_pictures.reduced``.
    """

    size: tuple[int, int]
    channels: int
    minimum: float
    maximum: float
    constant: bool
    sample: np.ndarray
    reduced: np.ndarray


def image_look(image: np.ndarray) -> ImageLook:
    """Look at an image (H, W) or (H, W, C) of any number type."""
    return ImageLook(
        size=(image.shape[0], image.shape[1]),
        channels=1 if is_grey(image) else image.shape[2],
        minimum=float(image.min()),
        maximum=float(image.max()),
        constant=_is_constant(image),
        # Copies, if they are no whole images, which they would keep in memory.
        sample=np.ascontiguousarray(sampled(image)),
        reduced=np.ascontiguousarray(reduced(image)),
    )


class LikelyMask:
    """Foreground of a label before all labels are read, which settles its meaning.

    A part of it is made when it is asked for, as ``mask[rows]`` or ``mask[rows, columns]``, since
    the whole takes as much memory as the label.

    Args:
        label: as ``read_label`` gives it.
        ignored: text of ``label_ignored``.
        facts: of the label.
        foreground: ``dataset.foreground``. For ``auto``, object numbers are all foreground, and
            other values above the middle of their range.
    """

    def __init__(
        self,
        label: LabelFile,
        ignored: str,
        facts: LabelFacts,
        foreground: str | int | list[str | int],
    ):
        self.shape = (label.shape[0], label.shape[1])
        self._label, self._ignored, self._facts = label, ignored, facts
        self._foreground = foreground
        # Colours number no objects; that they are refused is found once all labels are read.
        objects = foreground in (OBJECTS, [OBJECTS]) and not facts.colour
        self._objects = Objects(facts.histogram) if objects else None

    def __getitem__(self, places: Any) -> np.ndarray:
        if self._objects is None:
            return _likely(self._values(places), self._facts, self._foreground)
        parts = places if isinstance(places, tuple) else (places,)
        return self._objects.foreground(
            lambda start, stop: self._values(slice(start, stop)), self.shape, *parts
        )

    def _values(self, places: Any) -> np.ndarray:
        """A part of the label, with 0 or black where it is ignored."""
        part = self._label.part(places)
        return without_ignored(part, ignored_pixels(part, self._ignored))


Mask = np.ndarray | LikelyMask  # (H, W) bool


def pair_facts(look: ImageLook, mask: Mask) -> PairFacts:
    """Look at one pair.

    Args:
        look: of the image.
        mask: foreground of the label.
    """
    sample = look.sample
    strongest = sample if sample.ndim == 2 else sample.max(axis=2)
    values, counts = _counted(strongest)
    low, high = _middle(values, counts)
    return PairFacts(
        constant=look.constant,
        value=float(strongest[0, 0]),
        values=min(len(values), MANY_VALUES),
        brightness=float(sample.mean(dtype=np.float64)),
        low=low,
        high=high,
        at_top=float(counts[-1] / counts.sum()),
        commonest=float(counts.max() / counts.sum()),
        small_objects=count_small_objects(mask),
    )


def is_exchanged(facts: PairFacts, label: LabelFacts) -> bool:
    """Whether the image of a pair looks like a label, and the label like an image.

    Object numbers are many values, but no image. The image may then be black, or a drawing.
    """
    many = len(label.histogram.values) >= MANY_VALUES
    return facts.values <= 2 and many and not label.has_object_numbers


def _likely(
    label: np.ndarray, facts: LabelFacts, foreground: str | int | list[str | int]
) -> np.ndarray:
    if foreground not in ("auto", OBJECTS, [OBJECTS]):
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


def count_small_objects(mask: Mask) -> int:
    """Number of objects, connected by sides and corners, below ``SMALL_OBJECT`` pixels.

    The mask is looked at in bands. One reaches as many rows into the next as a small object can,
    and an object belongs to the band that has its first row.
    """
    return sum(_firsts(mask, *rows) for rows in _bands(*mask.shape))


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = max(SMALL_OBJECT, BAND // width)
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def _firsts(mask: Mask, start: int, end: int) -> int:
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
