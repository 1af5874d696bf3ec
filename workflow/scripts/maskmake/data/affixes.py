"""Names of labels that differ from those of their images by a constant beginning or end."""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby, islice, takewhile
from operator import itemgetter
from typing import NamedTuple

LONGEST = 40  # characters of a beginning or end that is looked for
TRIED = 5  # images that may have no label before the search is given up


class Affixes(NamedTuple):
    """What names of images and of labels have before and after what they share."""

    image_start: str
    image_end: str
    label_start: str
    label_end: str

    def label_of(self, image: str) -> str | None:
        """Name of the label of an image; None if the image has not the affixes."""
        start, end = len(self.image_start), len(image) - len(self.image_end)
        if start > end or image[:start] != self.image_start or image[end:] != self.image_end:
            return None
        return f"{self.label_start}{image[start:end]}{self.label_end}"

    def reversed(self) -> "Affixes":
        """The affixes that lead from a label to its image."""
        return Affixes(self.label_start, self.label_end, self.image_start, self.image_end)

    def describe(self) -> str:
        """Such as ``the image '<name>' has the label '<name>_mask'``."""
        image = f"{self.image_start}<name>{self.image_end}"
        return f"the image '{image}' has the label '{self.label_start}<name>{self.label_end}'"


def find_affixes(images: Collection[str], labels: Collection[str]) -> Affixes | None:
    """The affixes by which most images have a label; None if half of them or more have none.

    A number is never cut: ``11`` is no label of ``1``.
    """
    known = set(labels)
    if not images or not known:
        return None
    of_images, of_labels, in_order = _shared(images), _shared(labels), sorted(known)
    found: dict[Affixes, int] = {}
    for image in islice(images, TRIED):
        for affixes in _candidates(image, of_images, of_labels, in_order):
            if affixes not in found and affixes.label_of(image) in known:
                found[affixes] = sum(affixes.label_of(other) in known for other in images)
    best = max(found, key=lambda affixes: (found[affixes], -len("".join(affixes))), default=None)
    if best is None or 2 * found[best] <= min(len(images), len(known)):
        return None
    return best


def _shared(names: Collection[str]) -> tuple[str, str]:
    """What all names begin and end with."""
    lowest, highest = min(names), max(names)  # between which all others lie
    start = _alike(lowest, highest)
    backwards = [name[::-1] for name in names]
    end = _alike(min(backwards), max(backwards))[::-1]
    return start[:LONGEST], end[-LONGEST:]


def _alike(one: str, other: str) -> str:
    """What two names begin with."""
    pairs = zip(one, other, strict=False)
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _candidates(
    image: str, of_images: tuple[str, str], of_labels: tuple[str, str], labels: Sequence[str]
) -> Iterator[Affixes]:
    """Affixes with which a label, of those in order, may be the one of an image."""
    starts = list(_differing(of_images[0], of_labels[0]))
    ends = [
        (image_end[::-1], label_end[::-1])
        for image_end, label_end in _differing(of_images[1][::-1], of_labels[1][::-1])
    ]
    label_ends = {
        image_end: [label_end for _, label_end in pairs]
        for image_end, pairs in groupby(ends, itemgetter(0))
    }
    for image_start, label_start in starts:
        for image_end, endings in label_ends.items():
            core = image[len(image_start) : len(image) - len(image_end)]
            # Long beginnings and ends have millions of combinations, of which this leaves few.
            if not core or not _has_start(labels, label_start + core):
                continue
            for label_end in endings:
                affixes = Affixes(image_start, image_end, label_start, label_end)
                if not _cuts_number(affixes, core):
                    yield affixes


def _has_start(names: Sequence[str], start: str) -> bool:
    """Whether one of several names in order begins so."""
    place = bisect_left(names, start)
    return place < len(names) and names[place].startswith(start)


def _differing(image: str, label: str) -> Iterator[tuple[str, str]]:
    """Pairs of beginnings of two names; those that end alike would only make the core shorter."""
    for i in range(len(image) + 1):
        for j in range(len(label) + 1):
            if not i or not j or image[i - 1] != label[j - 1]:
                yield image[:i], label[:j]


def _cuts_number(affixes: Affixes, core: str) -> bool:
    before = affixes.image_start[-1:].isdigit() or affixes.label_start[-1:].isdigit()
    after = affixes.image_end[:1].isdigit() or affixes.label_end[:1].isdigit()
    return (before and core[:1].isdigit()) or (after and core[-1:].isdigit())
