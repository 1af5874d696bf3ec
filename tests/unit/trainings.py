"""A training as small as it can be, which the tests of several modules run."""

from pathlib import Path
from types import SimpleNamespace

import keras

from maskmake.network.settings import AugmentationSettings, TrainSettings
from maskmake.runtime.files import read_csv, read_json
from maskmake.train.training import train_fold

SETTINGS = TrainSettings(
    architecture="Unet",
    encoder="resnet18",
    encoder_weights=None,
    patch=32,
    batch=2,
    steps=2,
    epochs=3,
    minutes=None,
    loss="bce_dice",
    deep_supervision=False,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    warmup=0,
    ema=None,
    patience=None,
    foreground_patches=0,
    normalization="standard",
    label_scale=1,
    guard=True,
    augmentation=AugmentationSettings(noise=0.1),  # tracing the default takes longer than the rest
    precision="float32",
    backend="tensorflow",
    seed=1,
)
FOLD, CODE = 0, "0123456789abcdef"
SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


def outputs_in(folder):
    names = {"model": "model.keras", "history": "history.csv", "training": "training.json"}
    names["augmented"] = "augmented.npy"
    return {key: folder / name for key, name in names.items()}


def train(dataset, folder, settings=SETTINGS, code=CODE, objects="auto"):
    outputs = outputs_in(folder)
    train_fold(settings, FOLD, code, dataset.inputs, outputs, objects=objects)
    return SimpleNamespace(
        folder=folder,
        weights=keras.models.load_model(outputs["model"], compile=False).get_weights(),
        history=read_csv(outputs["history"]),
        training=read_json(outputs["training"]),
    )
