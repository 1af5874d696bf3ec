"""Networks of Keras on tiles, in batches that fit into memory, and on the pixel store."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from maskmake.data.normalization import StoreMoments
from maskmake.data.pixel_store import (
    PixelStore,
    image_bands,
    offsets_of,
    open_images,
    stacked_shape,
)
from maskmake.network.device import describe_device
from maskmake.network.memory import is_exhausted, output_bytes
from maskmake.network.saved_networks import load_network
from maskmake.network.settings import ENCODER_STRIDE, PredictSettings
from maskmake.network.tiles import Shape2D, tile_count
from maskmake.predict.mean_logits import SYMMETRIES, MeanLogits
from maskmake.predict.tiling import (
    PIXELS_A_CALL,
    PIXELS_A_CALL_ON_GPU,
    ImageStream,
    predict_bands,
    tile_side,
)
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import writable_array
from maskmake.runtime.log import logger
from maskmake.runtime.memory import available_memory
from maskmake.runtime.progress import tracked

# Memory of a prediction on a processor as a share of the outputs of all layers. 0.2 was measured
# (U-Net with ResNet-34, TensorFlow).
MEMORY_SHARE = 0.3


class Predictor:
    """Gives the mean logits of networks, which it calls with batches of one shape.

    The tile and the batch are halved until they fit into memory.

    Args:
        networks: from raw pixels (B, H, W, C) to logits (B, H, W, 1).
        shapes: (H, W) of the images to be predicted.
        settings: tile, overlap, test-time augmentation.

    Raises:
        UserError: not even the smallest tile fits.
    """

    def __init__(
        self, networks: list[keras.Model], shapes: Iterable[Shape2D], settings: PredictSettings
    ):
        self._networks = networks
        self._mean_logits = MeanLogits(networks)
        self._symmetries = SYMMETRIES if settings.tta else 1
        shapes = list(shapes)
        _, bound, _, self.channels = networks[0].input_shape
        # A network that is bound to the size of its patches (PSPNet) sets the tile.
        self.side = bound or tile_side(shapes, settings)
        pixels = PIXELS_A_CALL if describe_device() == "CPU" else PIXELS_A_CALL_ON_GPU
        tiles = tile_count(shapes, self.side, settings.overlap)
        self.batch = max(1, min(pixels // self.side**2, tiles))
        self.overlap = settings.overlap
        logger.info("preparing predictions: %s at once", self._describe())
        while not self._fits():
            before = self._describe()
            if self.batch > 1:
                self.batch //= 2
            elif bound or self.side == ENCODER_STRIDE:
                raise UserError(
                    f"predict.tile: {before} does not fit into the memory of the "
                    f"{describe_device()}; close what else uses it or take a smaller network."
                )
            else:
                self.side = max(ENCODER_STRIDE, self.side // 2 // ENCODER_STRIDE * ENCODER_STRIDE)
            logger.warning(
                "%s: too much for the memory; going on with %s.", before, self._describe()
            )

    def _describe(self) -> str:
        plural = "" if self.batch == 1 else "s"
        return f"a batch of {self.batch} tile{plural} of {self.side} x {self.side} pixels"

    def _fits(self) -> bool:
        """Whether a batch fits into memory. All later ones have its shape and fit as well."""
        if describe_device() == "CPU":
            # Linux kills a process that takes more memory than there is, without any message.
            needed = max(output_bytes(net, self.batch, self.side) for net in self._networks)
            if MEMORY_SHARE * needed > available_memory():
                return False
        try:
            shape = (self.batch, self.side, self.side, self.channels)
            self._mean_logits.of(np.zeros(shape, np.float32), 1)
        except Exception as error:
            if not is_exhausted(error):
                raise
            return False
        return True

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Logits (n, S, S) float32 of up to ``batch`` tiles (n, S, S, C) of raw pixel values."""
        missing = self.batch - len(tiles)
        # In one type: for each other one the network would be compiled again.
        padded = np.pad(tiles.astype(np.float32), [(0, missing), (0, 0), (0, 0), (0, 0)])
        return self._mean_logits.of(padded, self._symmetries)[: len(tiles)]


def _model_bands(
    images: PixelStore, moments: StoreMoments | None, image_id: str
) -> Iterator[np.ndarray]:
    """Bands of an image as the network was given its training images."""
    for band in image_bands(images[image_id]):
        yield band if moments is None else moments[image_id].apply(band)


def predict_images(
    model_folder: str | Path,
    images_path: str | Path,
    index: pd.DataFrame,
    ids: list[str],
    settings: PredictSettings,
    probabilities_path: str | Path,
) -> pd.DataFrame:
    """Write the probabilities of some images of a pixel store, one after the other.

    Args:
        model_folder: folder with ``model.keras`` and ``training.json``.
        images_path: ``images.npy``.
        index: table of ``index.csv``.
        ids: the images, in the order of the output.
        settings: tile, overlap, test-time augmentation.
        probabilities_path: output, float16: N x H x W if all have one shape, else flat.

    Returns:
        Columns id and sha256 (of the probabilities); a row for each image.
    """
    images = open_images(images_path, index)
    shapes = [images.size(image_id) for image_id in ids]
    # From the sizes of all images of the data set, so that all folds have the same tile.
    all_shapes = [images.size(image_id) for image_id in images.ids]
    network, record = load_network(model_folder)
    moments = StoreMoments(images) if record["preprocessing"].get("per_image") else None
    predictor = Predictor([network], all_shapes, settings)
    sources = (
        ImageStream(image_id, shape, _model_bands(images, moments, image_id))
        for image_id, shape in zip(ids, shapes, strict=True)
    )
    places = dict(zip(ids, offsets_of(shapes), strict=True))
    sums = {image_id: hashlib.sha256() for image_id in ids}
    with writable_array(probabilities_path, stacked_shape(shapes), np.float16) as array:
        flat = array.reshape(-1)
        for image_id, band in predict_bands(predictor, tracked(sources, "predicted", len(ids))):
            assert not isinstance(band, UserError)  # these bands are not read from image files
            flat[places[image_id] :][: band.size] = band.reshape(-1)
            places[image_id] += band.size
            sums[image_id].update(np.ascontiguousarray(band).data)
    return pd.DataFrame({"id": ids, "sha256": [sums[i].hexdigest() for i in ids]})
