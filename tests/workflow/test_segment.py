"""Masks of new images, by a run of the workflow or by the folder of one."""

import json

import numpy as np
from workspace import (
    CONFIG,
    NOTHING_TO_DO,
    configure,
    copy_workspace,
    finish,
    planned,
    snakemake,
    why,
)

from maskmake.data.images import read_pixels
from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import read_csv, write_png


def new_images(folder, count):
    """Write images of other sizes than those of the data set."""
    for i in range(count):
        write_png(folder / f"new/x{i}.png", synthesize(20 + i, 80 + i, 1)[0])


def test_segment_works_in_shards_and_only_once(finished_copy):
    new_images(finished_copy, 3)
    configure(finished_copy, segment={"images": "new", "run": "b", "shard_size": 2})
    jobs = {"segment-0", "segment-1", "segment-review", "segment-page", "segment-check"}
    assert planned(finished_copy, "segment") == jobs
    finish(finished_copy, "segment", "--cores", "2")
    for i in range(3):
        mask = read_pixels(finished_copy / f"results/tiny/segment/b/new/x{i}.png")
        assert mask.shape == (80 + i, 80 + i)
        assert set(np.unique(mask)) <= {0, 255}
    review = read_csv(finished_copy / "results/tiny/segment/b/new/review.csv")
    assert list(review) == [
        "id", "image", "height", "width", "foreground", "expected_foreground_dice",
        "expected_background_dice", "expected_mean_dice", "minimum", "maximum", "trained_minimum",
        "trained_maximum", "trained_smallest_maximum", "reason",
    ]  # fmt: skip
    assert set(review["id"]) == {"x0", "x1", "x2"}
    assert review["expected_mean_dice"].is_monotonic_increasing
    assert NOTHING_TO_DO in finish(finished_copy, "segment")


def copied_run(finished, tmp_path):
    """An empty folder beside a copy of the folder of a trained run."""
    copy_workspace(finished / "results/tiny/runs/a", tmp_path / "handed-on")
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_segment_needs_no_more_than_the_folder_of_a_run(finished, tmp_path):
    """The bad image of the folder is named; the others have masks, list and page, and keep them."""
    work = copied_run(finished, tmp_path)
    folder = work / "results/config/segment/handed-on/new"
    new_images(work, 2)
    (work / "new/x0.png").write_bytes(b"no image")
    (work / "config.yaml").write_text(
        json.dumps({"segment": {"images": "new", "model": "../handed-on"}})
    )
    made = set()
    for _ in range(2):
        code, output = snakemake(work)
        assert code != 0
        *_, sentence, end = output.splitlines()
        assert sentence.startswith("new/x0.png: cannot be decoded")
        assert end == f"1 of 2 images are done: {folder.relative_to(work)}/review.csv"
        assert "Traceback" not in output
        assert read_csv(folder / "review.csv")["id"].tolist() == ["x1"]
        assert "1 of 2 images could not be used" in (folder / "review.html").read_text()
        made.add((folder / "x1.png").stat().st_mtime_ns)
    assert [p.name for p in folder.glob("*.png")] == ["x1.png"]
    assert "segment_shard (shard 0):\n  images that could not be used are" in why(work)[1]

    new_images(work, 2)
    assert "2 of 2 images are done." in finish(work)
    assert {p.name for p in folder.glob("*.png")} == {"x0.png", "x1.png"}
    assert set(read_csv(folder / "review.csv")["id"]) == {"x0", "x1"}
    assert "could not be used" not in (folder / "review.html").read_text()
    assert made == {(folder / "x1.png").stat().st_mtime_ns}
    assert NOTHING_TO_DO in finish(work)
    assert CONFIG["dataset"]["name"] not in {p.name for p in (work / "results").iterdir()}
