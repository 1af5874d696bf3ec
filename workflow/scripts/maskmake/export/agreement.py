"""How far a graph of ONNX may be from the network that it was made of."""

import keras
import numpy as np
from scipy.special import expit

from maskmake.network.networks import rebuilt

CLOSE = 1e-4  # a difference of probabilities that is allowed in every network
# ONNX adds up in another order than Keras. In U-Nets with ResNet-50 and EfficientNet-B0 and random
# weights, at four sizes and two batches, the two differed by 1.1 to 1.7 times what Keras differed
# from float64, and ONNX from float64 by 0.6 to 1.1 times that.
ROUNDINGS = 4


def in_float64(network: keras.Model) -> keras.Model:
    """The same network, computing in float64."""

    def double(layer):
        kind = type(layer)
        if isinstance(layer, keras.layers.BatchNormalization):
            kind = keras.layers.BatchNormalization  # TensorFlow's single operation is float32 alone
        return kind.from_config(layer.get_config() | {"dtype": "float64"})

    return rebuilt(network, double)


def largest_allowed(network: keras.Model, images: np.ndarray, logits: np.ndarray) -> float:
    """The largest difference of probabilities that rounding explains.

    That is ``CLOSE``, or more where float32 is less exact in this network: deep ones enlarge from
    layer to layer what was rounded.

    Args:
        network: in float32.
        images: (B, H, W, C) float32.
        logits: what the network gives for them, (B, H, W, 1).
    """
    exact = in_float64(network).predict_on_batch(images)
    return max(CLOSE, ROUNDINGS * float(np.abs(expit(logits) - expit(exact)).max()))
