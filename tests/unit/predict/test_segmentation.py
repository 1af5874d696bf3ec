"""Masks of new images: one that cannot be used is named and does not stop the others."""

import json
import resource
import shutil
import struct
import zlib
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import segmenting
import tifffile
from scipy.special import expit, logit
from segmenting import DECISION, SETTINGS, noise, save, segment, segmented

from maskmake.data import file_decoders, images
from maskmake.data.images import read_pixels
from maskmake.masks import large_images
from maskmake.predict import segmentation
from maskmake.predict.tiling import predict_bands
from maskmake.runtime.errors import STORAGE_FAULTS, UserError
from maskmake.runtime.files import write_json
from maskmake.runtime.log import logger

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_networks")]


def test_masks_have_the_size_of_their_images(grey_run, tmp_path):
    images = {"7": noise(33, 70), "0b": noise(34, 34, seed=1), "c": noise(64, 40, seed=2)}
    paths = [save(tmp_path / f"{name}.png", image) for name, image in images.items()]
    table = segment(grey_run, paths, tmp_path / "out")
    assert table["id"].tolist() == list(images)
    assert table["image"].tolist() == list(map(str, paths))
    for row in table.itertuples():
        mask = read_pixels(tmp_path / "out" / f"{row.id}.png")
        np.testing.assert_array_equal(mask, (images[row.id] > 127) * 255)
        assert (row.height, row.width) == images[row.id].shape
        assert row.foreground == pytest.approx((mask > 0).mean())


def test_a_bad_image_is_named_and_the_others_are_finished(grey_run, tmp_path):
    good = [save(tmp_path / f"{name}.png", noise(32, 32)) for name in ("a", "c")]
    bad = [tmp_path / "b.png", tmp_path / "d.png"]
    bad[0].write_text("no pixels")
    save(bad[1], noise(32, 32, 3))
    out = tmp_path / "out"
    done = segmented(grey_run, [good[0], bad[0], good[1], bad[1]], out)
    assert [str(path) in text for path, text in zip(bad, done.refused, strict=True)] == [True] * 2
    assert done.table["image"].tolist() == list(map(str, good))
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]


def test_the_decision_of_the_run_is_applied(make_run, tmp_path):
    # Above 0.9 is what lies at least 9 above the middle: 4 * logit(0.9) = 8.8.
    run = make_run(middle=(100.0,), decision=(0.9, 5, 5))
    image = np.full((32, 32), 104, np.uint8)
    image[4:20, 4:20] = 112  # an object with a hole of one pixel
    image[10, 10] = 104
    image[28, 28:30] = 112  # a scrap
    segment(run, [save(tmp_path / "a.png", image)], tmp_path / "out")
    expected = np.zeros((32, 32), np.uint8)
    expected[4:20, 4:20] = 255
    np.testing.assert_array_equal(read_pixels(tmp_path / "out" / "a.png"), expected)


def test_objects_of_the_background_are_cleaned_as_the_decision_says(make_run, tmp_path):
    run = make_run(middle=(100.0,))
    decision = {"threshold": 0.5, "min_object": 5, "min_hole": 5, "objects": "background"}
    image = np.full((32, 32), 112, np.uint8)
    image[4:20, 4:20] = 88  # an object with a hole of one pixel
    image[10, 10] = 112
    image[28, 28:30] = 88  # a scrap
    expected = np.full((32, 32), 255, np.uint8)
    expected[4:20, 4:20] = 0
    write_json(run / "decision.json", decision)
    segment(run, [save(tmp_path / "a.png", image)], tmp_path / "out")
    np.testing.assert_array_equal(read_pixels(tmp_path / "out" / "a.png"), expected)


def test_the_expected_dice_is_that_of_the_temperature(make_run, tmp_path):
    run = make_run(middle=(100.0,))
    image = np.full((32, 32), 96, np.uint8)  # a logit of -1
    image[:16] = 108  # a logit of 2
    path = save(tmp_path / "a.png", image)
    for temperature in (1.0, 2.0):
        write_json(run / "decision.json", {**DECISION, "temperature": temperature})
        (row,) = segment(run, [path], tmp_path / "out").to_dict("records")
        inside, outside = expit(np.array([2.0, -1.0]) / temperature)
        foreground = 2 * inside / (1 + inside + outside)
        background = 2 * (1 - outside) / (1 + 2 - inside - outside)
        assert row["expected_foreground_dice"] == pytest.approx(foreground, abs=1e-3)
        assert row["expected_background_dice"] == pytest.approx(background, abs=1e-3)
        mean = (foreground + background) / 2
        assert row["expected_mean_dice"] == pytest.approx(mean, abs=1e-3)


