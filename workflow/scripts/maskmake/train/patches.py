"""Patches cut from the pixel store, with the label as the last channel.

An image that is smaller than a patch is mirrored to its size, as prediction does it in tiles. The
margin counts nowhere: its label is ``IGNORED``.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np

from maskmake.data.labels import IGNORED, is_foreground, is_labelled
from maskmake.data.normalization import StoreMoments
from maskmake.data.pixel_store import PixelStore
from maskmake.network.device import device_count
from maskmake.runtime.errors import UserError

AHEAD = 2  # batches that are cut and wait
# Of each draw of a pixel these are read: of 128 rows of an image 20,000 wide, it took 0.1 s.
BAND_PIXELS = 2**16


@dataclass(frozen=True)
class PatchSource:
    """What patches are cut from.

    Attributes:
        images: pixel store of the images, (H, W) or (H, W, C).
        labels: pixel store of their labels, (H, W) or (H, W, K): the label and what a loss needs
            besides.
        ids: the images that patches are cut from.
        patch: height and width in pixels.
        partial: whether the labels may have ignored pixels; then each patch has a labelled one.
        moments: of each image, which its patches are given without; None: pixels stay as they are.
    """

    images: PixelStore
    labels: PixelStore
    ids: list[str]
    patch: int
    partial: bool = False
    moments: StoreMoments | None = None

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return (*self.images.shape(self.ids[0]), 1)[2]

    @property
    def padded(self) -> bool:
        """Whether an image is smaller than a patch, so that its patches have an ignored margin."""
        return any(min(self.images.size(image_id)) < self.patch for image_id in self.ids)

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest corner (y, x) of a patch in each image, both (N, 2).

        Along a side that is shorter than a patch, corners lie before the image, and each patch has
        the whole side.
        """
        spare = np.array([self.images.size(image_id) for image_id in self.ids]) - self.patch
        return np.minimum(spare, 0), np.maximum(spare, 0)

    def cut(self, image_id: str, y: int, x: int) -> np.ndarray:
        """One patch, (patch, patch, C + K), the label's channels last.

        It has the images' pixel type, or ``float32`` where each image is normalized by itself.
        """
        margins = [
            (max(0, -start), max(0, start + self.patch - length))
            for start, length in zip((y, x), self.images.size(image_id), strict=True)
        ]
        window = np.s_[max(y, 0) : y + self.patch, max(x, 0) : x + self.patch]
        image, label = self.images[image_id][window], self.labels[image_id][window]
        if self.moments is not None:
            image = self.moments[image_id].apply(image)
        both = np.dstack([image, label.astype(image.dtype)])
        if not np.any(margins):
            return both
        both = np.pad(both, [*margins, (0, 0)], mode="symmetric")
        inside = np.zeros((self.patch, self.patch), bool)
        inside[tuple(slice(before, self.patch - after) for before, after in margins)] = True
        both[..., self.channels][~inside] = IGNORED
        return both

    def has_labelled(self, image_id: str, y: int, x: int) -> bool:
        """Whether a patch has a labelled pixel."""
        label = self.labels[image_id][y : y + self.patch, x : x + self.patch]
        return bool(is_labelled(label if label.ndim == 2 else label[..., 0]).any())


