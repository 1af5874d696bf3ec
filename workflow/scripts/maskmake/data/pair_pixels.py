"""The images of a pair of files and their labels: one each, or those of two stacks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from maskmake.data.images import ImageFile, open_image_files
from maskmake.data.label_files import LabelFile, LabelReader
from maskmake.data.object_masks import open_label
from maskmake.runtime.errors import UserError

Found = TypeVar("Found")


class PairedImage(NamedTuple):
    """An image of a pair of files.

    Attributes:
        id: of the image; image 7 of a stack is ``<id of the pair>_0007``.
        page: its number in the stack; None for the only one.
        image: what can be read, or why it cannot.
        read_label: gives the label, see ``label_files.read_label``.
    """

    id: str
    page: int | None
    image: ImageFile | UserError
    read_label: LabelReader

    def read_image(self) -> np.ndarray:
        """See ``ImageFile.whole``."""
        if isinstance(self.image, UserError):
            raise self.image
        return self.image.whole()


def open_pair(
    name: str, image: Path, label: str | Path, selection: Sequence[int] | None
) -> list[PairedImage]:
    """The images of a file and their labels.

    Args:
        name: id of the pair.
        image: its file.
        label: its file, or the text of ``join_files`` for several.
        selection: ``dataset.channels``.

    Returns:
        A file that cannot be read is one image, whose reader raises its fault.

    Raises:
        UserError: the two files have different counts of images.
    """
    images = _opened(lambda: open_image_files(image, selection, name))
    labels = _opened(lambda: open_label(label, name))
    if isinstance(images, UserError) or isinstance(labels, UserError):
        first_image = images if isinstance(images, UserError) else images[0]
        first_label = _raiser(labels) if isinstance(labels, UserError) else labels[0]
        return [PairedImage(name, None, first_image, first_label)]
    if len(images) != len(labels):
        planes = _channels(images, image), _channels(labels, label)
        advice = "save both stacks with the same pages"
        if (len(images), len(labels)) == planes[::-1]:
            advice = "save the channels as slices, in Fiji by Image > Properties"
        raise UserError(
            f"{label}: {_count(labels, planes[1])}, but {image} has {_count(images, planes[0])}; "
            f"expected a label for each image; {advice}."
        )
    if len(images) == 1:
        return [PairedImage(name, None, images[0], labels[0])]
    return [
        PairedImage(f"{name}_{page:04d}", page, *each)
        for page, each in enumerate(zip(images, labels, strict=True))
    ]


def _opened(opener: Callable[[], list[Found]]) -> list[Found] | UserError:
    try:
        return opener()
    except UserError as error:
        return error


def _raiser(fault: UserError) -> LabelReader:
    def read() -> LabelFile:
        raise fault

    return read


def _count(found: Sequence, channels: int) -> str:
    if len(found) > 1:
        return f"a stack of {len(found)} images"
    return "1 image" if channels == 1 else f"1 image of {channels} channels"


def _channels(found: Sequence, file: str | Path) -> int:
    """Channels of the only image of a file; 1 for a stack, and for what cannot be read."""
    if len(found) > 1 or not Path(file).is_file():
        return 1
    image = _opened(lambda: open_image_files(Path(file)))
    first = image if isinstance(image, UserError) else image[0]
    return first.shape[2] if isinstance(first, ImageFile) and len(first.shape) == 3 else 1