def test_the_folds_decide_together(make_run, tmp_path):
    # The mean logit changes sign at 101.5.
    run = make_run(middle=(100.0, 100.0), biases=(2.5, -3.25))
    image = noise(40, 40)
    segment(run, [save(tmp_path / "a.png", image)], tmp_path / "out")
    mask = read_pixels(tmp_path / "out" / "a.png")
    np.testing.assert_array_equal(mask, (image > 101) * 255)


def test_a_network_that_is_far_too_sure_does_not_outvote_the_others(make_run, tmp_path):
    """Test images have the mean of stored probabilities, which hold no logit beyond 8.3."""
    run = make_run(middle=(100.0, 100.0), biases=(20.0, -10.0))
    image = noise(40, 40)
    segment(run, [save(tmp_path / "a.png", image)], tmp_path / "out")
    stored = [expit((image - 100.0) / 4 + bias).astype(np.float16) for bias in (20, -10)]
    scored = expit(np.mean([logit(p.astype(float).clip(2**-12, 1 - 2**-12)) for p in stored], 0))
    mask = read_pixels(tmp_path / "out" / "a.png")
    np.testing.assert_array_equal(mask, (scored > 0.5) * 255)
    assert mask[image < 106].max() == 0, "the mean of logits as they are is above 0 from 80 on"


def test_a_stack_has_a_mask_for_each_page(grey_run, tmp_path):
    stack = noise(12, 33, 40)
    tifffile.imwrite(tmp_path / "s.tif", stack, photometric="minisblack")
    table = segment(grey_run, [tmp_path / "s.tif"], tmp_path / "out")
    assert table["id"].tolist() == [f"s_{page:04d}" for page in range(12)]
    for page, image in enumerate(stack):
        mask = read_pixels(tmp_path / "out" / f"s_{page:04d}.png")
        np.testing.assert_array_equal(mask, (image > 127) * 255)


@pytest.mark.parametrize("places", ["s.tif s_0001.png", "p/s.tif q/s_0001.png"])
def test_a_page_with_the_name_of_another_image_is_refused(places, grey_run, tmp_path):
    """As an image of the same folder, or of another one that is segmented, too."""
    stack, other = paths = [tmp_path / place for place in places.split()]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(stack, noise(2, 33, 40), photometric="minisblack")
    save(other, noise(32, 32))
    ids = {str(path): path.stem for path in paths}
    (sentence,) = segmented(grey_run, paths, tmp_path / "out", ids).refused
    assert sentence.startswith(f"{stack}: ") and f"s_0001.png, as that of {other};" in sentence
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["s_0001.png"]


