"""Networks of Keras as one graph of ONNX."""

import gc
from pathlib import Path

import keras
import onnx
import tensorflow as tf
from keras import ops
from tf2onnx import convert, optimizer

from maskmake.network.logit_range import LARGEST_LOGIT
from maskmake.network.networks import rebuilt
from maskmake.report.terms import counted
from maskmake.runtime.errors import UserError, first_line
from maskmake.runtime.files import atomic

OPSET = 17
INPUT, OUTPUT = "images", "logits"
# What Keras, TensorFlow, tf2onnx and ONNX raise where an operation cannot be written.
FAILURES = (
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    onnx.checker.ValidationError,
)
FLOAT_BYTES = 4
# A file of protobuf is at most 2 GiB. A U-Net with ResNet-18 has 57 MB of weights and 0.09 MB of
# nodes, so those of all networks that fit are less than the 16 MiB that are left for them.
MOST_BYTES = 2**31 - 2**24


def mean_network(networks: list[keras.Model]) -> keras.Model:
    """One network whose logits are the mean of those of all folds, each cut as ``segment`` does.

    Args:
        networks: of float32 precision, from raw pixels (B, H, W, C) to logits (B, H, W, 1).
    """
    if len(networks) == 1:
        return networks[0]
    images = keras.Input(networks[0].input_shape[1:], name=INPUT, dtype="float32")
    named = (
        keras.Model(network.inputs, network.outputs[0], name=f"network{number}")
        for number, network in enumerate(networks)
    )
    cut = [ops.clip(network(images), -LARGEST_LOGIT, LARGEST_LOGIT) for network in named]
    logits = keras.layers.Average(name=OUTPUT)(cut)
    return keras.Model(images, logits, name="mean_of_folds")


class _UpSampling(keras.layers.UpSampling2D):
    """The layer of Keras for images of any size, which its own resizing refuses in a graph."""

    def call(self, inputs):
        size = tf.shape(inputs)[1:3] * tf.constant(self.size)
        return tf.image.resize(inputs, size, method=self.interpolation)


def _of_any_size(layer: keras.layers.Layer) -> keras.layers.Layer:
    smooth = isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation != "nearest"
    return (_UpSampling if smooth else type(layer)).from_config(layer.get_config())


class _Transposes(optimizer.TransposeOptimizer):
    """The optimiser of tf2onnx which moves the transposes together, and leaves them transposes.

    Its last step turns the transpose of one channel into a Reshape of a computed shape. Another
    optimiser then pads that shape to five sides, and the Squeeze that it adds is lost where the
    Reshape is the output of the graph. Whether it is, depends on the sorted names of the nodes,
    which are numbered by all that Keras and tf2onnx made before in the process.
    """

    def post_optimize_action(self):
        # Each optimiser copies the graph; the copies hold each other and the weights until then.
        gc.collect()


# All that tf2onnx has would need twice the memory, for the same graph.
OPTIMIZERS = {
    "transposes": _Transposes,
    "constants": optimizer.ConstFoldOptimizer,
    "duplicates": optimizer.MergeDuplicatedNodesOptimizer,
    "identities": optimizer.IdentityOptimizer,
    "pairs": optimizer.BackToBackOptimizer,
}


def write_onnx(networks: list[keras.Model], path: Path) -> None:
    """Write what ``mean_network`` makes as ONNX: input ``images``, output ``logits``.

    Batch, height and width may be any (for PSPNet, which is bound to its patch, the batch alone).

    Args:
        networks: of float32 precision, on the TensorFlow backend.
        path: output.

    Raises:
        UserError: an operation of the network has no counterpart in ONNX, or the weights are more
            than a file holds.
    """
    _check_size(networks)
    network = mean_network([rebuilt(network, _of_any_size) for network in networks])
    images = keras.Input(network.input_shape[1:], name=INPUT, dtype="float32")
    logits = keras.layers.Identity(name=OUTPUT)(network(images))
    named = keras.Model(images, logits, name=network.name)
    try:
        graph, _ = convert.from_keras(
            named,
            [tf.TensorSpec(images.shape, tf.float32, name=INPUT)],
            opset=OPSET,
            optimizers=OPTIMIZERS,
        )
        _name_sides(graph.graph)
        onnx.checker.check_model(graph)
    except FAILURES as error:
        raise UserError(
            f"export: the network {network.name} cannot be written as ONNX "
            f"({first_line(error)}); expected a network of the table in docs/export.md; train "
            "with another encoder."
        ) from error
    with atomic(path) as temporary:
        onnx.save(graph, temporary)


def _check_size(networks: list[keras.Model]) -> None:
    size = FLOAT_BYTES * sum(network.count_params() for network in networks)
    if size > MOST_BYTES:
        raise UserError(
            f"export: found {counted(len(networks), 'network')} with {size / 1e9:.2f} GB of "
            f"weights in float32; expected at most {MOST_BYTES / 1e9:.2f} GB, since an ONNX file "
            "holds 2 GiB; train with fewer folds or seeds, or a smaller encoder."
        )


def _name_sides(graph: onnx.GraphProto) -> None:
    """Give the free sides of input and output the names that the description uses."""
    for end in (graph.input[0], graph.output[0]):
        free = zip(end.type.tensor_type.shape.dim, ("batch", "height", "width"), strict=False)
        for side, name in free:
            if not side.dim_value:
                side.dim_param = name
