"""Weights of ImageNet arrive in the encoders, which see images as they were trained."""

import re

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from round_trip import build, raw_batch
from schema import SCHEMA

from maskmake.network.networks import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    _import_library,
    _legacy_modules,
    load_imagenet_encoder,
)
from maskmake.runtime.errors import UserError
from maskmake.snakefile.train_faults import ENCODERS_WITHOUT_WEIGHTS

pytestmark = pytest.mark.long

ENCODERS = SCHEMA["$defs"]["train"]["properties"]["encoder"]["enum"]


def library_encoder(encoder):
    """The encoder alone, with random weights."""
    return _import_library().Backbones.get_backbone(
        encoder, input_shape=(None, None, 3), weights=None, include_top=False, **_legacy_modules()
    )


def write_weights(path, encoder):
    """Random weights of an encoder in the layout of Keras 2; they are returned by layer."""
    model = library_encoder(encoder)
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def check_weights_arrive(encoder, path):
    keras.backend.clear_session()  # which numbers the layers without a name from 1
    written = write_weights(path, encoder)
    keras.backend.clear_session()
    network = build(encoder=encoder, encoder_weights=path)
    (core,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
    for name, weights in written.items():
        for found, expected in zip(core.get_layer(name).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("encoder", ["resnet18", "vgg16"])
def test_weights_of_a_file_arrive_in_the_encoder(encoder, tmp_path):
    check_weights_arrive(encoder, tmp_path / "weights.h5")


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_weights_of_a_file_arrive_in_every_encoder(encoder, tmp_path):
    check_weights_arrive(encoder, tmp_path / "weights.h5")


@pytest.mark.parametrize("content", ["another encoder", "no layers", "no HDF5"])
def test_a_file_that_does_not_fit_is_named(content, tmp_path):
    path = tmp_path / "weights.h5"
    if content == "another encoder":
        write_weights(path, "vgg16")
    elif content == "no layers":
        h5py.File(path, "w").close()
    else:
        path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(
        UserError, match=rf"^{path}: does not fit the encoder resnet18 \(.+\); .+\.$"
    ):
        build(encoder_weights=path)


def preprocessed(encoder, images, tmp_path):
    """What the encoder sees of images."""
    write_weights(tmp_path / "weights.h5", encoder)
    network = build(
        encoder=encoder,
        channels=images.shape[-1],
        encoder_weights=tmp_path / "weights.h5",
        scale=[1.0] * images.shape[-1],
        offset=[0.0] * images.shape[-1],
    )
    return keras.Model(network.inputs, network.get_layer("preprocessing").output)([images])


@pytest.mark.parametrize(
    "encoder",
    ["resnet18", "vgg16", "mobilenet", pytest.param("efficientnetb0", marks=pytest.mark.slow)],
)
def test_an_encoder_is_given_photographs_as_it_was_trained(encoder, tmp_path):
    """A photograph, standardised and undone, is what the library's preprocessing makes of it."""
    photograph = raw_batch(32, channels=3)
    standardised = (photograph - IMAGENET_MEAN) / IMAGENET_STD
    expected = _import_library().get_preprocessing(encoder)(photograph.copy())
    found = preprocessed(encoder, standardised.astype("float32"), tmp_path)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_grey_is_repeated_as_red_green_and_blue(tmp_path):
    grey = raw_batch(32) / 128 - 1
    found = preprocessed("efficientnetb0", grey, tmp_path)
    np.testing.assert_allclose(found, np.repeat(grey, 3, axis=-1), atol=1e-5)


def named_by_the_library(encoder):
    """Address and checksum of an encoder's weights, which are not fetched."""

    class Named(Exception):
        pass

    def fetch(*arguments):
        raise Named(*arguments)

    with pytest.raises(Named) as named:
        load_imagenet_encoder(encoder, fetch)
    return named.value.args


def test_the_library_names_address_and_checksum():
    assert named_by_the_library("resnet18") == (
        "https://github.com/qubvel/classification_models/releases/download/0.0.1/"
        "resnet18_imagenet_1000_no_top.h5",
        "318e3ac0cd98d51e917526c9f62f0b50",
    )


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_has_an_address_and_most_a_checksum(encoder):
    address, checksum = named_by_the_library(encoder)
    assert re.fullmatch(r"https://\S+no_?top\.h5", address)
    if encoder in ENCODERS_WITHOUT_WEIGHTS:
        assert checksum is None
    else:
        assert re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", checksum)
