"""How alike images are: neighbours in name, and near copies."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from maskmake.data.splits import name_form
from maskmake.data.thumbnails import SIDE

# An image whose thumbnail differs this little from the mean one (as a share of what the median
# image does) shows nothing of its own: two empty fields of one microscope are no copies.
LITTLE_CONTENT = 0.3

# Neighbours are alike if their correlation is this much higher than that of other pairs, at a
# significance that one set of 1000 without any order reaches.
ALIKE, SIGNIFICANCE = 0.1, 0.001
PAIRS = 4000  # of each kind, so that a large set takes no longer

# The same picture in another format, size, brightness or orientation has 0.99 and more; frames of
# a film that hardly moves have it too.
COPY = 0.98

# Random hyperplanes: at a correlation of 0.98 a bit differs with a probability of 0.064 (Charikar
# 2002, STOC, 380-388), 8 of 128 bits on average, more than 16 with one of 400.
BITS, DIFFERENT_BITS = 128, 16
ORDERS, WINDOW = 10, 4  # images are compared with the next 4 in each of 10 sorted orders

# Places of the pixels of a thumbnail that is turned and flipped: (8, 256), the first one as it is.
_PLACES = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
ORIENTATIONS = np.stack(
    [np.rot90(side, turns).ravel() for side in (_PLACES, _PLACES.T) for turns in range(4)]
)


class Likeness(NamedTuple):
    """Mean correlation of neighbours in name and of other pairs of the same form of name.

    Attributes:
        pairs: number of pairs of neighbours that were compared, 0 if no names are in sequence.
        neighbours, others: -1 to 1, NaN without pairs.
        p: of a one-sided Welch test that neighbours correlate no more than others.
    """

    pairs: int
    neighbours: float
    others: float
    p: float

    @property
    def alike(self) -> bool:
        """Whether neighbours are alike."""
        return self.neighbours - self.others > ALIKE and self.p < SIGNIFICANCE


NOTHING_COMPARED = Likeness(0, np.nan, np.nan, 1.0)


def own_content(thumbnails: np.ndarray) -> np.ndarray:
    """What each image shows beyond its brightness and what all images have in common.

    The mean thumbnail (uneven light, a dark corner) is taken out of each one by least squares.

    Args:
        thumbnails: (N, 16, 16) ``float32``.

    Returns:
        (N, 256) ``float32``: rows of length 1, whose product is a correlation; rows of 0 for images
        that show nothing of their own.
    """
    # A power of two, which changes no digit: squares of large floats are beyond float32.
    _, exponent = np.frexp(np.abs(thumbnails).max(initial=0))
    flat = np.ldexp(thumbnails, -exponent).reshape(len(thumbnails), -1)
    content = flat - flat.mean(axis=1, keepdims=True)
    # In all its orientations, so that a turned copy loses the same. Of a common picture without
    # contrast, rounding alone is left.
    common = content.mean(axis=0)[ORIENTATIONS]
    _, strength, directions = np.linalg.svd(common, full_matrices=False)
    for direction in directions[strength > 1e-3 * strength[0]]:
        content -= np.outer(content @ direction, direction)
    sizes = np.linalg.norm(content, axis=1, keepdims=True)
    # Rounding leaves this much of an image without any content.
    noise = 1e-5 * np.linalg.norm(flat, axis=1, keepdims=True)
    shown = sizes > np.maximum(LITTLE_CONTENT * np.median(sizes), noise)
    return np.divide(content, sizes, out=np.zeros_like(content), where=shown)


def neighbour_likeness(ids: list[str], content: np.ndarray, units: np.ndarray) -> Likeness:
    """Compare neighbours in name with other pairs whose names have the same form.

    Args:
        ids: in natural order.
        content: of ``own_content``.
        units: (N,) integers; images of one number stay together anyway and are not compared.
    """
    rng = np.random.default_rng(0)
    forms: dict[str, list[int]] = {}
    for place, image_id in enumerate(ids):
        if content[place].any():
            forms.setdefault(name_form(image_id), []).append(place)
    series = [np.array(places) for places in forms.values() if len(places) > 2]
    if not series:
        return NOTHING_COMPARED
    neighbours = np.concatenate([np.stack([s[:-1], s[1:]], axis=1) for s in series])
    others = np.concatenate([_other_pairs(s, rng) for s in series])
    neighbours, others = (
        rng.permutation(pairs[units[pairs[:, 0]] != units[pairs[:, 1]]])[:PAIRS]
        for pairs in (neighbours, others)
    )
    if min(len(neighbours), len(others)) < 2:
        return NOTHING_COMPARED
    near, far = (np.einsum("ij,ij->i", *content[pairs.T]) for pairs in (neighbours, others))
    p = stats.ttest_ind(near, far, equal_var=False, alternative="greater").pvalue
    return Likeness(len(near), float(near.mean()), float(far.mean()), float(p))


def _other_pairs(series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pairs that are no neighbours: all of a short series, else a few for each image."""
    if len(series) ** 2 <= PAIRS:
        first, second = np.triu_indices(len(series), k=2)
    else:
        first, second = rng.integers(0, len(series), (2, 2 * len(series)))
        apart = np.abs(first - second) > 1
        first, second = first[apart], second[apart]
    return np.stack([series[first], series[second]], axis=1)


