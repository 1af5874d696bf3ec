"""The next attempt makes the masks that are missing and those of other inputs, and no others."""

import errno
import json
import shutil
import sys
from dataclasses import replace

import pytest
from segmenting import DECISION, SETTINGS, noise, save

from maskmake.predict import kept_masks, segmentation
from maskmake.predict.segmentation import segment_shard
from maskmake.predict.tiling import predict_bands
from maskmake.runtime.documents import MOST_BYTES
from maskmake.runtime.files import write_json

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("small_networks")]


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


def without_ids(record):
    contents = json.loads(record.read_text())
    for kept in contents["masks"]:
        del kept["row"]["id"]
    write_json(record, contents)


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
        (lambda run, out: without_ids(next(out.glob(".shards/*.kept.json"))), "ac"),
    ],
    ids=[
        *("image", "mask", "no mask", "decision", "settings", "code", "tile", "damaged record"),
        "no ids",
    ],
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
