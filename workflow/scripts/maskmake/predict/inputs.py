"""New pixels as a network was given its training images. Free of Keras."""

import numpy as np

from maskmake.data.pixel_store import to_pixel_type
from maskmake.network.settings import Preprocessing
from maskmake.runtime.errors import UserError


def check_pixels(
    name: object, channels: int, dtype: np.dtype, shown: object, preprocessing: Preprocessing
) -> None:
    """Refuse pixels that the model cannot take.

    Args:
        name: of the image, for the error.
        channels: of the image; 1 for grey.
        dtype: in which its pixels are kept.
        shown: the type of the pixels in the file, for the error.
        preprocessing: of the network; channels and dtype are those of the training images.

    Raises:
        UserError: other channels than grey or RGB where the training images had others, or a
            pixel type whose values mean something else.
    """
    trained = preprocessing["channels"]
    if channels != trained and {channels, trained} != {1, 3}:
        raise UserError(
            f"{name}: {channels} channel{'s' if channels > 1 else ''}, but the model was "
            f"trained on {trained}; give it images with the channels of the training images."
        )
    expected = np.dtype(preprocessing["dtype"])
    scaled = "range" in preprocessing and (dtype, expected) == (np.uint8, np.uint16)
    if dtype != expected and not scaled and not preprocessing.get("per_image"):
        remedy = f"convert the image to {expected} as the training images were"
        if (dtype, expected) == (np.uint8, np.uint16):
            remedy = (
                "give it the 16-bit originals, or train with dataset.range or with "
                "train.normalization: image"
            )
        raise UserError(
            f"{name}: pixel type {shown}, but the model was trained on {expected}, "
            f"and nothing says which values mean the same brightness; {remedy}."
        )


def trained_pixels(name: object, pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Pixels in the type and with the channels of the training images.

    Where each image is normalized by itself the type is ``float32``, since types may be mixed then,
    and none is to be rounded.

    Args:
        name: of the image, for the error.
        pixels: rows of it, (h, W) or (h, W, C).
        preprocessing: of the network.

    Raises:
        UserError: colours where grey is expected.
    """
    dtype = np.dtype(np.float32 if preprocessing.get("per_image") else preprocessing["dtype"])
    try:
        return to_pixel_type(pixels, dtype, preprocessing["channels"], preprocessing.get("range"))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
