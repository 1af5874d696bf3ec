"""A package in Python: masks and probabilities of arrays, with ONNX Runtime and without Keras."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from maskmake.data.image_samples import chosen_channels, finite, kept_type
from maskmake.data.images import open_image_files, stack_error
from maskmake.data.normalization import moments
from maskmake.masks.decision import apply_decision, read_decision, stored_decision
from maskmake.masks.package_sums import check_package
from maskmake.network.package_file import read_preprocessing
from maskmake.network.settings import PredictSettings
from maskmake.network.tiles import Shape2D, tile_count
from maskmake.predict.inputs import check_pixels, trained_pixels
from maskmake.predict.tiling import PIXELS_A_CALL, ImageStream, predict_bands, tile_side
from maskmake.runtime.errors import UserError, first_line

SYMMETRIES = 8  # those of ``predict.mean_logits``
PROVIDERS = "CUDAExecutionProvider", "CPUExecutionProvider"


class Prediction(NamedTuple):
    """What a network says of an image.

    Attributes:
        mask: (H, W) bool, True in the foreground.
        probability: (H, W) float16, 0 to 1, of foreground.
    """

    mask: np.ndarray
    probability: np.ndarray


class OnnxPredictor:
    """Gives the mean logits over symmetries of an ONNX graph; see ``tiling.TilePredictor``."""

    def __init__(
        self, session: onnxruntime.InferenceSession, shape: Shape2D, settings: PredictSettings
    ):
        self._session = session
        bound = session.get_inputs()[0].shape[1]
        self.side = bound if isinstance(bound, int) else tile_side([shape], settings)
        count = tile_count([shape], self.side, settings.overlap)
        self.batch = max(1, min(PIXELS_A_CALL // self.side**2, count))
        self.overlap = settings.overlap
        self._symmetries = SYMMETRIES if settings.tta else 1

    def __call__(self, tiles: np.ndarray, /) -> np.ndarray:
        tiles = tiles.astype(np.float32)
        total = np.zeros(tiles.shape[:3], np.float32)
        for number in range(self._symmetries):
            seen = np.ascontiguousarray(_turned(tiles, number))
            (logits,) = self._session.run(["logits"], {"images": seen})
            total += _turned_back(logits, number)[..., 0]
        return total / np.float32(self._symmetries)


def _turned(tiles: np.ndarray, number: int) -> np.ndarray:
    """A symmetry by its number, as ``mean_logits`` counts them: each bit stands for one step."""
    tiles = tiles[:, ::-1] if number % 2 else tiles
    tiles = tiles[:, :, ::-1] if number // 2 % 2 else tiles
    return tiles.swapaxes(1, 2) if number // 4 else tiles


def _turned_back(tiles: np.ndarray, number: int) -> np.ndarray:
    tiles = tiles.swapaxes(1, 2) if number // 4 else tiles
    tiles = tiles[:, :, ::-1] if number // 2 % 2 else tiles
    return tiles[:, ::-1] if number % 2 else tiles


class PackagedModel:
    """A package: its network, what it expects of images, and its decision.

    Args:
        folder: of the package.
        checked: whether all its files are compared with their sums.

    Raises:
        UserError: a file is missing or altered, or cannot be read.
    """

    def __init__(self, folder: str | Path, checked: bool = True):
        folder = Path(folder)
        if checked:
            check_package(folder)
        self.preprocessing = read_preprocessing(folder)
        self.decision = stored_decision(read_decision(folder / "decision.json", any_version=True))
        self.settings = PredictSettings(**self.preprocessing["predict"])
        available = onnxruntime.get_available_providers()
        try:
            self._session = onnxruntime.InferenceSession(
                folder / "model.onnx", providers=[name for name in PROVIDERS if name in available]
            )
        except Exception as error:  # its errors have no class in common but this
            raise UserError(
                f"{folder / 'model.onnx'}: ONNX Runtime cannot read it ({first_line(error)}); "
                "expected a graph of a later or the same version; update onnxruntime."
            ) from error

    def predict(self, image: np.ndarray | str | Path) -> Prediction:
        """Mask and probability of one image.

        Args:
            image: path of a file, which is read as ``segment`` reads it: without alpha, a palette
                resolved, turned as its orientation entry says; or raw pixels as the files of the
                training images had them, (H, W) or (H, W, C). Of any size. Where the training
                selected channels, the same ones are taken.

        Raises:
            UserError: it is no image, lacks a selected channel, or has other channels or another
                type than the images that the model was trained on, or a value that is not finite;
                or the file cannot be decoded, or is a stack.
        """
        if isinstance(image, str | Path):
            return self._predict(self._read(Path(image)))
        return self.predict_selected(self._selected(np.asarray(image)))

    def predict_selected(self, image: np.ndarray) -> Prediction:
        """As ``predict``, of an image (H, W) or (H, W, C) of the selected channels alone."""
        return self._predict(self._trained(image))

    def _predict(self, pixels: np.ndarray) -> Prediction:
        pixels = self._normalized(pixels)
        shape: Shape2D = pixels.shape[0], pixels.shape[1]
        predictor = OnnxPredictor(self._session, shape, self.settings)
        probability = np.concatenate(list(_bands(predictor, pixels, shape)))
        return Prediction(apply_decision(probability, self.decision), probability)

    def tile(self, image: np.ndarray) -> np.ndarray:
        """An image as ``predict_selected`` takes it, which fits at once: (1, H, W, C) float32."""
        return self._trained(image).reshape(1, *image.shape[:2], -1).astype(np.float32)

    def normalized(self, tiles: np.ndarray) -> np.ndarray:
        """Tiles (B, H, W, C) as the network takes them, float32."""
        return np.stack([self._normalized(tile).reshape(tile.shape) for tile in tiles])

    def logits(self, tiles: np.ndarray) -> np.ndarray:
        """Logits (B, H, W, 1) of the graph for tiles as ``normalized`` gives them."""
        return self._session.run(["logits"], {"images": tiles})[0]

    def _normalized(self, pixels: np.ndarray) -> np.ndarray:
        if not self.preprocessing.get("per_image"):
            return pixels
        return moments([pixels], self.preprocessing["channels"]).apply(pixels)

    def _read(self, path: Path) -> np.ndarray:
        """The image of a file in the type and with the channels of the training images."""
        image, *others = images = open_image_files(path, self.preprocessing.get("selection"))
        if others:
            raise stack_error(path, images)
        if isinstance(image, UserError):
            raise image
        channels = image.shape[2] if len(image.shape) == 3 else 1
        check_pixels(path, channels, image.dtype, image.file_dtype, self.preprocessing)
        return trained_pixels(path, image.whole(), self.preprocessing)

    def _selected(self, array: np.ndarray) -> np.ndarray:
        """The channels (H, W, C) of an array that the training images had."""
        if array.ndim not in (2, 3) or 0 in array.shape:
            raise UserError(
                f"array: shape {array.shape}; expected one image, height x width or height x "
                "width x channels; give the images of a stack one by one."
            )
        if array.dtype.kind not in "buif":
            raise UserError(
                f"array: type {array.dtype}; expected numbers, of type "
                f"{self.preprocessing['dtype']}; convert the array."
            )
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        samples = array.reshape(*array.shape[:2], -1)
        selection = self.preprocessing.get("selection")
        if selection is None:
            return samples
        with _of_array():
            return samples[..., chosen_channels(samples.shape[2], False, selection)]

    def _trained(self, image: np.ndarray) -> np.ndarray:
        """An image in the type and with the channels of the training images."""
        samples = image.reshape(*image.shape[:2], -1)
        kept, channels = kept_type(samples.dtype), samples.shape[2]
        check_pixels("array", channels, kept, samples.dtype, self.preprocessing)
        if samples.dtype.kind == "f":
            with _of_array():
                samples = finite(samples, 0)
        pixels = samples[..., 0] if channels == 1 else samples
        return trained_pixels("array", pixels.astype(kept, copy=False), self.preprocessing)


@contextmanager
def _of_array() -> Iterator[None]:
    """Name the array in an error that says what is wrong with it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"array: {error}") from None


def _bands(predictor: OnnxPredictor, pixels: np.ndarray, shape: Shape2D) -> Iterator[np.ndarray]:
    stream = ImageStream("array", shape, iter([pixels]))
    for _, band in predict_bands(predictor, [stream]):
        assert not isinstance(band, UserError)  # these bands are not read from a file
        yield band


def load(folder: str | Path) -> PackagedModel:
    """Open a package, the folder ``package`` that the target ``export`` makes; see its class."""
    return PackagedModel(folder)
