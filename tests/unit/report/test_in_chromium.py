"""Pages in headless Chromium: what a reader does works, and nothing outside is asked for.

Needs the command chromium and the Python package playwright (in an environment of its own, it is
no part of the lock); axe-core is found after `npm install --prefix tests/unit/report axe-core`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from constructed import SOURCES, Constructed, noisy, write_results

from maskmake.data.audit import audit_dataset, write_page
from maskmake.data.synthesis import write_dataset
from maskmake.predict.review_page import write_review_page
from maskmake.report.inputs import ReportOutputs
from maskmake.report.page import write_report
from maskmake.runtime.files import write_png

pytestmark = pytest.mark.long
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("the command chromium is not there", allow_module_level=True)

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
WIDTHS = [390, 1280, 1920]
TEST_IMAGES = 12
# The pictures of the run unet are there half a second after the viewer asked for them.
LATE_LAYERS = """() => {
    const {prototype} = OpenSeadragon.Viewer, {addTiledImage} = prototype;
    window.late = [];
    prototype.addTiledImage = function (options) {
        const {success} = options, layer = {done: false};
        window.addresses = () => this.world._items.map(item => item.source.url);
        if (!options.tileSource.url.includes("unet")) return addTiledImage.call(this, options);
        late.push(layer);
        addTiledImage.call(this, {...options, success: event =>
            setTimeout(() => { success(event); layer.done = true; }, 500)});
    };
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report of two runs, with the pictures of its viewer."""
    folder = tmp_path_factory.mktemp("results")
    made = Constructed({"unet": noisy(2, specks=2), "small": noisy(6)}, test=TEST_IMAGES)
    runs = {name: {"loss": "dice", "label_scale": 1, "patch": "auto"} for name in made.runs}
    settings: dict = {key: {} for key in ("predict", "decide", "compare")}
    settings |= {"dataset": SOURCES | {"name": "<x>", "images": "in"}, "split": {"folds": 1}}
    places = {name: folder / "report" / name for name in ReportOutputs._fields}
    outputs = ReportOutputs(**places | {"page": folder / "report.html"})
    inputs, _ = write_results(folder, made)
    write_report(inputs, list(made.runs), settings | {"runs": runs}, outputs)
    return outputs.page


@pytest.fixture(scope="module")
def audit(tmp_path_factory) -> Path:
    """The audit of six pairs, one of which has a label of nothing."""
    folder = tmp_path_factory.mktemp("audit")
    write_dataset(folder / "images", folder / "labels", 6, 64, seed=1)
    write_png(next((folder / "labels").iterdir()), np.zeros((64, 64), bool))
    audited = audit_dataset(str(folder / "images"), str(folder / "labels"), empty_labels="accept")
    write_page(audited, folder / "audit.html")
    return folder / "audit.html"


@pytest.fixture(scope="module")
def review(tmp_path_factory) -> Path:
    """The masks of three new images."""
    folder = tmp_path_factory.mktemp("masks")
    write_dataset(folder / "new", folder, 3, 64, seed=1)
    rows = [
        {"id": path.stem, "image": str(path), "height": 64, "width": 64, "foreground": 0.5}
        for path in sorted((folder / "new").iterdir())
    ]
    listed = pd.DataFrame(rows).assign(expected_mean_dice=[0.5, 0.8, 0.9], reason=["odd", "", ""])
    validation: dict = {
        "foreground": [0.5] * 2,
        "expected_mean_dice": [0.9, 0.8],
        "mean_dice": [0.8, 0.7],
    }
    page = write_review_page(listed, validation, folder, {}, folder / "review")
    (folder / "review.html").write_text(page, encoding="utf-8")
    return folder / "review.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, request):
    """Open a page at a width; at the end nothing may have gone wrong, or been asked for outside."""
    problems, contexts = [], []

    def note(kind: str):
        return lambda found: problems.append(f"{kind}: {getattr(found, 'text', found)}")

    def outside(found) -> None:
        if not found.url.startswith(("file:", "data:", "blob:")):
            problems.append(f"request: {found.url}")

    def open_page(path: Path, width: int = 1280, missing: bool = False, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        if not missing:
            page.on("console", note("console"))
        page.on("pageerror", note("error"))
        page.on("request", outside)
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True) and page.locator(".plots").count():
            page.wait_for_selector(".vega-actions", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def shown(page) -> list[str]:
    return page.eval_on_selector_all(
        "#rows tr:not([hidden]) th", "cells => cells.map(cell => cell.textContent)"
    )


def first_scores(page) -> list[float]:
    return page.eval_on_selector_all(
        "#rows tr:not([hidden])", "rows => rows.map(row => Number(row.cells[2].textContent))"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_sorts_filters_and_is_a_grid(opened, report, width):
    page = opened(report, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert first_scores(page) == sorted(first_scores(page))
    header = page.locator("th[data-sort='0'] button")
    header.click()
    header.click()
    assert first_scores(page) == sorted(first_scores(page), reverse=True)
    chosen = shown(page)[5]
    page.fill("#search", chosen)
    assert chosen in shown(page) and all(chosen in name for name in shown(page))
    page.click("#reset")
    page.wait_for_function(
        f"document.querySelectorAll('#rows tr:not([hidden])').length == {TEST_IMAGES}"
    )
    middle = sorted(first_scores(page))[6]
    page.fill("#from", str(middle))
    assert first_scores(page) and min(first_scores(page)) >= middle - 5e-4
    page.click("#as-grid")
    assert page.locator("#rows tr:not([hidden]) .score").first.is_visible()
    assert "shown" in page.locator("#count").inner_text()


def test_a_click_on_a_bar_or_a_dot_shows_its_images(opened, report):
    page = opened(report)
    bars = page.locator("[data-plot='0'] .mark-rect path")
    bars.first.click()
    assert len(shown(page)) == bars.first.evaluate("bar => bar.__data__.datum.images") > 0
    page.click("#reset")
    page.wait_for_timeout(50)
    page.locator("[data-plot='1'] .mark-symbol path").first.click(force=True)
    assert len(shown(page)) == 1


def test_the_data_of_a_plot_are_saved_with_its_headings(opened, report):
    page = opened(report)
    saved = []
    for plot in (0, 1):
        with page.expect_download() as download:
            page.evaluate(f"document.querySelectorAll('.vega-actions')[{plot}].lastChild.click()")
        saved.append(Path(download.value.path()).read_text().splitlines())
    assert set(saved[0][0].split(",")) == {"low", "high", "from", "to", "images"}
    heads = saved[1][0].split(",")
    assert heads[0] == "id" and heads[1].startswith("Share of foreground") and len(heads) == 3
    assert len(saved[1]) == TEST_IMAGES + 1


def test_the_viewer_goes_from_a_hidden_image_to_the_shown_ones(opened, report):
    page = opened(report)
    chosen = shown(page)[-1]  # the best one
    page.fill("#search", chosen)
    hidden = page.locator("li.worst a").first
    hidden.click()
    page.keyboard.press("PageUp")
    assert page.locator("#viewer-title").inner_text() == shown(page)[-1]
    page.keyboard.press("Escape")
    hidden.click()
    page.keyboard.press("PageDown")
    assert page.locator("#viewer-title").inner_text() == shown(page)[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_viewer_has_layers_zoom_and_keys(opened, report, width):
    page = opened(report, width)
    page.locator("button.open").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#pane-0 canvas")
    title = page.locator("#viewer-title")
    first = title.inner_text()
    page.keyboard.press("PageDown")
    assert title.inner_text() == shown(page)[1] != first
    page.keyboard.press("PageUp")
    assert title.inner_text() == first
    page.wait_for_timeout(500)

    def picture() -> bytes:
        page.wait_for_timeout(500)
        return page.locator("#pane-0").screenshot()

    before = picture()
    page.keyboard.press("4")
    with_mask = picture()
    assert page.locator("#layers input").nth(3).is_checked() and with_mask != before
    page.locator("#opacity").fill("10")
    assert picture() != with_mask
    page.keyboard.press("4")
    page.locator("#opacity").fill("60")
    fitted = picture()
    page.keyboard.press("+")
    assert picture() != fitted
    page.keyboard.press("0")
    assert page.locator("#viewer-message").inner_text().count("missing") == 0
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert page.evaluate("document.activeElement.className") == "open"


def test_two_runs_are_seen_side_by_side_with_one_zoom(opened, report):
    page = opened(report)
    page.locator("button.open").first.click()
    page.select_option("#run-1", "small")
    page.wait_for_selector("#pane-1 canvas")
    page.wait_for_timeout(800)
    before = page.locator("#pane-1").screenshot()
    page.click("#zoom-in")
    page.wait_for_timeout(800)
    assert page.locator("#pane-1").screenshot() != before


def test_a_layer_that_loads_late_is_not_shown_over_those_of_another_run(opened, report):
    page = opened(report)
    page.evaluate(LATE_LAYERS)
    page.locator("#rows button.open").first.click()
    page.select_option("#run-0", "small")
    page.wait_for_function("() => late.length && late.every(({done}) => done)")
    page.wait_for_function("() => addresses().some(address => address.includes('small'))")
    shown = page.evaluate("() => addresses()")
    assert not any("unet" in address for address in shown), shown


def test_a_page_without_its_folder_says_so_and_shows_thumbnails(opened, report, tmp_path):
    alone = Path(shutil.copy(report, tmp_path))
    page = opened(alone, missing=True)
    page.wait_for_selector("#missing", state="visible")
    page.locator("button.open").first.click()
    page.wait_for_function(
        "document.getElementById('viewer-message').textContent.includes('missing')"
    )


def test_a_button_copies_the_paragraph_for_an_article(opened, report):
    page = opened(report, permissions=["clipboard-read"])
    button = page.locator("#copy-methods")
    button.click()
    assert button.inner_text() == "Copied"
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == page.locator("#methods .copy").inner_text()
    assert copied.startswith("Images were segmented with maskmake")


def test_the_page_can_be_read_without_scripts(opened, report):
    page = opened(report, java_script_enabled=False)
    assert page.locator("#rows tr").count() == TEST_IMAGES
    assert page.locator("#rows img").first.is_visible()
    assert not page.locator("#controls").is_visible()


def test_paper_shows_what_is_folded_and_no_control(opened, report):
    page = opened(report, 718)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0 < page.locator("details").count()
    for control in ("nav", ".controls", ".save"):
        assert not any(each.is_visible() for each in page.locator(control).all())
    assert page.locator(".trained").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["audit", "review"])
def test_the_other_pages_fit_the_window(opened, request, name, width):
    page = opened(request.getfixturevalue(name), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed beside this file")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["report", "audit", "review"])
def test_axe_finds_nothing_serious(opened, request, name, width, scheme):
    page = opened(request.getfixturevalue(name), width, color_scheme=scheme)
    page.add_script_tag(content=AXE.read_text())
    found = page.evaluate("axe.run()")["violations"]
    serious = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]][:3])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert not serious
