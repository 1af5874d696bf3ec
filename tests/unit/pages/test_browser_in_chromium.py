"""The browser of images in headless Chromium: it sorts, filters, links, opens and zooms.

A script at the end of the page does what a reader does, and says on the console what it sees, which
Chromium writes to standard error. So the test needs a Chromium and nothing else. (With its option
--dump-dom time is virtual, and the viewer's animations do not run.)
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from maskmake.pages.browser import (
    BINS,
    FIRST_ROWS,
    Browser,
    Column,
    Layer,
    Row,
    finite,
    histogram_plot,
    jpeg_uri,
    scatter_plot,
)
from maskmake.pages.html import render_page
from maskmake.pages.tiles import tiling, write_full_picture

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="the command chromium is not there"),
]

IMAGES = 2 * FIRST_ROWS + 50
SEEN = re.compile("seen:([A-Za-z0-9+/=]+):")
SECONDS = 120
PAGE = (
    '{% extends "base.html.j2" %}{% block main %}'
    '<a id="look" href="#" data-open="{{ browser.rows | length - 1 }}">last</a>'
    "<details open></details><details></details>"
    '{% include "browser.html.j2" %}{% endblock %}'
)
MASK = [("found", (0, 114, 178)), ("<ignored>", (128, 128, 128))]
LARGE = f"i{IMAGES - 2}"  # an image of tiles
ODD = 'a<b>&"c" #1 50%'  # the name of the first image

WATCH = """<script>
window.faults = [];
addEventListener("error", event => faults.push(event.message || String(event.target.src)), true);
addEventListener("unhandledrejection", event => faults.push(String(event.reason)));
console.error = console.warn = (...texts) => faults.push(texts.join(" "));
</script>"""

READER = Path(__file__).with_name("reader.js").read_text(encoding="utf-8")


def write_page(folder: Path) -> list[str]:
    """A page of many images with its pictures; returns their ids in the order of the page."""
    ids = [ODD, *(f"i{place}" for place in range(1, IMAGES))]
    layers = [
        Layer("Image", "image", ".jpg"),
        Layer("Mask", "mask-one", ".png", "one", legend=MASK),
        Layer("Mask", "mask-other", ".png", "other", legend=MASK),
    ]
    grey = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    for layer in layers:
        (folder / "images" / layer.folder).mkdir(parents=True)
    for id_, picture in (ids[0], grey), (ids[-1], grey), (LARGE, np.tile(grey, (5, 65))[:, :4100]):
        write_full_picture(folder / f"images/image/{id_}", picture.shape, [picture])
        for run in ("one", "other"):
            stem, found = folder / f"images/mask-{run}/{id_}", (picture > 99).astype(np.uint8)
            write_full_picture(stem, found.shape, [found], [MASK[0][1]])
    # The last one is longer than what a row has of it, which is larger.
    values = [*map(float, range(IMAGES - 1)), IMAGES - 1 - 4e-6]
    uri = jpeg_uri(grey)
    reasons = ["look" if place % 50 == 0 else "" for place in range(IMAGES)]
    browser = Browser(
        what="test images",
        folder="images",
        columns=[
            Column("Score", run="one"),
            Column("reason", numeric=False),
            Column("pixels"),
            Column("Score", run="other"),
        ],
        rows=[
            Row(
                id_,
                uri,
                (64, 64),
                [finite(value), reason, 64, -1],
                [f"{value:.0f}", reason, "64", "−1"],
                tiling(320, 4100) if id_ == LARGE else None,
            )
            for id_, value, reason in zip(ids, values, reasons, strict=True)
        ],
        layers=layers,
        runs=["one", "other"],
        plots=[
            histogram_plot("bars", 0, "score", values),
            scatter_plot("dots", ids, ("x", values), ("y", values[::-1])),
        ],
        order="the lowest score first",
        total=IMAGES,
        rest="per_image.csv",
    )
    (folder / "page.html.j2").write_text(PAGE)
    page = render_page(folder / "page.html.j2", "Page", browser)
    start, _, end = page.replace("<head>", f"<head>{WATCH}", 1).rpartition("</body>")
    (folder / "page.html").write_text(
        f"{start}<script>{READER}</script></body>{end}", encoding="utf-8"
    )
    return ids


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """What the reader saw, and the ids of the images in the order of the page."""
    folder = tmp_path_factory.mktemp("page")
    ids = write_page(folder)
    command = [str(CHROMIUM), "--headless", "--disable-gpu", "--window-size=1280,900"]
    command += ["--enable-logging=stderr", f"--user-data-dir={folder}/profile"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root.
    with subprocess.Popen(
        [*command, (folder / "page.html").as_uri()],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as browser:
        stop = threading.Timer(SECONDS, os.killpg, (browser.pid, signal.SIGKILL))
        stop.start()
        try:
            assert browser.stderr is not None
            said = next(filter(None, map(SEEN.search, browser.stderr)), None)
        finally:
            stop.cancel()
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)
    assert said, f"Chromium said nothing within {SECONDS} seconds"
    return json.loads(base64.b64decode(said[1])), ids


def test_nothing_goes_wrong_and_nothing_outside_is_asked_for(reader):
    seen, _ = reader
    assert seen["faults"] == [] and not seen["missing"]
    assert all(address.startswith(("file:", "data:", "blob:")) for address in seen["requests"])
    assert "missing" not in seen["message"]


def test_the_rows_come_as_they_are_asked_for(reader):
    seen, ids = reader
    assert seen["first"] == ids[:FIRST_ROWS]
    assert seen["more"] == ids[: len(seen["more"])] and len(seen["more"]) >= 2 * FIRST_ROWS
    assert seen["focused"] == f"Open {ids[FIRST_ROWS]}"


def test_the_table_sorts_and_filters_all_images(reader):
    seen, ids = reader
    assert seen["rising"] == ids[:FIRST_ROWS]
    assert seen["falling"] == ids[::-1][:FIRST_ROWS] and seen["order"] == "descending"
    assert sorted(seen["found"]) == sorted(id_ for id_ in ids if "7" in id_)
    assert sorted(seen["range"]) == sorted(ids[10:20])
    assert sorted(seen["reasoned"]) == sorted(ids[::50])
    assert seen["count"] == f"{IMAGES} of {IMAGES} test images shown." and seen["grid"]


def test_a_click_on_a_bar_shows_all_that_it_counts(reader):
    seen, ids = reader
    assert len(seen["bar"]) == seen["counted"] > 1
    assert sorted(seen["bar"]) == sorted(ids[-seen["counted"] :])


def test_the_picked_range_is_in_the_filters_and_marked_in_the_plots(reader):
    seen, ids = reader
    low = IMAGES - seen["counted"]
    assert seen["chosen"] == ["", "0", str(low), str(IMAGES - 1)]
    assert seen["faint"] == [BINS - 1, 0, low] and seen["faint_at_last"] == [0, 0]
    assert sorted(seen["both_filters"]) == sorted(set(ids[low:]) & set(ids[240:]))


def test_the_images_are_sorted_without_the_headers_of_the_table(reader):
    seen, ids = reader
    assert seen["by_reason"][:5] == ids[::50] and seen["unsorted"] == ids[:FIRST_ROWS]
    assert seen["by_name"][:2] == ["i249", "i248"] and seen["headers"] == [["-1", "descending"]]
    assert seen["sorted_by"] == ["0", "down"]


def test_what_is_unfolded_for_paper_is_folded_again(reader):
    seen, _ = reader
    assert seen["folded"] == [1, 1] and seen["printed"] == 4


def test_a_click_on_a_dot_shows_its_image(reader):
    seen, ids = reader
    assert len(seen["linked"]) == 1 and seen["linked"][0] in ids
    assert seen["linked_count"] == f"1 of {IMAGES} test images shown: {seen['linked'][0]}."
    assert seen["saves"] == 6  # SVG, PNG and CSV of two plots


def test_the_viewer_has_layers_keys_and_an_opacity(reader):
    seen, ids = reader
    assert seen["opened"] == [True, ids[-2]] and seen["previous"] == ids[-1]
    assert seen["off"] == [[True, False], [1, 0]] and seen["on"] == [1, 0.3]


def test_a_picture_is_neither_mirrored_nor_turned(reader):
    seen, _ = reader
    assert seen["turned"] == [False, 0, pytest.approx(1)]


def test_two_runs_have_one_zoom(reader):
    seen, _ = reader
    assert seen["zoomed"] and seen["moved"]
    assert seen["zooms"][0] == pytest.approx(seen["zooms"][1], rel=1e-3)
    assert seen["centres"][0] == pytest.approx(seen["centres"][1], abs=1e-3)


def test_the_numbers_beside_a_picture_say_whose_they_are(reader):
    seen, _ = reader
    assert seen["both"] == [f"one: Score {IMAGES - 1}", "other: Score −1", "pixels 64"]
    assert seen["other"] == ["other: Score −1", "pixels 64"]


def test_the_layers_say_what_their_colours_mean(reader):
    seen, _ = reader
    assert seen["legend"] == [
        ["1 Image", []],
        ["2 Mask found <ignored>", ["rgb(0, 114, 178)", "rgb(128, 128, 128)"]],
    ]


def test_of_a_large_image_tiles_show_every_pixel(reader):
    seen, _ = reader
    width, fitted = seen["tiles"]
    assert width == 4100 and fitted == pytest.approx(1, abs=0.01)
    assert {"0-0-0.jpg", "0-0-0.png"} & set(seen["loaded"])
    assert {name[-4:] for name in seen["loaded"] if name.startswith("3-")} == {".jpg", ".png"}


def test_closing_the_viewer_goes_back_to_what_opened_it(reader):
    seen, _ = reader
    assert seen["back"] == "look"


def test_closing_the_viewer_goes_back_to_the_image(reader):
    seen, ids = reader
    assert seen["closed"] == [False, f"Open {ids[-1]}"]
