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
from maskmake.network.settings import AUGMENTATION_PRESETS, AugmentationSettings
from maskmake.runtime.files import write_csv, write_json
from maskmake.train.border_weights import border_map
from maskmake.train.losses import LOSSES
from maskmake.train.patches import PatchSource
from maskmake.train.training import Engine

PATCH = 64
SMALL = replace(SETTINGS, patch=PATCH)
DEFORMING = AugmentationSettings(
    rotation=180.0, zoom=0.3, shift=0.2, shear=20.0, elastic=0.05, quarter_turns=True
)


@pytest.fixture
def write_inputs(tmp_path):
    """A function from the sizes of six images to the inputs of a training."""

    def write(*sizes):
        pairs = [synthesize(i, max(*sizes[i], 64), 5) for i in range(6)]
        shapes = dict(zip("abcdef", sizes, strict=True))
        index = pd.DataFrame(shapes.values(), columns=["height", "width"]).assign(
            id=list(shapes),
            channels=1,
            image_offset=offsets_of(shapes.values()),
            label_offset=offsets_of(shapes.values()),
        )
        splits = pd.DataFrame(
            {"id": list(shapes), "role": ["train"] * 4 + ["validation", "test"], "fold": 0}
        )
        inputs = {name: tmp_path / f"{name}.npy" for name in ("images", "labels")}
        inputs |= {name: tmp_path / f"{name}.csv" for name in ("index", "splits")}
        inputs["plan"] = tmp_path / "plan.json"
        for kind, name in enumerate(("images", "labels")):
            parts = [pair[kind][:h, :w] for pair, (h, w) in zip(pairs, sizes, strict=True)]
            parts = [part > 0 for part in parts] if name == "labels" else parts
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
    run = train(dataset, tmp_path / "run", replace(SMALL, guard=False, epochs=1, **changes))
    assert np.isfinite(run.history[["loss", "val_loss"]]).all(axis=None)


# --- the margin -----------------------------------------------------------------------------------


def engine_of(loss, augmentation):
    network = keras.Sequential(
        [keras.Input((PATCH, PATCH, 1)), keras.layers.Conv2D(1, 3, padding="same")]
    )
    settings = replace(SMALL, loss=loss, augmentation=augmentation, batch=3)
    return Engine(network, settings, np.array([50.0]), partial=True)


@pytest.fixture
def padded(make_stores):
    """Three patches of an image of 40 x 48, and what of them is the image."""
    image, label = (part[:40, :48] for part in synthesize(0, 64, 3))
    label = (label > 0).astype(np.uint8)
    index, images, labels = make_stores({"a": image}, {"a": label})
    both = {"a": np.dstack([label, border_map(label)])}
    source = PatchSource(images, labels, ["a"], PATCH)
    corners = [(0, 0), (-24, -16), (-10, -3)]
    patches = np.stack([source.cut("a", *corner) for corner in corners])
    return patches, both


@pytest.mark.parametrize("augmentation", [AugmentationSettings(), DEFORMING, "default"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_what_the_labels_hold_in_the_margin_changes_nothing(padded, loss, augmentation):
    """Neither the loss nor its gradients nor a score of the guard."""
    patches, _ = padded
    augmentation = AUGMENTATION_PRESETS.get(augmentation, augmentation) if isinstance(
        augmentation, str
    ) else augmentation
    margin = patches[..., 1] == IGNORED
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        borders = np.where(margin, rng.integers(0, 256, margin.shape), 100)
        batch = np.concatenate([patches, borders[..., None].astype(np.uint8)], axis=-1)
        engine = engine_of(loss, augmentation)
        engine.network.set_weights([np.ones((3, 3, 1, 1)) / 900, np.zeros(1)])
        found.append(results(engine, batch if loss == "bce_borders" else batch[..., :2]))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def results(engine, batch):
    output = np.array(engine(batch, training=True))
    label, labelled = output[..., 1], output[..., -1] == 1
    assert 0 < labelled.mean() < 1
    rng = np.random.default_rng(batch[..., -1].sum())
    output[..., 1] = np.where(labelled, label, rng.integers(0, 2, label.shape))
    output = keras.ops.convert_to_tensor(output)
    engine.reset_metrics()
    metrics = engine.compute_metrics(None, None, output)
    return [float(engine.compute_loss(y_pred=output)), *map(float, metrics.values())]
