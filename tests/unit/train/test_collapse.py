"""A training that learns nothing ends early with its cause; a healthy one is left alone."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import trainings
from trainings import FOLD, outputs_in

from maskmake.data.splits import fold_ids
from maskmake.network.settings import AUGMENTATION_PRESETS
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, write_csv
from maskmake.train import checkpoints
from maskmake.train.collapse import CollapseWatch, PixelStatistics, _balanced_batch
from maskmake.train.patches import PatchSource
from maskmake.train.training import train_fold

SETTINGS = replace(
    trainings.SETTINGS,
    batch=4,
    steps=15,
    epochs=2,
    schedule="constant",
    augmentation=AUGMENTATION_PRESETS["none"],
)
# The end-to-end test trains a U-Net under the guard.
pytestmark = [pytest.mark.usefixtures("two_convolutions"), pytest.mark.long]


def train(inputs, folder, **changes):
    outputs = outputs_in(folder)
    train_fold(replace(SETTINGS, **changes), FOLD, "code", inputs, outputs)
    return keras.models.load_model(outputs["model"], compile=False).get_weights()


def with_labels(dataset, folder, role, change):
    """The inputs of a training with the labels of one part changed."""
    inputs = {name: Path(shutil.copy(path, folder)) for name, path in dataset.inputs.items()}
    stored = np.load(inputs["labels"], mmap_mode="r+")
    places = {image_id: place for place, image_id in enumerate(dataset.index["id"])}
    for image_id in getattr(fold_ids(dataset.splits, FOLD), role):
        stored[places[image_id]] = change(stored[places[image_id]])
    stored.flush()
    forget_sums(inputs["index"])
    return inputs


def forget_sums(index):
    """Let an index say nothing of the bytes of images and labels, as that of version 0.1.0."""
    write_csv(index, read_csv(index).drop(columns=["sha256_image", "sha256_label"]))


def noise(label):
    return np.random.default_rng(int(label.sum())).integers(0, 2, label.shape, np.uint8)


def test_a_healthy_training_is_the_same_with_and_without_the_guard(dataset, tmp_path):
    guarded = train(dataset.inputs, tmp_path / "guarded", warmup=0.5, epochs=1)
    free = train(dataset.inputs, tmp_path / "free", warmup=0.5, epochs=1, guard=False)
    for one, other in zip(guarded, free, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"label_scale": 1 / 255},
            r"train.label_scale: the labels are divided twice: .* 0.00392; .*set .* to 1",
            id="labels divided twice",
        ),
        pytest.param(
            {"label_scale": 255},
            r"train.label_scale: the labels are not divided to 0 and 1: .* 255; .*set .* to 1",
            id="labels 0 to 255",
        ),
        pytest.param(
            {"learning_rate": 1e30, "optimizer": "sgd"},
            r"after 10 steps .* the loss is (nan|inf); .*train.learning_rate",
            id="no number",
        ),
    ],
)
def test_a_collapse_is_named_before_the_first_epoch(dataset, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        train(dataset.inputs, tmp_path, **changes)
    assert not (tmp_path / "model.keras").exists()
    assert not (tmp_path / "history.csv").exists()


def test_images_that_show_nothing_are_noticed(dataset, tmp_path):
    inputs = {name: Path(shutil.copy(path, tmp_path)) for name, path in dataset.inputs.items()}
    np.save(inputs["images"], np.zeros_like(np.load(inputs["images"])))
    forget_sums(inputs["index"])
    with pytest.raises(
        UserError, match=r"calling every pixel foreground|every pixel is foreground"
    ):
        train(inputs, tmp_path, augmentation=AUGMENTATION_PRESETS["default"])


def test_labels_that_do_not_belong_to_the_images_are_noticed(dataset, tmp_path):
    inputs = with_labels(dataset, tmp_path, "train", noise)
    with pytest.raises(UserError, match=r"no more than the 0\.\d+ of .*labels belong together"):
        train(inputs, tmp_path, augmentation=AUGMENTATION_PRESETS["default"])


@pytest.mark.parametrize(("value", "sentence"), [(0, "no foreground"), (1, "no background")])
def test_training_labels_of_one_class_are_refused(dataset, tmp_path, value, sentence):
    inputs = with_labels(dataset, tmp_path, "train", lambda label: np.full_like(label, value))
    with pytest.raises(UserError, match=f"dataset.labels: found {sentence} in the training images"):
        train(inputs, tmp_path)


def test_background_that_is_rare_is_found_for_the_preflight(make_stores):
    label = np.ones((2000, 2000), np.uint8)
    label[500, 40] = 0
    _, *stores = make_stores({"a": label}, {"a": label})
    batch = _balanced_batch(SETTINGS, PatchSource(*stores, ["a"], SETTINGS.patch))
    assert batch.shape == (SETTINGS.batch, SETTINGS.patch, SETTINGS.patch, 2)
    assert [(patch[..., 1] == 0).sum() for patch in batch] == [1, 0, 1, 0]


def test_validation_labels_of_the_opposite_polarity_are_noticed(dataset, tmp_path, monkeypatch):
    """In each attempt, since a cluster's profile tries a failed training again."""
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", 1)  # a state after each epoch
    inputs = with_labels(dataset, tmp_path, "validation", lambda label: 1 - label)
    sentences = []
    for _ in range(2):
        with pytest.raises(UserError, match=r"flipped polarity: epoch .* validation .*invert") as e:
            train(inputs, tmp_path, epochs=10)
        sentences.append(str(e.value))
        assert len(read_csv(tmp_path / "history.csv")) < 10
    assert sentences[0] == sentences[1]