def near_copies(content: np.ndarray) -> np.ndarray:
    """Pairs of images that show the same, also where one is turned or flipped.

    Of many copies of one image each is paired with some others, so that all hang together by
    their pairs. The time grows with N log N.

    Args:
        content: of ``own_content``.

    Returns:
        (M, 2) places in ``content``, the lower first, ascending.
    """
    shown = np.flatnonzero(content.any(axis=1))
    if len(shown) < 2:
        return np.empty((0, 2), np.int64)
    content = content[shown]
    count = len(shown)
    rng = np.random.default_rng(0)
    planes = rng.standard_normal((SIDE * SIDE, BITS)).astype(np.float32)
    # Planes that are turned back see what the planes see of a turned image.
    bits = np.concatenate([content @ planes[np.argsort(view)] > 0 for view in ORIENTATIONS])
    words = np.packbits(bits, axis=1).view(np.uint64)
    orders = [rng.permutation(BITS)[:64] for _ in range(ORDERS)]
    found = [_near_in_order(np.take(bits, order, axis=1), words, count) for order in orders]
    # A pair is a plain image and another one in any orientation.
    plain, other = np.divmod(np.unique(np.concatenate(found)), count * len(ORIENTATIONS))
    view, other = np.divmod(other, count)
    alike = [
        np.einsum("ij,ij->i", content[plain[p]], content[other[p, None], ORIENTATIONS[view[p]]])
        >= COPY
        for p in np.array_split(np.arange(len(plain)), len(plain) // 2**14 + 1)
    ]
    pairs = np.sort(np.stack([plain, other], axis=1)[np.concatenate(alike)], axis=1)
    return shown[np.unique(pairs, axis=0)]


def _near_in_order(bits: np.ndarray, words: np.ndarray, count: int) -> np.ndarray:
    """Pairs with similar words, as numbers, among neighbours in the order of some bits.

    Args:
        bits: (8 N, 64) bool, of ``count`` images in each orientation.
        words: (8 N, 2) ``uint64``, all bits.
    """
    order = np.argsort(np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64))
    found = []
    for step in range(1, WINDOW + 1):
        first, second = order[:-step], order[step:]
        plain, other = np.minimum(first, second), np.maximum(first, second)
        candidates = np.flatnonzero((plain < count) & (other % count != plain))
        plain, other = plain[candidates], other[candidates]
        different = np.bitwise_count(words[plain] ^ words[other]).sum(axis=1)
        near = different <= DIFFERENT_BITS
        found.append(plain[near] * len(words) + other[near])
    return np.concatenate(found)
