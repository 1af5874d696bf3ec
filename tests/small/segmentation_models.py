"""Stands in for the library of this name in runs whose subject is not the network.

Building, tracing and compiling a U-Net takes most of a minute of processor, two convolutions take
a few seconds. Whatever architecture and encoder are asked for, they are the same two, with the
levels of a decoder that ``train.deep_supervision`` looks for between them.
"""

import keras


def get_available_backbone_names() -> list[str]:
    return ["resnet18", "resnet34"]


def _Unet(encoder, input_shape, classes, activation, encoder_weights, **modules):
    images = keras.Input(input_shape)
    x = keras.layers.Conv2D(16, 5, padding="same", activation="relu")(images)
    x = keras.layers.BatchNormalization()(x)
    for stage, factor in enumerate((8, 4, 2), start=1):
        level = keras.layers.AveragePooling2D(factor, name=f"decoder_stage{stage}b_relu")(x)
        x = keras.layers.Add()([x, keras.layers.UpSampling2D(factor)(level)])
    return keras.Model(images, keras.layers.Conv2D(classes, 5, padding="same")(x))
