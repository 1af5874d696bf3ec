"""The engine: a network with augmentation and loss inside its compiled training step."""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from maskmake.data.fingerprint import Plan
from maskmake.data.labels import IGNORED
from maskmake.network.device import shard, uses_xla
from maskmake.network.networks import build_network
from maskmake.network.settings import TrainSettings
from maskmake.train.augmentation import augment
from maskmake.train.collapse import PixelStatistics
from maskmake.train.losses import LOSSES
from maskmake.train.optimizers import build_optimizer
from maskmake.train.preprocessing import normalization_of, std_of
from maskmake.train.side_heads import with_levels, with_side_heads

# An interpolated pixel is labelled if this share of it is; 1 but for rounding.
WHOLE = 0.999


class Engine(keras.Model):
    """A network with augmentation and loss inside its compiled training step.

    Its input is a batch (B, H, W, C + K) of raw pixel values; the last channels are the label and
    what the loss needs besides. Its output is (B, H, W, 1 + K): logits and those channels after
    augmentation. So image and label are changed together on the device, and the host only cuts
    patches. With deep supervision the logits of a training step have a channel for each level, too.

    Args:
        network: to be trained.
        settings: of the run.
        std: standard deviation of the training images for each channel.
        partial: whether labels have ignored pixels. Then the output has a channel more, the last
            one: 1 where a pixel is labelled, and 0 where it is not or comes from one that is not.
    """

    def __init__(
        self, network: keras.Model, settings: TrainSettings, std: np.ndarray, partial: bool = False
    ):
        super().__init__()
        self.network = network
        # What the training changes; its variables are those of the network and of its side heads.
        self.trained = network
        self._settings = settings
        self._std = np.asarray(std, "float32")
        self._partial = partial
        self.seeds = keras.random.SeedGenerator(settings.seed)
        self._loss = LOSSES[settings.loss]
        if settings.deep_supervision:
            self.trained = with_side_heads(network, settings.architecture)
            self._loss = with_levels(self._loss, settings.architecture)
        # Of the output: label, border weights, labelled.
        self._label_channels = 1 + (settings.loss == "bce_borders") + partial
        self._statistics = PixelStatistics()

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return int(ops.convert_to_numpy(self.optimizer.length))

    @property
    def steps_done(self) -> int:
        """Steps so far."""
        return int(ops.convert_to_numpy(self.optimizer.iterations))

    def call(self, batch, training=False):
        batch = ops.cast(batch, "float32")
        channels = self._std.size
        images, labels = batch[..., :channels], batch[..., channels:]
        if self._partial:
            labels = split_ignored(labels)
        if training:
            side = self._settings.patch
            fixed = (self._settings.batch, side, side)
            images = ops.reshape(images, (*fixed, channels))
            labels = ops.reshape(labels, (*fixed, labels.shape[-1]))
            changes = self._settings.augmentation
            images, labels = augment(images, labels, changes, self._std, self.seeds)
            if self._partial:
                labels = ops.concatenate([labels[..., :-1], _whole(labels[..., -1:])], axis=-1)
            images, labels = shard(images), shard(labels)
        network = self.trained if training else self.network
        return ops.concatenate([network(images, training=training), labels], axis=-1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, label, others, labelled = self._parts(y_pred)
        label = label * self._settings.label_scale
        return self._loss(label, logits, *others, labelled=labelled)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logits, label, _, labelled = self._parts(y_pred)
        self._statistics.update_state(label, logits[..., :1], labelled)
        return self.get_metrics_result()

    def _parts(self, outputs):
        """Logits (B, H, W, 1 + N), label, border weights if any, and labelled pixels or None."""
        first = outputs.shape[-1] - self._label_channels
        places = list(range(first, outputs.shape[-1]))
        logits, label, *others = ops.split(outputs, places, axis=-1)
        labelled = others.pop() if self._partial else None
        return logits, label, others, labelled


def split_ignored(labels):
    """Labels (B, H, W, K), of which the first channel may be ``IGNORED``, with one channel more.

    The first channel is then 0 or 1, and the last one 1 where it was labelled and otherwise 0. The
    others are 0 where it was not, so that interpolation mixes nothing of them into labelled pixels.
    """
    first = labels[..., :1]
    foreground = ops.cast(ops.equal(first, 1), "float32")
    labelled = ops.cast(ops.not_equal(first, IGNORED), "float32")
    return ops.concatenate([foreground, labels[..., 1:] * labelled, labelled], axis=-1)


def _whole(labelled):
    """1 for pixels that were interpolated from labelled ones alone, and otherwise 0."""
    return ops.cast(labelled > WHOLE, "float32")


def build_engine(
    settings: TrainSettings,
    plan: Plan,
    precision: str,
    partial: bool,
    encoder_weights: Path | None = None,
) -> Engine:
    """The engine of a run, compiled, with all its variables at their seeded starting values."""
    keras.utils.set_random_seed(settings.seed)
    network = network_of_run(settings, plan, precision, encoder_weights)
    engine = Engine(network, settings, std_of(settings, plan), partial)
    engine.compile(build_optimizer(settings), jit_compile=uses_xla(settings.backend))
    # In the order of the training step, by which Keras pairs weights and their averages.
    engine.optimizer.build(engine.trainable_variables)
    return engine


def network_of_run(
    settings: TrainSettings, plan: Plan, precision: str, encoder_weights: Path | None = None
) -> keras.Model:
    """The network of a run as its training starts, which takes pixels as they are stored."""
    return build_network(
        settings.architecture,
        settings.encoder,
        settings.encoder_weights is not None,
        plan["channels"],
        settings.patch,
        **normalization_of(settings, plan),
        precision=precision,
        encoder_weights=encoder_weights,
    )
