"""The files of the test images: masks by the decision, probabilities, regions."""

from types import SimpleNamespace

import numpy as np

from maskmake.data.images import read_pixels
from maskmake.masks.decision import Decision
from maskmake.masks.mask_files import write_masks
from maskmake.masks.regions import region_picture
from maskmake.runtime.files import sha256


def test_each_test_image_has_its_three_files_and_its_row(tmp_path):
    probability = np.zeros((8, 8), np.float16)
    probability[1:4, 1:4], probability[6, 6] = 0.75, 1
    folders = [tmp_path / name for name in ("masks", "probability", "regions")]
    run = SimpleNamespace(test_ids=["b", "a"], test=lambda _: probability)
    table = write_masks(run, Decision(0.5, 2, 0), *folders)
    assert table.to_dict("list") == {
        "id": ["b", "a"],
        "sha256": [sha256(folders[0] / f"{name}.png") for name in "ba"],
    }
    mask = np.zeros((8, 8), bool)
    mask[1:4, 1:4] = True  # the piece of one pixel is removed
    for folder, pixels in zip(
        folders, (mask * 255, (probability * 255).round(), region_picture(mask)), strict=True
    ):
        np.testing.assert_array_equal(read_pixels(folder / "a.png"), pixels)


def test_without_test_images_the_table_is_empty(tmp_path):
    run = SimpleNamespace(test_ids=[])
    assert list(write_masks(run, Decision(0.5, 0, 0), *[tmp_path] * 3)) == ["id", "sha256"]
