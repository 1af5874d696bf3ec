"""The full pictures of test images: the layers of label, mask and errors have every pixel."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from maskmake.data.labels import IGNORED
from maskmake.pages import tiles
from maskmake.report import layers
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_png

TILE = 32


def read_picture(stem):
    """A picture in full size, from its file or from the tiles of its highest resolution."""
    if stem.with_name(f"{stem.name}.png").exists():
        return np.asarray(Image.open(f"{stem}.png"))
    folder = stem.with_name(f"{stem.name}.tiles")
    places = range(3)
    return np.block(
        [
            [np.asarray(Image.open(folder / f"2-{column}-{row}.png")) for column in places]
            for row in places
        ]
    )


@pytest.mark.parametrize("largest", [96, 64])
def test_errors_are_missed_and_false_foreground_pixel_by_pixel(
    dataset, tmp_path, monkeypatch, largest
):
    for module in (tiles, layers):
        monkeypatch.setattr(module, "LARGEST_FILE", largest)
    monkeypatch.setattr(tiles, "TILE", TILE)
    image_id = dataset.index["id"][0]
    label = np.array(dataset.labels[image_id])
    mask = np.roll(label == 1, 5, axis=1)
    folders = {kind: tmp_path / kind for kind in ("masks", "probability")}
    for folder in folders.values():
        write_png(folder / f"{image_id}.png", mask)
    paths = (str(dataset.inputs[name]) for name in ("images", "labels", "index"))
    sources = layers.Sources(*paths, {"a b": folders}, "foreground")
    written = list(layers.write_layers(tmp_path / "images", sources, [image_id], 40, 1))
    assert len(written) == 1 and max(written[0].size) == 40
    # Counted in every pixel, however large the image is.
    inside = label == 1
    assert (written[0].objects["label"], written[0].area) == (
        ndimage.label(inside)[1],
        inside.sum(),
    )
    assert (tmp_path / f"images/image/{image_id}.tiles").exists() == (largest < 96)

    errors = read_picture(tmp_path / f"images/errors-a b/{image_id}")
    expected = np.where((label == 1) & ~mask, 1, np.where((label == 0) & mask, 2, 0))
    np.testing.assert_array_equal(errors, expected)
    np.testing.assert_array_equal(read_picture(tmp_path / f"images/mask-a b/{image_id}"), mask)
    shown = read_picture(tmp_path / f"images/label/{image_id}")
    np.testing.assert_array_equal(shown, np.where(label == IGNORED, 1, 2 * (label == 1)))


def test_of_pictures_that_do_not_end_nothing_is_left(dataset, tmp_path):
    image_id = dataset.index["id"][0]
    write_png(tmp_path / f"masks/{image_id}.png", np.asarray(dataset.labels[image_id]) == 1)
    paths = (str(dataset.inputs[name]) for name in ("images", "labels", "index"))
    folders = {"masks": tmp_path / "masks", "probability": tmp_path / "nowhere"}
    sources = layers.Sources(*paths, {"a": folders}, "foreground")
    with pytest.raises((OSError, UserError)):
        list(layers.write_layers(tmp_path / "images", sources, [image_id], 40, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


def test_each_colour_of_a_layer_has_its_meaning_in_the_viewer():
    legends = {layer.title: dict(layer.legend) for layer in layers.layers(["unet"])}
    assert legends["Errors"] == {"missed": layers.MISSED, "false": layers.FALSE}
    assert legends["Label"]["foreground"] == layers.LABEL_COLOUR
    assert list(legends["Mask"]) == ["foreground"]
