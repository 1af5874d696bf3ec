"""What a pair of image and label looks like, in a few numbers and a small picture of 5 KB.

The audit gathers these while it reads the files once. What is wrong with a pair often shows only
beside the others, so all findings are made from these facts afterwards.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.measure import label as number_pieces
from skimage.segmentation import find_boundaries

from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_values import foreground_mask, meaning_of

SAMPLED = 2**18  # about so many pixels of an image give its brightness and its values

# A label has few values and an image has many. Values are counted up to so many.
MANY_VALUES = 64

SMALL_OBJECT = 4  # pixels; smaller objects are slips of the pen, or noise of a threshold
BAND = 2**20  # pixels of a label whose objects are numbered at once, in 8 bytes each

# Edges are compared on a grid of so many points a side. On it, the label of an ISBI 2012 section
# agrees with its image by 0.50 to 0.64, and with another section by 0.45 at most.
EDGE_SIDE = 64

PICTURE_SIDE, PICTURE_QUALITY = 128, 80
OUTLINE = (255, 64, 0)


@dataclass(frozen=True)
class PairFacts:
    """What an image and its label look like.

    Attributes:
        constant: whether all pixels of the image have one value in each channel.
        value: that of the first pixel; of several channels the highest.
        values: number of values of the image in a sample of its pixels, at most ``MANY_VALUES``.
        brightness: mean of the image, in the units of its file.
        spread: how far the percentiles 0.5 and 99.5 of the image lie apart, in the same units.
        at_top: share of the pixels that have the highest value of the image.
        commonest: share of the pixels that have the commonest value of the image.
        small_objects: number of objects of the label below ``SMALL_OBJECT`` pixels.
        edges: strength of the edges of the image, as ranks, (64 * 64) ``uint8``.
        borders: strength of the borders of the label, (64 * 64) ``uint8``.
        picture: JPEG of the image with the label outlined, at most 128 pixels a side.
    """

    constant: bool
    value: float
    values: int
    brightness: float
    spread: float
    at_top: float
    commonest: float
    small_objects: int
    edges: np.ndarray
    borders: np.ndarray
    picture: bytes


def pair_facts(image: np.ndarray, mask: np.ndarray) -> PairFacts:
    """Look at one pair.

    Args:
        image: (H, W) or (H, W, C), any number type.
        mask: (H, W) bool, foreground of the label; of another size, it counts as background.
    """
    if mask.shape != image.shape[:2]:
        mask = np.zeros(image.shape[:2], bool)
    step = max(1, int((mask.size / SAMPLED) ** 0.5))
    sample = image[::step, ::step]
    strongest = sample if sample.ndim == 2 else sample.max(axis=2)
    values, counts = _counted(strongest)
    low, high = _middle(values, counts)
    image_edges = _edges(sample if sample.ndim == 2 else sample.mean(axis=2))
    return PairFacts(
        constant=_is_constant(image),
        value=float(strongest[0, 0]),
        values=min(len(values), MANY_VALUES),
        brightness=float(sample.mean(dtype=np.float64)),
        spread=high - low,
        at_top=float(counts[-1] / counts.sum()),
        commonest=float(counts.max() / counts.sum()),
        small_objects=count_small_objects(mask),
        edges=_ranks(image_edges),
        borders=_scaled(_edges(mask[::step, ::step])),
        picture=outlined_jpeg(image, mask, low, high),
    )


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
    if facts.pieces or len(facts.regions - {0}) > 1:
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
    numbers = number_pieces(band, connectivity=2)
    sizes = np.bincount(numbers.reshape(-1))
    small = sizes < SMALL_OBJECT
    small[0] = False
    places = np.flatnonzero(small[numbers])
    _, first = np.unique(numbers.reshape(-1)[places], return_index=True)
    rows = places[first] // band.shape[1] + above
    return int(((rows >= start) & (rows < end)).sum())


# --- edges ------------------------------------------------------------------------------------


def _edges(pixels: np.ndarray) -> np.ndarray:
    """Strength of the edges on a grid of 64 x 64 points, whatever the size; ``float32``."""
    side = 2 * EDGE_SIDE
    small = _resized(pixels.astype(np.float32), side)
    down, right = np.gradient(small)
    return _resized(np.hypot(down, right), EDGE_SIDE).reshape(-1)


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX))


def _ranks(strengths: np.ndarray) -> np.ndarray:
    """Ranks, from 0 to 255, so that one bright line does not outweigh all else."""
    _, places = np.unique(strengths, return_inverse=True)
    return (places * 255 // max(1, places.max())).astype(np.uint8)


def _scaled(strengths: np.ndarray) -> np.ndarray:
    highest = strengths.max()
    return (strengths * (255 / highest) if highest else strengths).round().astype(np.uint8)


# --- picture ----------------------------------------------------------------------------------


def outlined_jpeg(image: np.ndarray, mask: np.ndarray, low: float, high: float) -> bytes:
    """A small picture of an image with the border of its label drawn on it.

    Args:
        image: (H, W) or (H, W, C), any number type.
        mask: (H, W) bool.
        low, high: values of the image that become black and white.
    """
    step = -(-max(mask.shape) // (4 * PICTURE_SIDE))
    pixels = image[::step, ::step].astype(np.float32)
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        pixels = pixels.mean(axis=2)
    scaled = ((pixels - low) / ((high - low) or 1)).clip(0, 1) * 255
    picture = np.array(_thumbnail(scaled.round().astype(np.uint8)).convert("RGB"))
    label = np.asarray(_thumbnail(mask[::step, ::step] * np.uint8(255))) > 127
    picture[find_boundaries(label, mode="inner")] = OUTLINE
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=PICTURE_QUALITY, subsampling=0)
    return buffer.getvalue()


def _thumbnail(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    return image
