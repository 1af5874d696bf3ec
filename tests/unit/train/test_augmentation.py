"""Image and label are changed together, exactly where it matters, and under XLA too."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from augmenting import AMOUNTS, BATCH, EVERYTHING, INTENSITY, STD, augmented, random_batch, repeat

from maskmake.network.settings import AUGMENTATION_PRESETS, AugmentationSettings
from maskmake.train import augmentation
from maskmake.train.augmentation import augment, warp

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly():
    """What runs a few times is not worth being optimised."""
    with pytest.MonkeyPatch.context() as patch:
        flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        patch.setenv("XLA_FLAGS", flags)
        yield


# --- labels -----------------------------------------------------------------------------------


def test_channels_beside_the_label_are_moved_like_the_image():
    settings = AugmentationSettings(flip_vertical=True, rotation=40.0, zoom=0.2)
    images, labels = random_batch()
    moved, both = augmented(images, np.concatenate([labels, images], axis=-1), settings)
    assert (moved != images).any()
    np.testing.assert_array_equal(both[..., 1:], moved)
    np.testing.assert_array_equal(both[..., :1], augmented(images, labels, settings)[1])


@pytest.mark.parametrize("fill", ["reflect", "nearest"])
def test_labels_stay_0_and_1(fill):
    settings = AugmentationSettings(**{**vars(EVERYTHING), "fill": fill})
    for images, _, new_images, new_labels in repeat(settings):
        assert set(np.unique(new_labels)) == {0.0, 1.0}
        assert new_labels.dtype == np.float32
        assert new_images.shape == images.shape


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation": 25.0},
        {"zoom": 0.5},
        {"shift": 0.3},
        {"shear": 20.0},
        {"elastic": 0.05},
        {"flip_vertical": True, "quarter_turns": True},
        {"rotation": 90.0, "zoom": 0.3, "shift": 0.2, "shear": 20.0, "elastic": 0.03},
    ],
    ids=lambda changes: "+".join(changes),
)
@pytest.mark.parametrize("fill", ["reflect", "nearest"])
def test_image_and_label_move_together(changes, fill):
    settings = AugmentationSettings(**changes, fill=fill)
    _, labels = random_batch(side=48)
    moved = False
    for seed in range(6):
        new_images, new_labels = augmented(labels * 200, labels, settings, seed)
        np.testing.assert_array_equal(new_labels, new_images > 100)
        moved |= (new_labels != labels).any()
    assert moved


# --- nothing asked for, and how often -----------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [AugmentationSettings(), AUGMENTATION_PRESETS["none"], AugmentationSettings(probability=0.3)],
)
def test_nothing_asked_for_changes_nothing(settings):
    for images, labels, new_images, new_labels in repeat(settings, rounds=3):
        np.testing.assert_array_equal(new_images, images)
        np.testing.assert_array_equal(new_labels, labels)


@pytest.mark.parametrize("name", AMOUNTS)
def test_each_change_has_a_share_of_images_of_its_own(name):
    settings = AugmentationSettings(**{name: AMOUNTS[name], f"{name}_probability": 0.4})
    images, labels = map(tf.constant, random_batch(count=400, side=16))
    new_images, _ = augmented(images, labels, settings)
    changed = np.abs(new_images - images.numpy()).max(axis=(1, 2, 3)) > 0.05
    share = 1 - 0.6**2 if name == "shift" else 0.4  # along y, along x
    assert changed.mean() == pytest.approx(share, abs=0.08)


def test_a_share_that_is_a_whole_number_of_images_is_that_number(monkeypatch):
    """Of eight images a quarter is two; in float32, 2 + 0.99999994 is 3."""
    highest = np.nextafter(np.float32(1), np.float32(0))
    monkeypatch.setattr(augmentation, "_uniform", lambda *_: tf.constant(highest))
    images, _ = random_batch(count=8, side=4)
    seeds = keras.random.SeedGenerator(1)
    changed = augmentation._some(tf.constant(images), 0.25, seeds, lambda images: images + 1000)
    assert ((changed.numpy() - images).mean(axis=(1, 2, 3)) == 1000).sum() == 2
    assert ((changed.numpy() == images).all(axis=(1, 2, 3))).sum() == 6


def test_a_probability_of_0_is_off():
    names = [*AMOUNTS, "gamma_negative"]
    off = {f"{name}_probability": 0.0 for name in names}
    settings = AugmentationSettings(**AMOUNTS, **off)
    for images, labels, new_images, new_labels in repeat(settings, rounds=3):
        np.testing.assert_allclose(new_images, images, atol=0.01)
        np.testing.assert_array_equal(new_labels, labels)


def test_probability_is_the_share_of_batches_that_are_changed():
    settings = AugmentationSettings(probability=0.6, brightness=0.5, flip_vertical=True)
    images, labels = map(tf.constant, random_batch(side=8))
    seeds = keras.random.SeedGenerator(3)

    @tf.function
    def step():
        return augment(images, labels, settings, STD, seeds)[0]

    changed = [(step().numpy() != images.numpy()).any(axis=(1, 2, 3)) for _ in range(500)]
    # A batch is changed as a whole or not at all.
    assert all(batch.all() or not batch.any() for batch in changed)
    assert np.mean([batch.all() for batch in changed]) == pytest.approx(0.6, abs=0.07)


# --- random state and compilation -------------------------------------------------------------


def test_the_sequence_follows_from_the_seed_and_advances():
    images, labels = random_batch()

    def sequence(seed):
        seeds = keras.random.SeedGenerator(seed)
        tensors = tf.constant(images), tf.constant(labels)
        return [augment(*tensors, EVERYTHING, STD, seeds)[0].numpy() for _ in range(3)]

    first, again, other = sequence(7), sequence(7), sequence(8)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    assert (first[1] != first[2]).any()
    assert (first[0] != other[0]).any()


def test_images_of_a_batch_are_changed_differently():
    image, label = random_batch(count=1)
    images, labels = (np.repeat(array, BATCH, axis=0) for array in (image, label))
    new_images, _ = augmented(images, labels, EVERYTHING)
    assert all((new_images[0] != other).any() for other in new_images[1:])


@pytest.mark.parametrize("fill", ["reflect", "nearest"])
def test_xla_moves_pixels_alike(fill):
    images, _ = random_batch(channels=3)
    random = np.random.default_rng(6)
    matrices = (np.eye(2, 3) + random.uniform(-0.4, 0.4, (BATCH, 2, 3))).astype("float32")

    def warped(**options):
        return tf.function(lambda x, m: warp(x, m, fill), **options)(images, matrices)

    np.testing.assert_allclose(warped(jit_compile=True), warped(), atol=0.02)


def all_changes():
    changes = {**vars(EVERYTHING), **vars(INTENSITY), **AMOUNTS}
    changes |= {f"{name}_probability": 0.5 for name in [*AMOUNTS, "gamma_negative"]}
    changes |= {"flip_vertical": True, "flip_horizontal": True, "quarter_turns": True}
    return AugmentationSettings(**changes)


def check_ranges(images, labels, shape):
    assert np.isfinite(images).all()
    assert images.shape == shape
    assert images.dtype == labels.dtype == np.float32
    assert set(np.unique(labels)) == {0.0, 1.0}


@pytest.mark.parametrize("channels", [1, 3])
def test_all_changes_together_are_finite_and_keep_labels(channels):
    images, labels = random_batch(channels=channels)
    std = np.full(channels, 30.0, "float32")
    for seed in range(10):
        changed = augmented(images, labels, all_changes(), seed, std)
        check_ranges(*changed, images.shape)


def test_everything_compiles_and_keeps_its_promises_under_xla():
    """One compilation, which takes long.

    Not compared with the plain result: TensorFlow draws by another algorithm under XLA.
    """
    _, labels = random_batch()
    bright = np.repeat(labels * 200, 3, axis=-1)
    seeds = keras.random.SeedGenerator(3)
    start = keras.ops.copy(seeds.state.value)

    @tf.function(jit_compile=True)
    def step(x, y):
        return augment(x, y, all_changes(), np.full(3, 30.0, "float32"), seeds)

    def sequence():
        seeds.state.assign(start)
        return [[array.numpy() for array in step(bright, labels)] for _ in range(10)]

    first, again = sequence(), sequence()
    for (images, new_labels), (same_images, same_labels) in zip(first, again, strict=True):
        check_ranges(images, new_labels, bright.shape)
        for image, label in zip(images, new_labels[..., 0], strict=True):
            # No change takes more than half of the contrast, whatever else comes with it.
            assert image[label == 1].mean() - image[label == 0].mean() > 20
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(new_labels, same_labels)
    assert (first[0][0] != first[1][0]).any()
