"""Runs without a training: a network of one convolution, saved as a training saves it."""

from pathlib import Path

import keras

from maskmake.network.networks import save_network
from maskmake.runtime.files import write_json

SETTINGS = {
    "architecture": "Unet",
    "encoder": "resnet18",
    "encoder_weights": None,
    "patch": 32,
    "batch": 2,
    "steps": 1,
    "backend": "tensorflow",
}
PARTS = (
    "architecture",
    "encoder",
    "pretrained",
    "channels",
    "patch",
    "scale",
    "offset",
    "precision",
)


def build_small_network(*arguments):
    """In place of ``build_network``: the logit is the sum of the channels, scaled, plus a bias."""
    parts = dict(zip(PARTS, arguments, strict=True))
    return keras.Sequential(
        [
            keras.Input((None, None, parts["channels"])),
            keras.layers.Rescaling(parts["scale"], parts["offset"]),
            keras.layers.Conv2D(1, 1, kernel_initializer="ones"),
        ]
    )


def record(network, channels, dtype, scale, offset, fold=0):
    """The contents of ``training.json``."""
    return {
        "settings": SETTINGS,
        "fold": fold,
        "preprocessing": {"channels": channels, "dtype": dtype, "scale": scale, "offset": offset},
        "precision": "float32",
        "device": "CPU",
        "xla": False,
        "parameters": network.count_params(),
        "patches": 2,
        "seconds": 1.0,
        "finished": "2026-11-27",
        "best_epoch": 1,
        "val_loss": 0.5,
        "versions": {"maskmake": "0.2.0"},
    }


def write_fold(folder: Path, channels=1, dtype="uint8", scale=(1.0,), offset=(0.0,), bias=0.0):
    """Write ``model.keras`` and ``training.json`` of a fold."""
    folder.mkdir(parents=True)
    scale, offset = list(scale), list(offset)
    network = build_small_network("", "", False, channels, 32, scale, offset, "float32")
    network.layers[-1].bias.assign([bias])
    save_network(network, folder / "model.keras")
    write_json(folder / "training.json", record(network, channels, dtype, scale, offset))
