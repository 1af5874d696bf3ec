"""Deep supervision: the coarser levels of a decoder get heads, and the loss counts these, too.

Lee et al. 2015, Deeply-supervised nets; for each level half of the weight of the finer one, as in
nnU-Net (Isensee et al. 2021). Training alone has these heads; a saved network is without them.
"""

import keras
from keras import ops

# The last layer of each level of a decoder, by the factor of its size to that of the patch.
LEVELS = {
    "Unet": {8: "decoder_stage1b_relu", 4: "decoder_stage2b_relu", 2: "decoder_stage3b_relu"},
    "Linknet": {8: "decoder_stage1_add", 4: "decoder_stage2_add", 2: "decoder_stage3_add"},
    "FPN": {8: "segm_stage4b_relu", 4: "segm_stage3b_relu", 2: "segm_stage2b_relu"},
}


def with_side_heads(network: keras.Model, architecture: str) -> keras.Model:
    """A network that shares all layers with the given one and also gives logits of its levels.

    A head is a 1 x 1 convolution in float32, whose logits are enlarged bilinearly.

    Args:
        network: from ``build_network``.
        architecture: its own, one of ``LEVELS``.

    Returns:
        Model from raw pixel values (B, H, W, C) to float32 logits (B, H, W, 1 + N): those of the
        network, then those of each level in the order of ``LEVELS``.
    """
    *_, prepared, core = network.layers
    logits = [core.output]
    for factor, name in LEVELS[architecture].items():
        head = keras.layers.Conv2D(1, 1, dtype="float32", name=f"head_{factor}")
        larger = keras.layers.UpSampling2D(factor, interpolation="bilinear", dtype="float32")
        logits.append(larger(head(core.get_layer(name).output)))
    joined = keras.layers.Concatenate(dtype="float32")(logits)
    return keras.Model(network.input, keras.Model(core.input, joined)(prepared.output))


def with_levels(loss, architecture: str):
    """The mean of a loss over all levels, of which each weighs one divided by its factor.

    A mean and no sum, so that the loss of the training compares with that of the validation.

    Args:
        loss: of labels, logits and others, as in ``losses``.
        architecture: one of ``LEVELS``.

    Returns:
        A function of the same arguments. Its logits are (B, H, W, 1 + N) from ``with_side_heads``,
        or (B, H, W, 1) from the network alone, for which it is the plain loss.
    """

    def of_all_levels(labels, logits, *others, labelled=None):
        levels = ops.split(logits, logits.shape[-1], axis=-1)
        weights = [1.0, *(1 / factor for factor in LEVELS[architecture])][: len(levels)]
        total = sum(
            weight * loss(labels, level, *others, labelled=labelled)
            for weight, level in zip(weights, levels, strict=True)
        )
        return total / sum(weights)

    return of_all_levels
