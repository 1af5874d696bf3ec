"""How large and how wide the structures in labels are, for the plan of a training."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypedDict

import numpy as np
from scipy import ndimage

from maskmake.data.labels import IGNORED, OBJECT_CONNECTIVITY
from maskmake.data.object_class import ObjectName
from maskmake.runtime.documents import Keywords

# Of more labels, evenly spaced ones are measured, and of larger ones the middle: a distance map of
# 2048 x 2048 pixels takes half a second.
MOST_LABELS, LARGEST_SIDE = 200, 2048
# Of a line, all of whose pixels lie up to half its width from the border, the mean distance is a
# quarter of the width.
WIDTHS_OF_DISTANCE = 4
# In partial labels, the least share of the pixels of a class whose distance to the border is known.
# Of strokes beside one another at most two thirds are nearer to the other class than to no label;
# the width would be that of the strokes.
LEAST_KNOWN = 0.75
# And the least share of the pixels of objects that lie in whole ones: the longer an object is, the
# more often its end has no label.
LEAST_WHOLE = 0.5

NotNegative = Annotated[float, Keywords(minimum=0)]


class Structures(TypedDict):
    """Sizes in the labels of images that are not test images, in pixels; 0 where none was measured.

    Attributes:
        objects: connected components of the class of the objects that were measured. Those that
            touch an ignored pixel are not: they may go on there. Where most pixels lie in such
            ones, none is.
        object_area: that of the object of the middle object pixel, objects sorted by area.
        object_length: the longer side of its bounding box, in the same way.
        smallest_object: area below which a twentieth of the objects lies.
        foreground_width, background_width: four times the mean distance of a pixel of the class to
            the border; the width of a class that is lines. Labels of one class have no part in it.
            0, too, where labels are so partial that too few distances are known.
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
    areas, lengths, object_pixels = [], [], 0
    distances, known, pixels = np.zeros(2), np.zeros(2), np.zeros(2)
    for place in places:
        label = _middle(label_of(ids[place]))
        ignored = label == IGNORED
        for value in (0, 1):
            of_class, of_other = label == value, label == 1 - value
            if of_other.any():  # without the other class nothing is a distance away
                found = _distances(of_class, of_other)
                distances[value] += found.sum()
                known[value] += len(found)
                pixels[value] += np.count_nonzero(of_class)
        mask = label == (1 if objects == "foreground" else 0)
        object_pixels += int(np.count_nonzero(mask))
        area, length = _whole_objects(mask, ignored)
        areas.append(area)
        lengths.append(length)
    area, length = np.concatenate(areas), np.concatenate(lengths)
    if area.sum() < LEAST_WHOLE * object_pixels:
        area, length = area[:0], length[:0]
    # A distance is that to the middle of a pixel, half a pixel behind the border.
    widths = WIDTHS_OF_DISTANCE * np.maximum(distances / np.maximum(known, 1) - 0.5, 0)
    widths[known < LEAST_KNOWN * pixels] = 0
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


def _distances(of_class: np.ndarray, of_other: np.ndarray) -> np.ndarray:
    """Distance to the border of each pixel of a class for which it is known, (N,).

    It is not known where an ignored pixel is nearer than the other class.
    """
    distance, nearest = ndimage.distance_transform_edt(of_class, return_indices=True)
    return distance[of_class & of_other[tuple(nearest)]]


def _whole_objects(mask: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area and longer side of the bounding box of each component that touches nothing ignored.

    Both are (N,).
    """
    structure = ndimage.generate_binary_structure(2, OBJECT_CONNECTIVITY)
    components, count = ndimage.label(mask, structure)
    areas = np.bincount(components.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(components)
    lengths = [max(side.stop - side.start for side in box) for box in boxes]
    whole = np.ones(count + 1, bool)
    whole[components[ndimage.binary_dilation(ignored, structure)]] = False
    return areas[whole[1:]], np.array(lengths, dtype=np.int64)[whole[1:]]


def _of_middle_pixel(values: np.ndarray, areas: np.ndarray) -> float:
    """The value of the object that holds the middle pixel, objects sorted by value."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    ends = areas[order].cumsum()
    return float(values[order][np.searchsorted(ends, ends[-1] / 2)])
