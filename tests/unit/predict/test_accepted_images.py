"""Which images a trained run takes, and how their pixels become those of its training."""

import re

import numpy as np
import pytest
import tifffile
from segmenting import noise, refused, save, segment

from maskmake.data import file_decoders, images
from maskmake.data.images import read_pixels
from maskmake.predict.review import review_table

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_networks")]


def test_colours_are_refused_by_a_model_of_grey_images(grey_run, tmp_path):
    path = save(tmp_path / "a.png", noise(32, 32, 3))
    sentence = refused(grey_run, path, tmp_path / "out")
    assert "a.png: colours, where grey is expected" in sentence


def test_grey_images_are_repeated_for_a_model_of_colours(make_run, tmp_path):
    run = make_run(channels=3, middle=(100.5,))
    image = noise(40, 50)
    segment(run, [save(tmp_path / "a.png", image)], tmp_path / "out")
    mask = read_pixels(tmp_path / "out" / "a.png")
    np.testing.assert_array_equal(mask, (image > 100) * 255)


def test_grey_saved_as_colours_is_grey(grey_run, tmp_path):
    image = noise(40, 50)
    path = save(tmp_path / "a.png", np.dstack([image] * 3))
    segment(grey_run, [path], tmp_path / "out")
    np.testing.assert_array_equal(read_pixels(tmp_path / "out" / "a.png"), (image > 127) * 255)


@pytest.mark.parametrize("shape", [(1, 1), (1, 96), (96, 31)])
def test_an_image_below_32_pixels_is_refused(shape, grey_run, tmp_path):
    path = save(tmp_path / "a.png", noise(*shape))
    sentence = refused(grey_run, path, tmp_path / "out")
    assert f"a.png: {shape[0]} x {shape[1]} pixels (height x width" in sentence


def test_8_bits_are_refused_by_a_model_of_16_that_knows_no_range(make_run, tmp_path):
    path = save(tmp_path / "a.png", noise(40, 50))
    sentence = refused(make_run(dtype="uint16"), path, tmp_path / "out")
    assert re.search(r"a\.png: pixel type uint8, but .*uint16.*dataset\.range", sentence)


def test_images_beyond_the_values_of_the_training_are_flagged(make_run, tmp_path):
    seen = {"minimum": 10.0, "maximum": 3900.0, "smallest_maximum": 3000.0}
    run = make_run(dtype="uint16", seen=seen)
    images = {"same": 3500, "bright": 60000, "dim": 250}
    paths = [tmp_path / f"{name}.png" for name in images]
    for path, top in zip(paths, images.values(), strict=True):
        save(path, np.linspace(20, top, 2000).reshape(40, 50).astype(np.uint16))
    table = segment(run, paths, tmp_path / "out")
    review = review_table(table, {"foreground": [], "expected_mean_dice": []})
    reasons = review.set_index("id")["reason"]
    assert "pixel values from 20 to 60000, against 10 to 3900" in reasons["bright"]
    assert "no pixel value above 250, against 10 to 3900" in reasons["dim"]
    assert "pixel value" not in reasons["same"]


def test_the_channels_of_the_training_are_selected(make_run, tmp_path):
    run = make_run(middle=(127.5,), selection=[2])
    image = noise(40, 50, 2)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", planarconfig="contig")
    segment(run, [tmp_path / "a.tif"], tmp_path / "out")
    mask = read_pixels(tmp_path / "out" / "a.png")
    np.testing.assert_array_equal(mask, (image[..., 1] > 127) * 255)


def test_an_image_is_normalized_by_the_whole_of_itself(make_run, tmp_path, monkeypatch):
    run = make_run(middle=(0.0,), dtype="uint16", per_image=True)
    image = np.add.outer(np.arange(200), np.zeros(50)).astype(np.uint8)
    dim, bright = save(tmp_path / "d.png", image), tmp_path / "b.tif"
    tifffile.imwrite(bright, image.astype(np.float32) * 1000 - 7)
    monkeypatch.setattr(images, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(file_decoders, "BAND_PIXELS", 1000)
    segment(run, [dim, bright], tmp_path / "out")
    for name in "db":
        mask = read_pixels(tmp_path / "out" / f"{name}.png")
        np.testing.assert_array_equal(mask, (image > 99) * 255)


def test_8_bits_are_widened_for_a_model_of_16_as_the_range_says(make_run, tmp_path):
    run = make_run(dtype="uint16", middle=(100.5 * 257,), range=65535)
    narrow = noise(40, 50)
    wide = noise(40, 40, dtype=np.uint16)
    paths = [save(tmp_path / "8.png", narrow), save(tmp_path / "16.png", wide)]
    segment(run, paths, tmp_path / "out")
    masks = [read_pixels(tmp_path / "out" / path.name) for path in paths]
    np.testing.assert_array_equal(masks[0], (narrow > 100) * 255)
    np.testing.assert_array_equal(masks[1], (wide > 100.5 * 257) * 255)


def test_16_bits_are_refused_by_a_model_of_8(grey_run, tmp_path):
    path = save(tmp_path / "a.png", noise(32, 32, dtype=np.uint16))
    sentence = refused(grey_run, path, tmp_path / "out")
    assert re.search(r"a\.png: pixel type uint16.*trained on uint8", sentence)