def test_a_page_with_the_name_of_an_image_that_is_not_segmented_has_its_mask(grey_run, tmp_path):
    stack = tmp_path / "s.tif"
    tifffile.imwrite(stack, noise(2, 33, 40), photometric="minisblack")
    save(tmp_path / "s_0001.png", noise(32, 32))
    table = segment(grey_run, [stack], tmp_path / "out")
    assert table["id"].tolist() == ["s_0000", "s_0001"]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_large_image_that_is_cut_short_is_named_and_leaves_nothing(
    suffix, grey_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(images, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(file_decoders, "BAND_PIXELS", 1000)
    paths = [tmp_path / f"{name}{suffix}" for name in "abc"]
    for path in paths:
        if suffix == ".png":
            save(path, noise(200, 100))
        else:
            tifffile.imwrite(path, noise(200, 100), compression="zlib", rowsperstrip=20)
    data = paths[1].read_bytes()
    if suffix == ".png":
        paths[1].write_bytes(data[: len(data) // 2])
    else:
        paths[1].write_bytes(data[:9000] + bytes(5000) + data[14000:])
    done = segmented(grey_run, paths, tmp_path / "out")
    (sentence,) = done.refused
    assert f"b{suffix}: cannot be decoded" in sentence
    assert done.table["id"].tolist() == ["a", "c"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_folds_of_other_channels_are_refused(make_run, tmp_path):
    run, other = make_run(middle=(1.0, 2.0)), make_run(channels=3)
    for name in ("model.keras", "training.json"):
        (other / "fold0" / name).replace(run / "fold1" / name)
    with pytest.raises(UserError, match=r"fold1/training\.json: other preprocessing than .*fold0"):
        segment(run, [save(tmp_path / "a.png", noise(32, 32))], tmp_path / "out")


@pytest.mark.parametrize(("minutes", "refused"), [(None, True), (20, False)])
def test_folds_are_trained_for_the_same_length_unless_minutes_end_them(
    minutes, refused, make_run, tmp_path
):
    run = make_run(middle=(128.0, 128.0))
    for fold, length in enumerate([{"steps": 100, "epochs": 9}, {"steps": 103, "epochs": 8}]):
        path = run / f"fold{fold}" / "training.json"
        record = json.loads(path.read_text())
        record["settings"] |= {**length, "minutes": minutes}
        write_json(path, record)
    expected = pytest.raises(UserError, match="other settings") if refused else nullcontext()
    with expected:
        segment(run, [save(tmp_path / "a.png", noise(32, 32))], tmp_path / "out")


@pytest.mark.parametrize("whole", [True, False], ids=["in memory", "by bands"])
def test_a_full_disk_leaves_finished_masks_and_nothing_half_written(
    whole, grey_run, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(logger, "propagate", True)
    if not whole:
        monkeypatch.setattr(images, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(large_images, "WHOLE_PIXELS", 1100)
    paths = [save(tmp_path / "a.png", noise(32, 32)), save(tmp_path / "b.png", noise(256, 300))]
    unreadable = tmp_path / "c.png"
    unreadable.write_text("no pixels")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # a file grows no further
    try:
        with pytest.raises(OSError) as error:
            segmented(grey_run, [*paths, unreadable], tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno in STORAGE_FAULTS
    assert error.value.filename == str(tmp_path / "out" / "b.png")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert f"{unreadable}: cannot be decoded" in caplog.text


def test_a_broken_image_has_no_say_in_the_tile_of_the_others(grey_run, tmp_path, monkeypatch):
    sides = []

    def predict(predictor, sources):
        sides.append(predictor.side)
        yield from predict_bands(predictor, sources)

    monkeypatch.setattr(segmentation, "predict_bands", predict)
    monkeypatch.setattr(segmenting, "SETTINGS", replace(SETTINGS, tile="auto"))
    image, broken = noise(50, 50), tmp_path / "b.png"
    paths = [save(tmp_path / "a.png", image), save(broken, noise(300, 300)), tmp_path / "gone.png"]
    lines = np.pad(noise(40, 300), [(0, 0), (1, 0)]).tobytes()  # 40 rows of 300, with right sums
    data = bytearray(broken.read_bytes()[:33])
    for kind, content in ((b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        data += struct.pack(">I", len(content)) + kind + content
        data += struct.pack(">I", zlib.crc32(kind + content))
    broken.write_bytes(data)
    done = segmented(grey_run, paths, tmp_path / "out")
    assert "gone.png: no such file" in done.refused[0]
    assert f"{broken}: cannot be decoded" in done.refused[1]
    assert done.table["id"].tolist() == ["a"]
    assert sides == [320, 64]
    np.testing.assert_array_equal(read_pixels(tmp_path / "out" / "a.png"), (image > 127) * 255)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_an_image_for_whose_mask_there_is_no_disk_or_memory_stops_no_other(
    grey_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(large_images, "WHOLE_PIXELS", 1100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 9, 9000))
    paths = [save(tmp_path / "a.png", noise(32, 32)), save(tmp_path / "b.png", noise(100, 100))]
    (sentence,) = segmented(grey_run, paths, tmp_path / "out").refused
    assert "b.png: the mask of 100 x 100 " in sentence and "a.png" not in sentence
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
