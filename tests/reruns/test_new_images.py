"""Images without labels are segmented again when their bytes have changed, and only then."""

import os
import shutil

import pytest
from workspace import configure, copy_workspace, finish, planned, why

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import write_png


@pytest.fixture(scope="module")
def segmented(finished, tmp_path_factory):
    """Three new images, segmented in shards of two."""
    folder = copy_workspace(finished, tmp_path_factory.mktemp("segmented") / "work")
    for number in range(3):
        write(folder, f"{number}.png", 20 + number)
    configure(folder, segment={"images": "new", "shard_size": 2})
    finish(folder, "segment")
    return folder


def write(folder, name, seed):
    write_png(folder / "new" / name, synthesize(seed, 96, 1)[0])


def touch(folder):
    for number, path in enumerate(sorted((folder / "new").iterdir())):
        os.utime(path, (2e9 + number, 2e9 + number))


def copy(folder):
    shutil.copytree(folder / "new", folder / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(folder / "new")
    (folder / "copy").rename(folder / "new")


@pytest.mark.parametrize("change", [touch, copy])
def test_new_times_segment_nothing_again(change, segmented, tmp_path):
    folder = copy_workspace(segmented, tmp_path / "work")
    change(folder)
    assert planned(folder, "segment") == set()


@pytest.mark.parametrize(
    ("change", "shards", "words"),
    [
        (lambda folder: write(folder, "0.png", 30), {"segment-0"}, "new/0.png was changed"),
        (lambda folder: write(folder, "3.png", 30), {"segment-1"}, "new/3.png was added"),
        (lambda folder: (folder / "new/1.png").unlink(), {"segment-0"}, "new/1.png was removed"),
    ],
    ids=["edited", "added", "removed"],
)
def test_shards_of_changed_images_are_segmented_again(change, shards, words, segmented, tmp_path):
    folder = copy_workspace(segmented, tmp_path / "work")
    change(folder)
    assert planned(folder, "segment") == shards | {
        "segment-review",
        "segment-page",
        "segment-check",
    }
    assert words in why(folder, "segment")[1]
