"""What lies between objects that nearly touch, as the U-Net paper weighs it."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from maskmake.data.object_class import ObjectName, object_label
from maskmake.data.pixel_store import PixelStore, offsets_of
from maskmake.runtime.files import writable_array
from maskmake.runtime.log import logger

SIGMA = 5.0
REACH = 18  # pixels; where the two distances sum up to more, the map rounds to 0


def border_map(label: np.ndarray) -> np.ndarray:
    """How near each pixel is to two objects at once.

    255 exp(-(d1 + d2)^2 / (2 sigma^2)) with the distances d1 and d2 in pixels to the nearest and
    the second nearest object, and sigma 5: Ronneberger, Fischer, Brox 2015, U-Net.

    Args:
        label: (H, W), 0, 1 or 255; objects are 1.

    Returns:
        (H, W) ``uint8``; 0 everywhere with fewer than two objects.
    """
    objects, _ = ndimage.label(label == 1)
    nearest, second = np.full((2, *label.shape), np.inf, np.float32)
    for number, box in enumerate(ndimage.find_objects(objects), start=1):
        around = tuple(slice(max(side.start - REACH, 0), side.stop + REACH) for side in box)
        distance = ndimage.distance_transform_edt(objects[around] != number)
        second[around] = np.minimum(second[around], np.maximum(nearest[around], distance))
        nearest[around] = np.minimum(nearest[around], distance)
    return np.rint(255 * np.exp(-((nearest + second) ** 2) / (2 * SIGMA**2))).astype(np.uint8)


def with_border_weights(
    labels: PixelStore, ids: list[str], path: Path, objects: ObjectName
) -> PixelStore:
    """The labels of some images with their border maps as a second channel, (H, W, 2) ``uint8``.

    Args:
        labels: pixel store of the labels.
        ids: the images.
        path: array the result is written to; where it exists, it is taken as it is.
        objects: their class.
    """
    shapes = [(*labels.shape(image_id), 2) for image_id in ids]
    offsets = offsets_of(shapes)
    if not path.exists():
        logger.info("computing border weights of %d images, objects %s", len(ids), objects)
        total = int(sum(np.prod(shape) for shape in shapes))
        with writable_array(path, (total,), np.uint8) as flat:
            for image_id, offset in zip(ids, offsets, strict=True):
                label = labels[image_id]
                both = np.dstack([label, border_map(object_label(label, objects))])
                flat[offset : offset + both.size] = both.reshape(-1)
    return PixelStore(path, ids, shapes, offsets)
