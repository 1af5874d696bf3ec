"""Masks of new images: one that cannot be used is named and does not stop the others."""

import errno
import json
import re
import resource
import shutil
import struct
import sys
import zlib
from contextlib import nullcontext
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
from saved_runs import build_small_network, write_fold
from scipy.special import expit

from maskmake.data import file_decoders, images
from maskmake.data.images import read_pixels
from maskmake.masks import large_images
from maskmake.network import saved_networks
from maskmake.network.settings import PredictSettings
from maskmake.predict import kept_masks, segmentation
from maskmake.predict.review import review_table
from maskmake.predict.segmentation import segment_images, segment_shard
from maskmake.predict.tiling import predict_bands
from maskmake.runtime.documents import MOST_BYTES
from maskmake.runtime.errors import STORAGE_FAULTS, UserError
from maskmake.runtime.files import write_json
from maskmake.runtime.log import logger
from maskmake.snakefile.locations import names_of_pages

pytestmark = pytest.mark.long

SETTINGS = PredictSettings(tile=32, overlap=0.5, tta=True)
DECISION = {"threshold": 0.5, "min_object": 0, "min_hole": 0}


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    """A function that makes a trained run: foreground is what is brighter than ``middle``.

    Its networks are those of ``small_networks``.
    """

    def make(
        channels=1,
        dtype="uint8",
        middle=(128.0,),
        decision=(0.5, 0, 0),
        biases=(0.0, 0.0),
        **preprocessing,
    ):
        run = tmp_path_factory.mktemp("run")
        for fold, (value, bias) in enumerate(zip(middle, biases, strict=False)):
            scale, offset = [1 / 4] * channels, [-value / 4] * channels
            write_fold(run / f"fold{fold}", channels, dtype, scale, offset, bias)
            record = json.loads((run / f"fold{fold}" / "training.json").read_text())
            record["preprocessing"] |= preprocessing
            write_json(run / f"fold{fold}" / "training.json", record)
        names = ("threshold", "min_object", "min_hole")
        write_json(run / "decision.json", dict(zip(names, decision, strict=True)))
        return run

    return make


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)


def segmented(run, paths, out, taken=None):
    """As the rule makes them; ``taken`` are ids by path, where one may be that of a page."""
    folds, files = sorted(run.glob("fold*")), list(map(str, paths))
    found = [*names_of_pages(taken or {}).values()]
    options = {"names": taken or {}, "taken": dict(pair for one in found for pair in one.items())}
    return segment_images(files, folds, run / "decision.json", SETTINGS, out, **options)


def segment(run, paths, out):
    """The table of images of which each can be used."""
    done = segmented(run, paths, out)
    assert not done.refused
    return done.table


def refused(run, path, out):
    """The sentence of the only image, which cannot be used."""
    done = segmented(run, [path], out)
    assert done.table.empty
    (sentence,) = done.refused
    return sentence


def save(path, pixels):
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def noise(*shape, dtype=np.uint8, seed=0):
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, top, shape, dtype)


@pytest.fixture
def grey_run(make_run):
    return make_run(middle=(127.5,))


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
    monkeypatch.setattr(sys.modules[__name__], "SETTINGS", replace(SETTINGS, tile="auto"))
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


# --- attempts -----------------------------------------------------------------------------------


@pytest.fixture
def predicted(monkeypatch):
    """The ids of the images that were predicted."""
    ids = []

    def predict(predictor, sources):
        def noted():
            for source in sources:
                ids.append(source.key.id)
                yield source

        yield from predict_bands(predictor, noted())

    monkeypatch.setattr(segmentation, "predict_bands", predict)
    return ids


def attempt(run, paths, out, **changes):
    """What the rule does; the bytes of its outputs."""
    shards = out / ".shards"
    table, refusals = shards / "0.csv", shards / "0.refused.json"
    table.unlink(missing_ok=True)  # as Snakemake does
    folds = sorted(run.glob("fold*"))
    segment_shard(
        {str(path): path.stem for path in paths},
        [],
        {},
        [str(fold / "model.keras") for fold in folds],
        str(run / "decision.json"),
        [],
        changes.get("settings", SETTINGS),
        {"segment.py": changes.get("code", "1")},
        str(shards / "0.contents.csv"),
        {},
        str(shards / "source.json"),
        table,
        str(refusals),
    )
    return table.read_bytes(), json.loads(refusals.read_text())


