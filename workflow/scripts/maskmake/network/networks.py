"""Networks of segmentation_models on Keras 3. All concessions to the old library are here.

segmentation_models 1.0.1 was written for Keras 2. It takes its Keras modules as arguments, so it
is handed modules with the names it misses; Keras itself stays as it is for everyone else.
"""

import contextlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
from keras import ops

from maskmake.network.device import fuses_operations
from maskmake.runtime.errors import UserError, first_line
from maskmake.runtime.files import atomic

RUNNING_STATISTICS_MOMENTUM = 0.9

# Of the photographs, red, green, blue, 0-255; as in keras_applications.imagenet_utils.
IMAGENET_MEAN = np.array([123.675, 116.28, 103.53])
IMAGENET_STD = np.array([58.395, 57.12, 57.375])


@keras.saving.register_keras_serializable("maskmake")
class ChannelSlice(keras.layers.Layer):
    """Channels ``start`` to ``stop`` of (B, H, W, C): one group of a grouped convolution."""

    def __init__(self, start: int, stop: int, **kwargs):
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, inputs):
        return inputs[..., self.start : self.stop]

    def get_config(self):
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable("maskmake")
class ScaledSum(keras.layers.Layer):
    """``a + scale * b`` of two tensors: the residual connection of Inception-ResNet."""

    def __init__(self, scale: float, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return inputs[0] + inputs[1] * self.scale

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer as one operation where it would be twenty: TensorFlow on a processor.

    In a training step of the ResNet-34 U-Net it then takes 46 ms instead of 200 (4 patches of
    256 x 256, bfloat16, two cores). XLA joins the parts by itself. The running variance is the
    unbiased one, as it was in Keras 2.
    """

    def call(self, inputs, training=None, mask=None):
        if fuses_operations():
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        learns = bool(training) and self.trainable
        averages = (self.moving_mean, self.moving_variance)
        scale = self.gamma if self.scale else ops.ones_like(self.moving_mean)
        offset = self.beta if self.center else ops.zeros_like(self.moving_mean)
        outputs, *statistics = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(scale, "float32"),
            offset=ops.cast(offset, "float32"),
            mean=[] if learns else averages[0],
            variance=[] if learns else averages[1],
            epsilon=self.epsilon,
            is_training=learns,
        )[:3]
        if learns:
            for average, value in zip(averages, statistics, strict=True):
                average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return outputs


def _lambda_layer(function, arguments=None, name=None, **_):
    """The layer that does what one of the old library's Lambda layers did, and can be saved."""
    arguments = arguments or {}
    if function.__name__ == "slice_tensor":
        return ChannelSlice(arguments["start"], arguments["stop"], name=name)
    if function.__name__ == "expand_dims":
        return keras.layers.Reshape((1, 1, -1), name=name)
    if "scale" in arguments:
        return ScaledSum(arguments["scale"], name=name)
    raise NotImplementedError(f"no layer for the Lambda function {function.__name__}")


def _without_slash(layer_class):
    """Constructor of a layer whose name may hold a slash (DenseNet's do), which Keras 3 refuses."""

    def build(*args, name=None, **kwargs):
        return layer_class(*args, name=name and name.replace("/", "_"), **kwargs)

    return build


def _legacy_modules() -> dict[str, SimpleNamespace]:
    """The modules that the old library asks for, by the names of its keyword arguments."""
    backend = SimpleNamespace(
        **{name: getattr(keras.backend, name) for name in dir(keras.backend) if name[0] != "_"}
    )
    backend.int_shape = lambda tensor: tuple(tensor.shape)
    backend.sigmoid = ops.sigmoid
    backend.shape = ops.shape
    layers = SimpleNamespace(**vars(keras.layers))
    layers.Lambda = _lambda_layer
    for name in ("Conv2D", "BatchNormalization", "Activation"):
        setattr(layers, name, _without_slash(getattr(layers, name)))
    return {"backend": backend, "layers": layers, "models": keras.models, "utils": keras.utils}


def _import_library():
    """Import segmentation_models, which prints, and needs a registry that Keras 3 does not have."""
    throwaway_registry = SimpleNamespace(get_custom_objects=dict)
    keras.utils.generic_utils = throwaway_registry
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import segmentation_models
    finally:
        del keras.utils.generic_utils
    return segmentation_models


def _head(core: keras.Model) -> set[str]:
    """Names of the layers that make the logits: the last convolution and what follows it."""
    convolutions = [i for i, x in enumerate(core.layers) if isinstance(x, keras.layers.Conv2D)]
    return {layer.name for layer in core.layers[convolutions[-1] :]}


def _modern_layer(layer: keras.layers.Layer, head: set[str]) -> keras.layers.Layer:
    """The same layer as Keras 3 can save it, without classes and functions made in a function."""
    config = layer.get_config()
    kind = type(layer)
    if kind.__name__ == "FixedDropout":  # works round a fault of Keras 2 in Dropout(noise_shape)
        kind = keras.layers.Dropout
    if getattr(getattr(layer, "activation", None), "__name__", None) == "swish":
        config["activation"] = "silu"  # another name of the same function
    if isinstance(layer, keras.layers.BatchNormalization):
        # The library's 0.99 needs many hundreds of steps until the running statistics follow the
        # weights; a shorter training ends with predictions that are all black or all white.
        config["momentum"] = RUNNING_STATISTICS_MOMENTUM
        kind = BatchNormalization
    if layer.name in head:  # logits in bfloat16 would have two to three digits
        config["dtype"] = "float32"
    if layer.name == "linear":
        config["name"] = "logits"
    return kind.from_config(config)


def load_imagenet_encoder(encoder: str, fetch: Callable[[str, str], Path]) -> keras.Model:
    """Build an encoder alone and load its ImageNet weights, which shows that they fit.

    The library asks ``keras.utils.get_file`` for the file: the address and the checksum are the
    library's own.

    Args:
        encoder: name of an encoder of segmentation_models.
        fetch: given the address and the checksum (MD5 or SHA-256) of an HDF5 file of Keras 2
            without the classifier, it returns the path of the fetched file, which ends in ``.h5``.

    Raises:
        UserError: the file does not fit the encoder.
    """

    def get_file(_, address, cache_subdir, md5_hash=None, file_hash=None):
        return str(fetch(address, md5_hash or file_hash))

    modules = _legacy_modules()
    modules["utils"] = SimpleNamespace(**{**vars(keras.utils), "get_file": get_file})
    return _import_library().Backbones.get_backbone(
        encoder, input_shape=(None, None, 3), weights="imagenet", include_top=False, **modules
    )


@contextlib.contextmanager
def _explain_misfit(weights: Path | None, encoder: str):
    """Turn what Keras says of a file of weights that it cannot load into a user's sentence."""
    try:
        yield
    except (OSError, KeyError, ValueError) as error:  # no HDF5; no layers; other layers or shapes
        if weights is None:
            raise
        raise UserError(
            f"{weights}: does not fit the encoder {encoder} ({first_line(error)}); "
            "expected its ImageNet weights without the classifier; remove the file, and it is "
            "fetched again."
        ) from error


def _as_photographs(library, encoder: str, images):
    """Standardised images (B, H, W, 1 or 3) in the form of those that the encoder was trained on.

    Zero mean and unit variance become mean and variance of ImageNet's photographs, 0-255, and these
    go through the encoder's own preprocessing: for each channel a source, a factor and an offset.
    """
    preprocess = library.get_preprocessing(encoder)
    black, white = (preprocess(np.full((1, 1, 3), level)).ravel() for level in (0.0, 255.0))
    primaries = preprocess(np.eye(3)[None]) - preprocess(np.zeros((1, 3, 3)))
    sources = primaries[0].argmax(axis=0)  # 2, 1, 0 where it wants blue, green, red
    factor = (white - black) / 255
    scale, offset = factor * IMAGENET_STD[sources], factor * IMAGENET_MEAN[sources] + black

    present = sources if images.shape[-1] == 3 else [0, 0, 0]
    planes = [ChannelSlice(int(c), int(c) + 1, dtype="float32")(images) for c in present]
    x = keras.layers.Concatenate(name="rgb", dtype="float32")(planes)
    return keras.layers.Rescaling(
        scale.tolist(), offset.tolist(), name="preprocessing", dtype="float32"
    )(x)


def known_encoders() -> list[str]:
    """Names of the encoders of segmentation_models."""
    return _import_library().get_available_backbone_names()


def build_network(
    architecture: str,
    encoder: str,
    pretrained: bool,
    channels: int,
    patch: int,
    scale: list[float],
    offset: list[float],
    precision: str,
    encoder_weights: Path | None = None,
) -> keras.Model:
    """Build a binary segmentation network with its normalisation inside.

    Args:
        architecture: ``Unet``, ``FPN``, ``Linknet`` or ``PSPNet``.
        encoder: name of an encoder of segmentation_models.
        pretrained: whether the encoder has started from ImageNet weights or is to start from them.
            Then it sees three channels, grey repeated, with the mean, variance and preprocessing of
            the photographs of ImageNet.
        channels: channels of the images.
        patch: height and width of training patches in pixels; only PSPNet is bound to it.
        scale: factor for each channel; ``image * scale + offset`` is what the network sees, and
            is standardised where the encoder is pretrained.
        offset: see ``scale``.
        precision: ``float32`` or ``bfloat16``; weights and logits are float32 in both.
        encoder_weights: file that ``load_imagenet_encoder`` has fetched; None for random weights.

    Returns:
        Model from raw pixel values (B, H, W, channels) to float32 logits (B, H, W, 1). H and W
        are multiples of 32 (for PSPNet: ``patch``).

    Raises:
        UserError: the file of weights does not fit the encoder.
    """
    library = _import_library()
    seen_channels = 3 if pretrained else channels
    side = patch if architecture == "PSPNet" else None
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        # The library's own entry points set its Keras modules; below them they are arguments.
        with _explain_misfit(encoder_weights, encoder):
            core = getattr(library, f"_{architecture}")(
                encoder,
                input_shape=(side, side, seen_channels),
                classes=1,
                activation="linear",
                encoder_weights=encoder_weights and str(encoder_weights),
                **_legacy_modules(),
            )
        core = rebuilt(core, partial(_modern_layer, head=_head(core)))

        images = keras.Input((side, side, channels), name="images", dtype="float32")
        x = keras.layers.Rescaling(scale, offset, name="normalization", dtype="float32")(images)
        if pretrained:
            x = _as_photographs(library, encoder, x)
        return keras.Model(images, core(x), name=f"{architecture}_{encoder}")
    finally:
        keras.config.set_dtype_policy(policy)


def save_network(network: keras.Model, path: Path) -> None:
    """Write a network to ``path``, of Keras' own layers and operations alone.

    So whoever has the file needs nothing but Keras. The classes of this module stay in networks
    that are built, since the library finds some layers of an encoder by their numbers.
    """

    def own(layer):
        kind = type(layer)
        if kind is ChannelSlice:
            return lambda inputs: inputs[..., layer.start : layer.stop]
        if kind is ScaledSum:
            scaled = keras.layers.Rescaling(layer.scale, dtype=layer.dtype_policy)
            total = keras.layers.Add(name=layer.name, dtype=layer.dtype_policy)
            return lambda inputs: total([inputs[0], scaled(inputs[1])])
        if kind is BatchNormalization:
            kind = keras.layers.BatchNormalization
        return kind.from_config(layer.get_config())

    with atomic(path) as temporary:
        rebuilt(network, own).save(temporary)  # Keras takes the format from the suffix


def rebuilt(network: keras.Model, rebuild: Callable[[keras.layers.Layer], Callable]) -> keras.Model:
    """A network with the same weights of layers that ``rebuild`` makes from its own.

    Args:
        network: any.
        rebuild: gives a layer, or a function of the inputs of the former one. Operations that are
            no layers stay as they are.
    """

    def each(operation):
        return rebuild(operation) if isinstance(operation, keras.layers.Layer) else operation

    weights = network.get_weights()
    network = keras.models.clone_model(network, clone_function=each, recursive=True)
    network.set_weights(weights)
    return network