def epoch(**changes):
    row = {"loss": 0.5, "accuracy": 0.9, "correlation": 0.7, "foreground": 0.3, "predicted": 0.3}
    row |= {"val_loss": 0.5, "val_accuracy": 0.7, "val_correlation": 0.0, "val_foreground": 0.3}
    return row | {"val_predicted": 0.2} | changes


STUCK = epoch()


def verdict(rows, steps=100, epochs=10):
    """What the watch says to the last of these epochs: nothing, or its sentence."""
    watch = CollapseWatch(replace(SETTINGS, steps=steps, epochs=epochs), rows)
    try:
        watch.on_epoch_end(len(rows) - 1, rows[-1])
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([STUCK, STUCK], "epoch 2, the accuracy is 0.700, no more than the 0.700 of calling every"),
        ([STUCK, STUCK], "patches are learned .*validation images and their labels belong"),
        ([STUCK, epoch(correlation=0.0)], "check train.learning_rate .*labels belong together"),
        ([STUCK, epoch(val_predicted=0.0)], "the output is constant: every pixel is background"),
        ([STUCK, epoch(val_predicted=1.0)], "the output is constant: every pixel is foreground"),
    ],
)
def test_the_watch_names_what_it_sees(rows, sentence):
    assert re.search(sentence, verdict(rows))


HEALTHY = epoch(val_accuracy=0.9, val_correlation=0.6)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([HEALTHY, HEALTHY], id="better than the majority"),
        pytest.param([epoch(val_correlation=0.4)] * 2, id="as good, but related to the label"),
        pytest.param([epoch(val_foreground=0.0)] * 5, id="one class to predict"),
        pytest.param([STUCK], id="too short to say"),
        pytest.param([STUCK, HEALTHY, STUCK], id="for a while"),
        pytest.param([epoch(val_correlation=-0.5, val_accuracy=0.8)], id="opposite for a while"),
    ],
)
def test_the_watch_is_silent_while_there_is_hope(rows):
    assert verdict(rows) is None


def test_the_last_epoch_of_a_short_training_counts_alone():
    assert verdict([STUCK], steps=200, epochs=2) is None
    assert "no more than" in verdict([STUCK], steps=200, epochs=1)


def test_the_statistics_are_those_of_all_pixels():
    random = np.random.default_rng(0)
    labels = (random.random((3, 2, 8, 8, 1)) < 0.3).astype("float32")
    logits = random.normal(size=labels.shape).astype("float32") + labels
    statistics = PixelStatistics()
    for label, logit in zip(labels, logits, strict=True):
        statistics.update_state(label, logit)
    found = {name: float(value) for name, value in statistics.result().items()}
    probability = 1 / (1 + np.exp(-logits))
    assert found == pytest.approx(
        {
            "accuracy": ((logits > 0) == labels).mean(),
            "foreground": labels.mean(),
            "predicted": (logits > 0).mean(),
            "correlation": np.corrcoef(labels.ravel(), probability.ravel())[0, 1],
        },
        abs=1e-5,
    )


def test_a_constant_probability_has_no_correlation():
    statistics = PixelStatistics()
    statistics.update_state(np.ones((1, 4, 4, 1), "float32"), np.zeros((1, 4, 4, 1), "float32"))
    assert float(statistics.result()["correlation"]) == 0
