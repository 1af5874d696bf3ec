"""A package predicts anywhere what the run predicts, and a bad input is one sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from packages import BIASES, DECISION, MIDDLE, SCALE, decide, segment
from PIL import Image
from saved_runs import build_small_network
from scipy import ndimage
from scipy.special import expit

import maskmake
from maskmake.data.images import read_pixels
from maskmake.network import saved_networks
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_json, write_png
from maskmake.runtime.sums import write_sums

pytestmark = pytest.mark.long


@pytest.mark.parametrize("shape", [(1, 1), (20, 45), (32, 32), (97, 131)])
def test_an_array_of_any_size(package, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    mask, probability = maskmake.load(package).predict(image)
    expected = expit((image - MIDDLE) * SCALE + np.mean(BIASES))
    np.testing.assert_allclose(probability, expected, atol=1e-3)
    assert mask.shape == shape and mask.dtype == bool
    np.testing.assert_array_equal(mask, decide(probability, **DECISION))


LEVELS = {
    "one level, background": {"threshold": 0.55, "objects": "background"},
    "two levels": {"threshold": 0.4, "upper": 0.8, "min_seed": 3},
    "two levels, background": {
        "threshold": 0.7,
        "upper": 0.3,
        "min_seed": 3,
        "objects": "background",
    },
}


def test_packed_decision_makes_the_packed_mask_of_the_packed_probability(package):
    decision = json.loads((package / "decision.json").read_text())
    mask = decide(np.load(package / "sample/probability.npy"), **decision)
    assert 0 < mask.mean() < 1
    packed = read_pixels(package / "sample/mask.png")
    assert (mask.astype(np.uint8) * 255).tobytes() == packed.tobytes()


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_a_packed_decision_of_other_levels_makes_the_mask(package, tmp_path, levels):
    copy = shutil.copytree(package, tmp_path / "package")
    write_json(copy / "decision.json", DECISION | levels)
    write_sums(copy)
    # Smooth, and no pixel as bright as another: which of two equal ones grows first is not defined.
    smooth = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(16, 16)), 1.2)
    image = smooth.ravel().argsort().argsort().reshape(smooth.shape).astype(np.uint8)
    mask, probability = maskmake.load(copy).predict(image)
    assert np.unique(probability).size == probability.size
    expected = decide(probability, **json.loads((copy / "decision.json").read_text()))
    assert mask.tobytes() == expected.tobytes()
    if "upper" in levels:  # and lines were drawn
        assert (mask != decide(probability, **(DECISION | levels | {"upper": None}))).any()


def test_segment_takes_a_package_and_writes_the_same_bytes(run, package, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    image = np.random.default_rng(1).integers(0, 256, (50, 70), np.uint8)
    write_png(tmp_path / "a.png", image)
    masks = []
    for folder in (run, package):
        out = tmp_path / folder.name
        segment(folder, tmp_path / "a.png", out)
        masks.append((out / "a.png").read_bytes())
    assert masks[0] == masks[1]


GREY = np.random.default_rng(4).integers(0, 256, (33, 40), np.uint8)


def with_alpha():
    return Image.fromarray(np.dstack([GREY, 255 - GREY]))


def with_a_palette():
    image = Image.fromarray(255 - GREY)  # an index is no brightness
    image.putpalette([255 - level for level in range(256) for _ in "rgb"])
    return image


def turned():
    image = Image.fromarray(np.rot90(GREY))
    image.getexif()[0x0112] = 6  # seen a quarter turn clockwise
    return image


@pytest.mark.parametrize("make", [with_alpha, with_a_palette, turned])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_read_as_segment_reads_it(package, tmp_path, make, kind):
    image = make()
    image.save(tmp_path / "a.png", exif=image.getexif())
    found = maskmake.load(package).predict(kind(tmp_path / "a.png"))
    for part, expected in zip(found, maskmake.load(package).predict(GREY), strict=True):
        np.testing.assert_array_equal(part, expected)


def test_the_channels_of_a_file_are_those_of_the_training(package, tmp_path):
    copy = shutil.copytree(package, tmp_path / "package")
    path = copy / "preprocessing.json"
    write_json(path, {**json.loads(path.read_text()), "selection": [2]})
    write_sums(copy)
    with_alpha().save(tmp_path / "a.png")
    mask, _ = maskmake.load(copy).predict(tmp_path / "a.png")
    np.testing.assert_array_equal(mask, maskmake.load(package).predict(255 - GREY).mask)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: tifffile.imwrite(path, np.stack([GREY] * 9)), "a stack of 9 images;"),
        (lambda path: tifffile.imwrite(path, GREY.astype(np.uint16)), "pixel type uint16, but"),
        (lambda path: write_png(path, np.dstack([GREY, GREY, 255 - GREY])), "colours, where grey"),
        (lambda path: path.write_text("no pixels"), "cannot be decoded"),
        (lambda path: None, "no such file."),
    ],
    ids=["stack", "type", "channels", "damaged", "missing"],
)
def test_a_file_that_is_no_such_image_is_named(package, tmp_path, write, sentence):
    path = tmp_path / "a.tif"
    write(path)
    with pytest.raises(UserError) as error:
        maskmake.load(package).predict(path)
    assert str(error.value).startswith(f"{path}: {sentence}")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((8, 8, 2), np.uint8), "2 channels, but the model was trained on 1;"),
        (np.zeros((8, 8), np.uint16), "pixel type uint16, but the model was trained on uint8,"),
        (np.zeros((8, 8), np.float64), "pixel type float64, but the model was trained on uint8,"),
        (np.zeros((8, 8), complex), "type complex128; expected numbers, of type uint8;"),
        (np.array("text"), "shape (); expected one image,"),
        (np.zeros((2, 8, 8, 1), np.uint8), "shape (2, 8, 8, 1); expected one image,"),
        (np.zeros((0, 8), np.uint8), "shape (0, 8); expected one image,"),
    ],
    ids=lambda value: str(getattr(value, "shape", "")) + str(getattr(value, "dtype", "")),
)
def test_an_array_that_is_no_such_image_is_one_sentence(package, array, sentence):
    with pytest.raises(UserError) as error:
        maskmake.load(package).predict(array)
    assert f"array: {sentence}" in str(error.value)
    assert str(error.value).count(". ") == 0 and str(error.value).endswith(".")