class ChosenPixels:
    """Pixels of some images, from which one can be drawn without listing them all.

    Memory holds only one count for each band of rows of an image.

    Args:
        labels: pixel store of the labels.
        ids: the images.
        chosen: says which pixels of a label these are, as bool.
        kind: what an error calls them.

    Raises:
        UserError: none of the images has such a pixel.
    """

    def __init__(
        self,
        labels: PixelStore,
        ids: list[str],
        chosen: Callable[[np.ndarray], np.ndarray],
        kind: str,
    ):
        self._labels, self._ids, self._chosen = labels, ids, chosen
        bands = [
            (i, y)
            for i, name in enumerate(ids)
            for y in range(0, labels.shape(name)[0], self._rows(i))
        ]
        self._bands = np.array(bands)
        self._ends = np.cumsum([np.count_nonzero(self._band(i, y)) for i, y in bands])
        if not self._ends[-1]:
            raise UserError(
                f"dataset.labels: found no {kind} in the training images; expected some; fix the "
                "labels or the split."
            )

    def _rows(self, i: int) -> int:
        """Height of a band; pixels keep their numbers, whatever it is."""
        return max(1, BAND_PIXELS // self._labels.shape(self._ids[i])[1])

    def _band(self, i: int, y: int) -> np.ndarray:
        band = self._labels[self._ids[i]][y : y + self._rows(i)]
        return self._chosen(band if band.ndim == 2 else band[..., 0])

    def draw(self, random: np.random.Generator) -> tuple[int, int, int]:
        """Position in ``ids``, row and column of such a pixel, all equally likely."""
        pixel = random.integers(self._ends[-1])
        number = np.searchsorted(self._ends, pixel, side="right")
        i, top = self._bands[number]
        band = self._band(i, top)
        y, x = np.nonzero(band)
        place = pixel - self._ends[number]  # counts back from the end of the band
        return i, top + y[place], x[place]


def random_batches(
    source: PatchSource,
    batch: int,
    seed: int,
    foreground_share: float = 0.0,
    first_step: int = 0,
) -> Iterator[np.ndarray]:
    """Endless batches of random patches, every pixel of every image equally likely.

    So an image is drawn by its pixels, or, where it is smaller than a patch, by those of a patch.
    Inside an image all positions are equally likely.

    Where labels have ignored pixels, a labelled pixel is drawn first, all equally likely, and then
    a patch that has it, as far as the borders of its image allow.

    A batch follows from the seed and its step alone, so a resumed training sees what an
    uninterrupted one would have seen.

    Args:
        source: what patches are cut from.
        batch: patches a batch.
        seed: of the choice.
        foreground_share: share of patches that are instead centred on a foreground pixel, each
            equally likely, as far as the borders of its image allow.
        first_step: number of the first batch.

    Yields:
        (batch, patch, patch, C + K) in the images' pixel type, K channels of the label last.

    Raises:
        UserError: patches should be centred on foreground, and there is none.
    """
    ids, patch = source.ids, source.patch
    foreground = labelled = None
    if foreground_share:
        foreground = ChosenPixels(source.labels, ids, is_foreground, "foreground")
    if source.partial:
        labelled = ChosenPixels(source.labels, ids, is_labelled, "labelled pixel")
    lowest, highest = source.corners()
    pixels = (highest + patch).prod(axis=1)
    share = pixels / pixels.sum()
    for step in itertools.count(first_step):
        random = np.random.default_rng([seed, step])
        chosen = random.choice(len(ids), size=batch, p=share)
        corners = random.integers(lowest[chosen], highest[chosen] + 1)
        if labelled:
            for place in np.arange(batch):
                chosen[place], *pixel = labelled.draw(random)
                before = np.array(pixel) - random.integers(0, patch, 2)
                corners[place] = before
        if foreground:
            for place in np.flatnonzero(random.random(batch) < foreground_share):
                chosen[place], *pixel = foreground.draw(random)
                corners[place] = np.array(pixel) - patch // 2
        corners = corners.clip(lowest[chosen], highest[chosen])
        yield np.stack(
            [source.cut(ids[i], y, x) for i, (y, x) in zip(chosen, corners, strict=True)]
        )


def cut_ahead(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same endless batches, each cut in another thread while the one before is trained with."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        waiting = deque(thread.submit(next, batches) for _ in range(AHEAD))
        while True:
            batch = waiting.popleft().result()
            waiting.append(thread.submit(next, batches))
            yield batch


def _starts(length: int, patch: int) -> list[int]:
    """Evenly spaced starts of the fewest patches that cover ``length``; one may reach beyond it."""
    count = -(-length // patch)
    return [round(start) for start in np.linspace(0, max(0, length - patch), count)]


class FixedPatches(keras.utils.PyDataset):
    """Patches spread over the validation images, the same ones in every epoch.

    All batches have one size, so that a step is compiled once: up to ``batch - 1`` patches are left
    out. Fewer patches than ``batch`` make one smaller batch, with some of them twice if several
    devices have to share it equally. Patches without a labelled pixel are left out.

    Args:
        source: what patches are cut from: the validation images.
        batch: patches a batch.
        most: largest number of patches; of more, evenly spaced ones are kept.
    """

    def __init__(self, source: PatchSource, batch: int, most: int):
        super().__init__()
        images, patch = source.images, source.patch
        places = [
            (image_id, y, x)
            for image_id in source.ids
            for y in _starts(images.shape(image_id)[0], patch)
            for x in _starts(images.shape(image_id)[1], patch)
            if not source.partial or source.has_labelled(image_id, y, x)
        ]
        count = min(len(places), most)
        devices = device_count()
        count = count - count % batch or -(-count // devices) * devices
        kept = np.linspace(0, len(places) - 1, count).round().astype(int)
        self._places = [places[i] for i in kept]
        self._source, self._batch = source, batch

    def __len__(self) -> int:
        return -(-len(self._places) // self._batch)

    def __getitem__(self, index: int):
        places = self._places[index * self._batch : (index + 1) * self._batch]
        return (np.stack([self._source.cut(*place) for place in places]),)
