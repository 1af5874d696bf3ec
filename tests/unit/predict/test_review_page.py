"""The page of new masks: worst first, with its pictures, though an image is gone by now."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from maskmake.data.images import read_pixels
from maskmake.pages import tiles
from maskmake.predict.review_page import expected_error, write_review_page
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_png


@pytest.fixture
def review(tmp_path):
    rng = np.random.default_rng(1)
    rows = []
    for place, id_ in enumerate(["worst", "a b#1", "gone"]):
        image = tmp_path / f"new/{id_}.png"
        write_png(image, rng.integers(0, 255, (30, 40)).astype(np.uint8))
        write_png(tmp_path / f"masks/{id_}.png", rng.random((30, 40)) > 0.5)
        size = {"height": 30, "width": 40, "foreground": 0.5}
        rows.append(
            {"id": id_, "image": str(image), **size, "expected_mean_dice": 0.8 + place / 10}
        )
    (tmp_path / "new/gone.png").unlink()
    return pd.DataFrame(rows).assign(reason=["<few> pixels", np.nan, np.nan])


def test_every_mask_is_on_the_page_with_its_pictures(review, tmp_path):
    validation = {
        "foreground": [0.5] * 2,
        "expected_mean_dice": [0.9, 0.8],
        "mean_dice": [0.8, None],
    }
    pictures = tmp_path / "review"
    page = write_review_page(review, validation, tmp_path / "masks", {}, pictures)
    data = json.loads(re.search(r'id="browser-data">(.*?)</script>', page, re.DOTALL)[1])
    assert [image["id"] for image in data["images"]] == ["worst", "a b#1", "gone"]
    assert "&lt;few&gt; pixels" in page and "0.800 ± 0.100" in page
    assert "gone.png" in data["images"][2]["values"][1]
    for kind, suffix in (("image", ".jpg"), ("mask", ".png")):
        assert {path.name for path in (pictures / kind).iterdir()} == {
            f"{id_}{suffix}" for id_ in review["id"]
        }
    assert write_review_page(review, validation, tmp_path / "masks", {}, pictures) == page


def test_of_pictures_that_do_not_end_nothing_is_left(review, tmp_path):
    """On a full disk they would take the place of what is to be written."""
    (tmp_path / "masks/gone.png").write_bytes(b"")
    with pytest.raises(UserError):
        write_review_page(review, {}, tmp_path / "masks", {}, tmp_path / "review")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "new"]


def test_an_image_is_shown_with_the_selected_channels(review, tmp_path):
    write_png(review.loc[0, "image"], np.full((30, 40, 3), [250, 5, 5], np.uint8))
    pictures = tmp_path / "review"
    validation = {"foreground": [], "expected_mean_dice": []}
    shown = []
    for selection in (None, [3, 2, 1]):
        places = tmp_path / "masks", {}, pictures, (), selection
        write_review_page(review.head(1), validation, *places)
        shown.append(np.asarray(Image.open(pictures / "image/worst.jpg"))[15, 20].argmax())
    assert shown == [0, 2]


def test_the_error_of_the_expected_dice_is_that_of_validation_images():
    known = {"foreground": [], "expected_mean_dice": [0.9, 0.7], "mean_dice": [0.8, 0.75]}
    assert expected_error(known) == pytest.approx(0.075)
    assert expected_error({"foreground": [], "expected_mean_dice": [0.9]}) is None


def test_images_that_could_not_be_used_are_named_near_the_top(review, tmp_path):
    refused = [f"new/{number}.png: <cut> short." for number in range(7)]
    folders = tmp_path / "masks", {}, tmp_path / "review"
    validation = {"foreground": [], "expected_mean_dice": []}
    page = write_review_page(review, validation, *folders, refused)
    named = page[: page.index('<section id="images">')]
    assert "7 of 10 images could not be used" in named
    shown, folded = named.split("<summary>2 more</summary>")
    assert re.findall(r"<li>new/(\d).png: &lt;cut&gt; short.</li>", shown) == list("01234")
    assert re.findall(r"<li>new/(\d).png", folded) == ["5", "6"]
    assert "could not be used" not in write_review_page(review, validation, *folders)


def test_the_page_of_no_mask_says_so_names_the_images_and_has_no_script(review, tmp_path):
    validation = {"foreground": [], "expected_mean_dice": []}
    none = tmp_path / "masks", {}, tmp_path / "review"
    page = write_review_page(review.head(0), validation, *none, ["a.png: cut."])
    assert "No image could be used." in page and "<li>a.png: cut.</li>" in page
    assert "<script" not in page and "0 masks" not in page and "on top" not in page


def test_the_error_is_explained_and_as_exact_as_the_expected_dice(review, tmp_path):
    validation = {"foreground": [0.5], "expected_mean_dice": [0.9], "mean_dice": [0.8974]}
    review.loc[0, "expected_mean_dice"] = np.nan
    page = write_review_page(review, validation, tmp_path / "masks", {}, tmp_path / "review")
    cells = re.findall(r'<td class="num">([^<]*)</td><td class="reason">', page)
    assert cells == ["–", "0.900 ± 0.003", "1.000 ± 0.003"] and "off by 0.003" in page
    (meaning,) = re.findall(r'title="([^"]*)">expected Dice', page)
    assert "after ± is how far it was off on the validation images, on average" in meaning
    assert "the same number for each mask" in meaning


def test_the_pictures_of_a_large_image_are_tiles(review, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "LARGEST_FILE", 32)
    monkeypatch.setattr(tiles, "TILE", 16)
    validation = {"foreground": [], "expected_mean_dice": []}
    page = write_review_page(review, validation, tmp_path / "masks", {}, tmp_path / "review")
    data = json.loads(re.search(r'id="browser-data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["images"][0]["tiles"] == {"width": 40, "height": 30, "tileSize": 16, "maxLevel": 2}
    for kind, suffix in (("image", "jpg"), ("mask", "png")):
        for id_ in review["id"]:
            written = {path.name for path in (tmp_path / f"review/{kind}/{id_}.tiles").iterdir()}
            assert f"2-2-1.{suffix}" in written and len(written) == 6 + 2 + 1
    mask = read_pixels(tmp_path / "masks/worst.png") > 0
    tile = np.asarray(Image.open(tmp_path / "review/mask/worst.tiles/2-1-1.png"))
    np.testing.assert_array_equal(tile, mask[16:, 16:32])
