"""Which images a split keeps together: groups, stacks, copies and near copies."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maskmake.data.likeness import near_copies, own_content
from maskmake.data.splits import name_form

# Near copies this close in a sequence of names may be frames of a film, each like the next: kept
# together, all frames would be. More of them than this hang together in no other case.
FRAMES = 10


@dataclass(frozen=True)
class Kin:
    """What the images of a data set have in common.

    Attributes:
        manifest: table of ``manifest.csv``, in natural order of the ids.
        index: table of ``index.csv`` with the same images.
        thumbnails: (N, 16, 16) ``float32``.
    """

    manifest: pd.DataFrame
    index: pd.DataFrame
    thumbnails: np.ndarray

    @cached_property
    def content(self) -> np.ndarray:
        """See ``likeness.own_content``."""
        return own_content(self.thumbnails)

    @cached_property
    def groups(self) -> np.ndarray:
        """A number for each image; images of one group share it."""
        return pd.factorize(self.manifest["group"])[0]

    @cached_property
    def stacks(self) -> np.ndarray:
        """A number for each image; images of one file share it."""
        return pd.factorize(self.manifest["image"])[0]

    @property
    def has_stacks(self) -> bool:
        """Whether a file holds several images."""
        return bool(len(self.stacks)) and int(self.stacks.max()) + 1 < len(self.stacks)

    @cached_property
    def copies(self) -> np.ndarray:
        """A number for each image; images with the same pixels share it.

        An image of one value, such as an empty tile, is no copy of another one: nothing can be
        learned from it that would help with the other.
        """
        keys = [
            (row.height, row.width, row.sha256_image) if np.ptp(small) else place
            for place, (row, small) in enumerate(
                zip(self.index.itertuples(), self.thumbnails, strict=True)
            )
        ]
        return pd.factorize(pd.Series(keys, dtype=object))[0]

    @cached_property
    def near_pairs(self) -> np.ndarray:
        """(M, 2) places of images that show the same, the lower first."""
        return near_copies(self.content)

    @cached_property
    def far_pairs(self) -> np.ndarray:
        """Those of ``near_pairs`` that cannot be frames of a film."""
        forms = pd.factorize(self.manifest["id"].map(name_form))[0]
        first, second = self.near_pairs.T
        places = pd.Series(forms).groupby(forms).cumcount().to_numpy()
        frames = (forms[first] == forms[second]) & (
            np.abs(places[first] - places[second]) <= FRAMES
        )
        if np.bincount(self._linked(self.near_pairs)).max(initial=0) <= FRAMES:
            return self.near_pairs
        return self.near_pairs[~frames]

    def units(self, stacks: bool, pairs: np.ndarray) -> np.ndarray:
        """A number for each image; images that have to stay together share it.

        Args:
            stacks: whether a stack stays together.
            pairs: (M, 2) places of images that do.
        """
        kinds = [self.groups, self.copies, *([self.stacks] if stacks else [])]
        return self._linked(np.concatenate([pairs, *map(links, kinds)]))

    def _linked(self, pairs: np.ndarray) -> np.ndarray:
        count = len(self.manifest)
        graph = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(count, count))
        return connected_components(graph, directed=False)[1]


def links(numbers: np.ndarray) -> np.ndarray:
    """(M, 2) places that link all those of one number, each with the next one."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order[:-1]] == numbers[order[1:]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)