@pytest.fixture
def three(tmp_path):
    """Three images, of which the second is broken."""
    paths = [save(tmp_path / f"{name}.png", noise(32, 40, seed=ord(name))) for name in "abc"]
    paths[1].write_text("no pixels")
    return paths


def test_the_next_attempt_makes_only_the_masks_that_are_missing(
    grey_run, three, tmp_path, predicted
):
    first = attempt(grey_run, three, tmp_path / "out")
    (sentence,) = first[1]
    assert "b.png: cannot be decoded" in sentence
    (record,) = (tmp_path / "out/.shards").glob("*.kept.json")
    assert record.stat().st_size / 2 * kept_masks.MOST_KEPT < MOST_BYTES  # it can be read
    assert attempt(grey_run, three, tmp_path / "out") == first
    assert predicted == ["a", "c"]
    save(three[1], noise(32, 40, seed=7))
    repaired = attempt(grey_run, three, tmp_path / "out")
    assert predicted == ["a", "c", "b"]
    assert repaired == attempt(grey_run, three, tmp_path / "quiet") and repaired[1] == []
    for path in three:
        mask = (tmp_path / "out" / path.name).read_bytes()
        assert mask == (tmp_path / "quiet" / path.name).read_bytes()
    assert [file.name for file in (tmp_path / "out/.shards").glob("*.kept.json")] == []


@pytest.mark.parametrize(
    ("end", "seconds", "left"),
    [
        (KeyboardInterrupt(), 60, "out"),  # which SIGTERM raises in a job
        (OSError(errno.ENOSPC, "no space"), 60, "out"),
        (KeyboardInterrupt(), 0, "killed"),
    ],
    ids=["stopped", "full disk", "killed"],
)
def test_masks_of_an_attempt_that_does_not_end_are_kept(
    end, seconds, left, grey_run, tmp_path, predicted, monkeypatch
):
    paths = [save(tmp_path / f"{name}.png", noise(32, 40, seed=ord(name))) for name in "abc"]
    predict = segmentation.predict_bands

    def until_c(predictor, sources):
        for image, band in predict(predictor, sources):
            if image.id == "c":
                shutil.copytree(tmp_path / "out", tmp_path / "killed")  # what SIGKILL leaves
                raise end
            yield image, band

    with monkeypatch.context() as patch, pytest.raises(type(end)):
        patch.setattr(kept_masks, "SECONDS_BETWEEN", seconds)
        patch.setattr(segmentation, "predict_bands", until_c)
        attempt(grey_run, paths, tmp_path / "out")
    predicted.clear()
    finished = attempt(grey_run, paths, tmp_path / left)
    assert predicted == ["b", "c"]  # the file of b is whole once c has begun
    assert finished == attempt(grey_run, paths, tmp_path / "quiet")
    assert list((tmp_path / left / ".shards").glob("*.kept.json")) == []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda run, out: save(out.parent / "a.png", noise(32, 40, seed=5)), ["a"]),
        (lambda run, out: save(out / "c.png", noise(32, 40)), ["c"]),
        (lambda run, out: (out / "c.png").unlink(), ["c"]),
        (lambda run, out: write_json(run / "decision.json", {**DECISION, "threshold": 0.6}), "ac"),
        (lambda run, out: {"settings": replace(SETTINGS, tta=False)}, "ac"),
        (lambda run, out: {"code": "2"}, "ac"),
        (lambda run, out: save(out.parent / "b.png", noise(300, 300)), "bac"),
        (lambda run, out: next(out.glob(".shards/*.kept.json")).write_text("{"), "ac"),
    ],
    ids=["image", "mask", "no mask", "decision", "settings", "code", "tile", "damaged record"],
)
def test_a_mask_of_other_inputs_is_made_again(
    change, again, grey_run, three, tmp_path, predicted, monkeypatch
):
    monkeypatch.setattr(sys.modules[__name__], "SETTINGS", replace(SETTINGS, tile="auto"))
    attempt(grey_run, three, tmp_path / "out")
    predicted.clear()
    changes = change(grey_run, tmp_path / "out")
    attempt(grey_run, three, tmp_path / "out", **(changes if isinstance(changes, dict) else {}))
    assert predicted == list(again)
