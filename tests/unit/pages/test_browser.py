"""The images that a page lets its reader sort, filter and open: their data and HTML."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmake.pages import scripts
from maskmake.pages.browser import (
    FIRST_ROWS,
    MOST_ROWS,
    Browser,
    Column,
    Layer,
    Row,
    finite,
    histogram_plot,
    jpeg_uri,
    scatter_plot,
    thumbnail_side,
)
from maskmake.pages.html import render_page
from maskmake.pages.pictures import OUTLINE, grey_levels, outlined_thumbnail, write_layer
from maskmake.runtime.errors import UserError

HOSTILE = '</script><b onclick="x">#1 50%?'
PAGE = '{% extends "base.html.j2" %}{% block main %}{% include "browser.html.j2" %}{% endblock %}'


def a_browser(ids, total=None):
    uri = jpeg_uri(np.zeros((4, 6), np.uint8))
    return Browser(
        what="test images",
        folder="report/images",
        columns=[Column("Dice"), Column("reason", numeric=False)],
        rows=[Row(id_, uri, (6, 4), [0.5, HOSTILE], ["0.500", HOSTILE]) for id_ in ids],
        layers=[Layer("Image", "image", ".jpg"), Layer("Mask", "mask-a b", ".png", "a b")],
        runs=["a b"],
        plots=[],
        order="worst first",
        total=total or len(ids),
        rest="per_image.csv",
    )


def rendered(folder: Path, browser) -> str:
    template = folder / "page.html.j2"
    template.write_text(PAGE)
    return render_page(template, HOSTILE, browser)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="browser-data">(.*?)</script>', page, re.DOTALL)[1])


def test_a_hostile_name_is_text_in_the_page_and_an_address_in_its_data(tmp_path):
    page = rendered(tmp_path, a_browser([HOSTILE]))
    assert "<b onclick" not in page and page.count("</script>") == len(scripts.SCRIPTS) + 2
    (image,) = data_of(page)["images"]
    assert image["id"] == HOSTILE and image["values"] == [0.5, HOSTILE]
    assert not set(image["file"]) & set('<>"#?/ ')
    assert data_of(page)["layers"][1]["folder"] == "mask-a%20b/"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_image_has_a_row_that_is_there_without_scripts(tmp_path, count):
    page = rendered(tmp_path, a_browser([f"i{place}" for place in range(count)]))
    assert page.count('<tr id="image-') == len(data_of(page)["images"]) == count
    assert page.count('<img src="data:image/jpeg') == count


def test_of_many_images_the_page_has_the_first_rows_and_its_script_the_others(tmp_path):
    page = rendered(tmp_path, a_browser([f"i{place}" for place in range(FIRST_ROWS + 2)]))
    assert page.count('<tr id="image-') == FIRST_ROWS
    assert f"Without scripts the page shows the first {FIRST_ROWS}." in page
    images = data_of(page)["images"]
    assert [image["id"] for image in images] == [f"i{place}" for place in range(FIRST_ROWS + 2)]
    assert all("thumbnail" not in image for image in images[:FIRST_ROWS])
    assert all(image["texts"] == ["0.500", HOSTILE] for image in images[FIRST_ROWS:])
    assert all(image["thumbnail"].startswith("data:image/jpeg") for image in images[FIRST_ROWS:])


def test_thumbnails_of_a_full_page_take_less_than_ten_megabytes():
    side = thumbnail_side(MOST_ROWS)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    assert MOST_ROWS * len(jpeg_uri(noise)) < 10e6


def test_the_page_says_that_it_does_not_show_all(tmp_path):
    page = rendered(tmp_path, a_browser(["i"], total=5000))
    shown = "The table and the plots show 1 of 5000 test images, worst first"
    assert f"{shown}; per_image.csv lists all." in page


def test_a_page_without_images_has_no_script(tmp_path):
    template = tmp_path / "page.html.j2"
    template.write_text('{% extends "base.html.j2" %}{% block main %}text{% endblock %}')
    assert "<script" not in render_page(template, "title")


@pytest.mark.parametrize(
    "values", [[0.0, 0.5, 1.0, 1.0, np.nan], [0.8123456, 0.9, 0.987656], [0.1, 0.2, 0.3]]
)
def test_a_bar_counts_the_images_whose_rows_are_in_its_range(values):
    bars = histogram_plot("name", 2, "Dice", values).spec["data"]["values"]
    shown = [value for value in map(finite, values) if value is not None]
    counts = [sum(bar["from"] <= value <= bar["to"] for value in shown) for bar in bars]
    assert counts == [bar["images"] for bar in bars] and sum(counts) == len(shown)
    assert {bar["column"] for bar in bars} == {2}


def test_without_a_number_there_is_no_bar():
    assert histogram_plot("name", 0, "Dice", [np.nan]).spec["data"]["values"] == []


def test_a_dot_names_its_row_though_another_has_no_number():
    data = scatter_plot("name", ["a", "b"], ("x", [1.0, 2.0]), ("y", [np.nan, 3.0])).spec["data"]
    assert data["values"] == [{"row": 1, "id": "b", "x": 2.0, "y": 3.0}]


def test_numbers_are_short_and_json_has_no_nan():
    assert finite(1 / 3) == 0.33333 and finite(np.nan) is None and finite(None) is None


def test_thumbnails_of_thousands_are_small():
    assert thumbnail_side(10) > thumbnail_side(300) > thumbnail_side(3000) == thumbnail_side(99999)


def test_the_stored_scripts_are_those_that_were_vetted(monkeypatch):
    assert all("</script" not in text for text in scripts.script_texts())
    assert all(script.licence_path.stat().st_size for script in scripts.SCRIPTS)
    assert all(script.path.stat().st_size < 1e6 for script in scripts.SCRIPTS)
    other = scripts.SCRIPTS[0]._replace(sha256="0" * 64)
    monkeypatch.setattr(scripts, "SCRIPTS", (other,))
    with pytest.raises(UserError, match=r"vega\.min\.js: found other bytes.*page_scripts\.py"):
        scripts.script_texts()


def test_a_layer_is_transparent_where_there_is_nothing(tmp_path):
    write_layer(tmp_path / "a.png", np.array([[0, 1], [2, 0]]), [(1, 2, 3), (4, 5, 6)])
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGBA"))
    assert pixels[0, 1].tolist() == [1, 2, 3, 255] and pixels[1, 0].tolist() == [4, 5, 6, 255]
    assert pixels[0, 0, 3] == pixels[1, 1, 3] == 0


def test_the_outline_is_at_the_border_of_the_mask_but_not_of_the_picture():
    mask = np.zeros((8, 8), bool)
    mask[:4] = True
    small = outlined_thumbnail(np.zeros((8, 8), np.uint8), mask, 8)
    drawn = (small == OUTLINE).all(axis=2)
    assert drawn[3].all() and drawn.sum() == 8


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_grey_levels_are_the_same_at_every_scale(channels):
    rng = np.random.default_rng(1)
    pixels = rng.uniform(-1, 1, (40, 30, channels)).astype(np.float32).squeeze()
    for scale in (2.0**20, 2.0**127):  # twice the second is beyond float32
        large = grey_levels(pixels * np.float32(scale))
        np.testing.assert_array_equal(large, grey_levels(pixels))
    assert (large.min(), large.max()) == (0, 255)


def test_grey_levels_take_any_number_of_channels():
    rng = np.random.default_rng(1)
    assert [grey_levels(rng.random((5, 6, c))).shape for c in (2, 3, 5)] == [(5, 6, 3)] * 3
    assert not grey_levels(np.full((4, 4), 7)).any()
