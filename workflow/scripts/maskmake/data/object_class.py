"""Which class of the labels the objects are: the one that falls into many pieces."""

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple, TypedDict

import numpy as np
from scipy import ndimage

from maskmake.data.labels import HOLE_CONNECTIVITY, OBJECT_CONNECTIVITY, where_labelled
from maskmake.runtime.documents import Keywords

ObjectName = Literal["foreground", "background"]

# Objects are a class that falls into at least so many times the pieces of the other one.
MANY = 2


class Pieces(TypedDict):
    """How many pieces each class falls into, see ``count_pieces``: mean over labels that have it.

    Those of the objects are connected by their sides, those of the other class by corners too.
    """

    foreground: Annotated[float, Keywords(minimum=0)]
    background: Annotated[float, Keywords(minimum=0)]


class ObjectClass(TypedDict):
    """The class of the objects, and the pieces that show it."""

    objects: ObjectName
    pieces: Pieces


class _Class(NamedTuple):
    """A class in a label, or in the mean of labels: its pixels, and its pieces of both kinds."""

    pixels: float
    as_objects: float
    between: float


def find_object_class(labels: Iterable[np.ndarray]) -> ObjectClass:
    """Find the class of the objects: cells between membranes, nuclei on a background.

    It is the class that falls into at least twice as many pieces as the other one, and into at
    least two. A diagonal line of one pixel falls into many pieces too, if only sides connect; so
    where this holds for both classes, the one of the larger pieces is taken. Where it holds for
    neither, objects are the foreground.

    Args:
        labels: (H, W) ``uint8``, 0, 1 or, for pixels of neither class, 255.
    """
    counted = [(_count(label == 1), _count(label == 0)) for label in labels]
    foreground, background = (
        _pooled([pair[place] for pair in counted if pair[place].pixels]) for place in (0, 1)
    )
    of_background = _many(background, foreground) and (
        not _many(foreground, background)
        or background.pixels / background.as_objects > foreground.pixels / foreground.as_objects
    )
    if of_background:
        pieces = Pieces(foreground=foreground.between, background=background.as_objects)
        return {"objects": "background", "pieces": pieces}
    pieces = Pieces(foreground=foreground.as_objects, background=background.between)
    return {"objects": "foreground", "pieces": pieces}


def object_label(label: np.ndarray, objects: ObjectName) -> np.ndarray:
    """A label as one in which objects are foreground, and the other way round."""
    return label if objects == "foreground" else where_labelled(label == 0, label)


def _many(objects: _Class, other: _Class) -> bool:
    return objects.as_objects >= MANY * max(1.0, other.between)


def _count(pixels: np.ndarray) -> _Class:
    return _Class(
        int(np.count_nonzero(pixels)),
        count_pieces(pixels, OBJECT_CONNECTIVITY),
        count_pieces(pixels, HOLE_CONNECTIVITY),
    )


def _pooled(counted: list[_Class]) -> _Class:
    if not counted:
        return _Class(0, 0.0, 0.0)
    return _Class(*np.mean(counted, axis=0).tolist())


def count_pieces(mask: np.ndarray, connectivity: int) -> float:
    """Number of connected components of a mask (H, W) bool, where small ones hardly count.

    It is the number of components of one size whose pixels, taken two by two, are as often of one
    component (the inverse of Simpson's index): n for n equal ones, and near 1 for one large one and
    many specks; 0 for an empty mask.
    """
    structure = ndimage.generate_binary_structure(2, connectivity)
    components, _ = ndimage.label(mask, structure)
    sizes = np.bincount(components.ravel())[1:].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if sizes.size else 0.0
