"""How large and how wide the structures in labels are, for the plan of a training."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypedDict

import numpy as np
from scipy import ndimage

from maskmake.data.labels import OBJECT_CONNECTIVITY
from maskmake.data.object_class import ObjectName
from maskmake.runtime.documents import Keywords

# Of more labels, evenly spaced ones are measured, and of larger ones the middle: a distance map of
# 2048 x 2048 pixels takes half a second.
MOST_LABELS, LARGEST_SIDE = 200, 2048
# Of a line, all of whose pixels lie up to half its width from the border, the mean distance is a
# quarter of the width.
WIDTHS_OF_DISTANCE = 4

NotNegative = Annotated[float, Keywords(minimum=0)]


class Structures(TypedDict):
    """Sizes in the labels of images that are not test images, in pixels; 0 where there is nothing.

    Attributes:
        objects: connected components of the class of the objects that were measured.
        object_area: that of the object of the middle object pixel, objects sorted by area.
        object_length: the longer side of its bounding box, in the same way.
        smallest_object: area below which a twentieth of the objects lies.
        foreground_width, background_width: four times the mean distance of a pixel of the class to
            the border; the width of a class that is lines.
    """

    objects: Annotated[int, Keywords(minimum=0)]
    object_area: NotNegative
    object_length: NotNegative
    smallest_object: NotNegative
    foreground_width: NotNegative
    background_width: NotNegative


def measure_structures(
    ids: Sequence[str], label_of: Callable[[str], np.ndarray], objects: ObjectName
) -> Structures:
    """Measure the labels of some images.

    Args:
        ids: of the images.
        label_of: gives a label (H, W) ``uint8``: 0, 1 or, for pixels of neither class, 255.
        objects: the class that the objects are.
    """
    places = np.linspace(0, len(ids) - 1, min(len(ids), MOST_LABELS)).round().astype(int)
    areas, lengths = [], []
    distances, pixels = np.zeros(2), np.zeros(2)
    for place in places:
        label = _middle(label_of(ids[place]))
        for value in (0, 1):
            of_class = label == value
            pixels[value] += np.count_nonzero(of_class)
            if not of_class.all():  # without the other class nothing is a distance away
                distances[value] += ndimage.distance_transform_edt(of_class).sum()
        found = _objects(label == (1 if objects == "foreground" else 0))
        areas.append(found[0])
        lengths.append(found[1])
    area, length = np.concatenate(areas), np.concatenate(lengths)
    # A distance is that to the middle of a pixel, half a pixel behind the border.
    widths = WIDTHS_OF_DISTANCE * np.maximum(distances / np.maximum(pixels, 1) - 0.5, 0)
    return {
        "objects": len(area),
        "object_area": _of_middle_pixel(area, area),
        "object_length": _of_middle_pixel(length, area),
        "smallest_object": float(np.quantile(area, 0.05)) if len(area) else 0.0,
        "foreground_width": float(widths[1]),
        "background_width": float(widths[0]),
    }


def _middle(label: np.ndarray) -> np.ndarray:
    starts = [max(0, side - LARGEST_SIDE) // 2 for side in label.shape]
    return np.asarray(label[tuple(slice(start, start + LARGEST_SIDE) for start in starts)])


def _objects(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area and longer side of the bounding box of each component, (N,) each."""
    structure = ndimage.generate_binary_structure(2, OBJECT_CONNECTIVITY)
    components, count = ndimage.label(mask, structure)
    areas = np.bincount(components.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(components)
    lengths = [max(side.stop - side.start for side in box) for box in boxes]
    return areas, np.array(lengths, dtype=np.int64)


def _of_middle_pixel(values: np.ndarray, areas: np.ndarray) -> float:
    """The value of the object that holds the middle pixel, objects sorted by value."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    ends = areas[order].cumsum()
    return float(values[order][np.searchsorted(ends, ends[-1] / 2)])
