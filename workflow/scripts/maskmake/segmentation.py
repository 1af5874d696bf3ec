"""Masks of images without labels, from a trained run."""

from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.arrays import to_pixel_type
from maskmake.decision import apply_decision, stored_decision
from maskmake.files import read_json, read_pixels, write_png
from maskmake.log import UserError, logger
from maskmake.networks import load_network
from maskmake.settings import PredictSettings
from maskmake.tiling import predict_probability


def to_model_input(pixels: np.ndarray, preprocessing: dict, path: str | Path) -> np.ndarray:
    """One image with the channels and in the value range that the network was trained on.

    Args:
        pixels: (H, W) or (H, W, 3), ``uint8`` or ``uint16``.
        preprocessing: as stored in ``training.json``: channels and dtype of the training images.
        path: of the image, for the message.

    Raises:
        UserError: the image has colours and the network sees grey, or it has 16 bits and the
            network was trained on 8.
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels > preprocessing["channels"]:
        raise UserError(
            f"{path}: {channels} channels, but the model was trained on grey images; convert the "
            "image to grey as the training images were."
        )
    dtype = np.dtype(preprocessing["dtype"])
    if pixels.dtype.itemsize > dtype.itemsize:
        raise UserError(
            f"{path}: 16 bits a pixel, but the model was trained on 8; convert the image to 8 bits "
            "as the training images were."
        )
    return to_pixel_type(pixels, dtype, preprocessing["channels"])


def segment_images(
    paths: list[str], folds: list[Path], decision_path: Path, settings: PredictSettings, out: Path
) -> pd.DataFrame:
    """Write the mask of each image, 0/255, to ``out/<stem>.png``.

    An image that cannot be used does not stop the others.

    Args:
        paths: images.
        folds: folder of each trained fold, with ``model.keras`` and ``training.json``.
        decision_path: ``decision.json`` of the run.
        settings: tile, overlap, test-time augmentation.
        out: folder of the masks.

    Returns:
        Columns id, image, height, width, foreground (share of the mask).

    Raises:
        UserError: at the end, naming every image that could not be used.
    """
    decision = stored_decision(read_json(decision_path))
    networks = [load_network(fold / "model.keras") for fold in folds]
    preprocessing = read_json(folds[0] / "training.json")["preprocessing"]
    rows, faults = [], []
    for path in map(Path, paths):
        try:
            image = to_model_input(read_pixels(path), preprocessing, path)
        except UserError as error:
            faults.append(str(error))
            continue
        mask = apply_decision(predict_probability(networks, image, settings), decision)
        write_png(out / f"{path.stem}.png", mask)
        height, width = mask.shape
        rows.append((path.stem, str(path), height, width, mask.mean()))
        logger.info("%s: %.1f %% foreground", path, 100 * mask.mean())
    if faults:
        done = f"{len(rows)} of {len(paths)} images are done."
        raise UserError("\n".join([*faults, done]))
    return pd.DataFrame(rows, columns=["id", "image", "height", "width", "foreground"])
