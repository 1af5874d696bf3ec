"""Trainings on images that are smaller than a patch, and of mixed sizes."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from trainings import SETTINGS, train

from maskmake.data.fingerprint import fingerprint
from maskmake.data.labels import IGNORED
from maskmake.data.pixel_store import offsets_of, open_images, open_labels
from maskmake.data.synthesis import synthesize
from maskmake.network.settings import AugmentationSettings
from maskmake.runtime.files import write_csv, write_json
from maskmake.train.engine import Engine
from maskmake.train.losses import LOSSES
from maskmake.train.patches import PatchSource

pytestmark = pytest.mark.long

PATCH = 64
SMALL = replace(
    SETTINGS, patch=PATCH, epochs=1, augmentation=AugmentationSettings(rotation=180.0, noise=0.1)
)
DEFORMING = AugmentationSettings(
    rotation=180.0, zoom=0.3, shift=0.2, shear=20.0, elastic=0.05, quarter_turns=True
)


@pytest.fixture
def write_inputs(tmp_path):
    """A function from the sizes of six images to the inputs of a training."""

    def write(*sizes):
        pairs = []
        for number, (height, width) in enumerate(sizes):
            parts = synthesize(number, 128, seed=5)
            pairs.append([np.tile(part, -(-width // 128))[:height, :width] for part in parts])
        shapes = dict(zip("abcdef", sizes, strict=True))
        index = pd.DataFrame(shapes.values(), columns=["height", "width"]).assign(
            id=list(shapes),
            channels=1,
            image_offset=offsets_of(shapes.values()),
            label_offset=offsets_of(shapes.values()),
        )
        folds = [None] * 4 + [0, None]
        roles = ["train"] * 4 + ["validation", "test"]
        splits = pd.DataFrame({"id": list(shapes), "role": roles, "fold": folds})
        inputs = {name: tmp_path / f"{name}.npy" for name in ("images", "labels")}
        inputs |= {name: tmp_path / f"{name}.csv" for name in ("index", "splits")}
        inputs["plan"] = tmp_path / "plan.json"
        for kind, name in enumerate(("images", "labels")):
            parts = [pair[kind] > 0 if kind else pair[kind] for pair in pairs]
            np.save(inputs[name], np.concatenate([np.ravel(p).astype(np.uint8) for p in parts]))
        write_csv(inputs["index"], index)
        write_csv(inputs["splits"], splits)
        stores = open_images(inputs["images"], index), open_labels(inputs["labels"], index)
        write_json(inputs["plan"], fingerprint(index, splits, *stores))
        return SimpleNamespace(inputs=inputs)

    return write


def test_images_smaller_than_a_patch_train_and_give_the_same_bits_again(
    write_inputs, tmp_path, two_convolutions
):
    dataset = write_inputs(*[(48, 70)] * 6)
    first, second = (train(dataset, tmp_path / name, SMALL) for name in ("first", "second"))
    assert np.isfinite(first.history[["loss", "val_loss"]]).all(axis=None)
    for key in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_array_equal(first.history[key], second.history[key])
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    samples = np.load(tmp_path / "first" / "augmented.npy")
    assert samples.shape == (6, PATCH, PATCH, 2)
    assert set(np.unique(samples[..., -1])) == {0, 1, IGNORED}


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "bce_borders", "augmentation": DEFORMING},
        {"foreground_patches": 0.5, "normalization": "image"},
    ],
    ids=["borders", "foreground"],
)
def test_sizes_may_be_mixed(write_inputs, tmp_path, two_convolutions, changes):
    dataset = write_inputs((40, 3000), (63, 64), (64, 64), (32, 33), (48, 200), (100, 90))
    run = train(dataset, tmp_path / "run", replace(SMALL, guard=False, **changes))
    assert np.isfinite(run.history[["loss", "val_loss"]]).all(axis=None)


def test_border_weights_follow_the_class_of_the_objects(write_inputs, tmp_path, two_convolutions):
    """By default that of the plan: the synthetic cells are foreground."""
    dataset = write_inputs(*[(64, 64)] * 6)
    losses = {}
    for objects in ("auto", "foreground", "background"):
        settings = replace(SMALL, loss="bce_borders", guard=False)
        run = train(dataset, tmp_path / objects, settings, objects=objects)
        losses[objects] = run.history["val_loss"].tolist()
    assert losses["auto"] == losses["foreground"] != losses["background"]


# --- the margin ---------------------------------------------------------------------------------


@pytest.fixture
def padded(make_stores):
    """Three patches of an image of 40 x 48."""
    image, label = (part[:40, :48] for part in synthesize(0, 64, 3))
    _, *stores = make_stores({"a": image}, {"a": (label > 0).astype(np.uint8)})
    source = PatchSource(*stores, ["a"], PATCH)
    return np.stack([source.cut("a", *corner) for corner in [(0, 0), (-24, -16), (-10, -3)]])


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_what_the_labels_hold_in_the_margin_changes_nothing(padded, loss):
    """Neither the loss nor a score of the guard, after turns and deformations too."""
    margin = padded[..., 1] == IGNORED
    network = keras.Sequential(
        [keras.Input((PATCH, PATCH, 1)), keras.layers.Conv2D(1, 3, padding="same")]
    )
    settings = replace(SMALL, loss=loss, augmentation=DEFORMING, batch=len(padded))
    found = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        borders = np.where(margin, rng.integers(0, 256, margin.shape), 100).astype(np.uint8)
        batch = np.concatenate([padded, borders[..., None]], axis=-1)
        engine = Engine(network, settings, np.array([50.0]), partial=True)
        output = np.array(engine(batch if loss == "bce_borders" else padded, training=True))
        label, labelled = output[..., 1], output[..., -1] == 1
        assert 0.2 < labelled.mean() < 0.8
        output[..., 1] = np.where(labelled, label, rng.integers(0, 2, label.shape))
        output = keras.ops.convert_to_tensor(output)
        metrics = engine.compute_metrics(None, None, output)
        found.append([float(engine.compute_loss(y_pred=output)), *map(float, metrics.values())])
    np.testing.assert_array_equal(*found)
