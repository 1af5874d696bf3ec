"""The report: one page that holds everything, and its pictures."""

import base64
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from planted import THREE, VARIANTS, make_results
from rendering import FIGURES, Page, render

from maskmake.data.images import read_pixels
from maskmake.pages.scripts import SCRIPTS
from maskmake.report import figures, pictures
from maskmake.runtime.files import read_csv, write_csv

pytestmark = pytest.mark.long


class Rendered(NamedTuple):
    """A results folder with its report."""

    folder: Path
    settings: dict
    text: str
    page: Page


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS)
def rendered(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    settings = make_results(folder, **request.param)
    return Rendered(folder, settings, *render(folder, settings))


def test_the_page_refers_to_nothing_outside_itself(rendered):
    page = rendered.page
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    inside = [link for link in page.links if link.startswith("#")]
    assert inside and all(link[1:] in page.ids for link in inside)
    assert all(link.startswith("data:") for link in set(page.links) - set(inside))
    assert page.tags["link"] == page.tags["iframe"] == 0
    # Scripts are in the page: no element names the address of one.
    assert page.tags["script"] == len(SCRIPTS) + 3
    assert "url(http" not in rendered.text and "@import" not in rendered.text


def test_every_picture_can_be_decoded_and_is_small_and_described(rendered):
    for source in rendered.page.sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            picture.load()
            assert max(picture.size) <= pictures.PICTURE_SIDE
    assert all(rendered.page.alternatives)


def test_the_page_names_every_run_and_the_threshold(rendered):
    for run in rendered.settings["runs"]:
        assert f'<th scope="col" class="num">{run}</th>' in rendered.text
        assert f"{run}: threshold 0.625" in rendered.page.text
    assert "Objects smaller than 16 pixels are removed." in rendered.page.text


def test_headings_are_nested_and_ids_unique(rendered):
    page = rendered.page
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(
        deeper - level <= 1 for level, deeper in zip(page.headings, page.headings[1:], strict=False)
    )
    sections = [name for name in page.ids if name.isalpha()]
    assert len(sections) == len(set(sections))


def test_a_reader_who_hears_the_page_can_tell_its_landmarks_apart(rendered):
    landmarks = rendered.page.landmarks
    assert len(landmarks) > 8
    assert [landmark for landmark, count in landmarks.items() if count > 1] == []


def test_an_undefined_score_is_a_dash_and_never_nan(rendered):
    assert '<td class="num">–</td>' in rendered.text
    assert "nan" not in rendered.page.text.lower().split() and "None" not in rendered.page.text


def test_planned_settings_of_other_sections_are_shown_with_their_reason(rendered):
    rows = ["predict.tile</th><td>64</td><td>the largest image, 48 pixels long, is one tile"]
    rows += ["decide.sizes</th><td>9, 30</td><td>set in the configuration"]
    assert all(row in rendered.text for row in rows)
    assert "is not shown" not in rendered.text


def test_text_of_the_user_is_escaped(rendered):
    text = rendered.text
    assert "tiny &amp; &lt;odd&gt;" in text and "&lt;nearly&gt; black" in text
    assert "<odd>" not in text and "<nearly>" not in text
    assert "Blocks &amp; more." in text and "All &lt;b&gt; are test images" in text
    assert text.count("Labels make &lt;i&gt; patches.") == 1  # both runs say it


@pytest.mark.parametrize(
    "rendered",
    [
        pytest.param(changes, id=name, marks=pytest.mark.slow if changes["runs"] != THREE else ())
        for name, changes in VARIANTS.items()
    ],
    indirect=True,
    scope="module",
)
def test_the_same_results_give_the_same_bytes(rendered):
    folder = rendered.folder
    files = [folder / "report.html", *(folder / "report" / name for name in FIGURES)]
    first = [path.read_bytes() for path in files]
    render(folder, rendered.settings)
    assert [path.read_bytes() for path in files] == first


def test_the_figures_are_written_as_files(rendered):
    figures_folder = rendered.folder / "report"
    assert {path.name for path in figures_folder.iterdir()} == FIGURES | {"images"}
    for name in ("data.png", "examples.png"):
        assert read_pixels(figures_folder / name).ndim == 3


def saved(text, name):
    """The contents of a file that a page lets its reader save."""
    address = re.search(rf'href="data:[a-z+/]+;base64,([^"]+)" download="[^"]*{name}"', text)[1]
    return base64.b64decode(address).decode()


def test_the_data_of_the_threshold_figure_holds_both_its_curves(rendered):
    run = next(iter(rendered.settings["runs"]))
    table = pd.read_csv(io.StringIO(saved(rendered.text, f"{run}-threshold.csv")))
    validation, test = (table[table["images"] == role] for role in ("validation", "test"))
    assert len(validation) + len(test) == len(table)
    assert validation["threshold"].tolist() == [0.25, 0.5, 0.625, 0.75]
    np.testing.assert_array_equal(validation["objective"], [0.7, 0.8, 0.85, np.nan])
    assert validation[["precision", "recall"]].isna().all(axis=None)
    curve = figures.precision_recall(read_csv(rendered.folder / "runs" / run / "reliability.csv"))
    columns = ["threshold", "precision", "recall"]
    np.testing.assert_allclose(test[columns], curve[columns], rtol=1e-5)


def test_why_there_are_specks_is_said_and_shown(rendered):
    section = rendered.text.split('<section id="specks">')[1].split("</section>")[0]
    assert (
        "A size problem: 5 of the 6 false components are small and too sure for a threshold "
        "(objects of mean probability 0.97 and holes of mean probability 0.03; median 3 pixels, "
        "largest 9): the learned clean-up (objects below 16, holes below 0 pixels) removes 5 of "
        "them, and 1 true component."
    ) in section
    assert "Beside it, 1 of the 6 false components" in section
    assert "1 have 256 pixels or more" in section and "in image &lt;b&gt; at row 30" in section
    assert section.count("<svg") == 1
    saves = re.findall(r'<a href="data:([a-z+/]+);base64,[^"]+" download="([^"]+)"', section)
    run = next(iter(rendered.settings["runs"]))
    kinds = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv"}
    assert saves == [(kind, f"{run}-specks.{suffix}") for suffix, kind in kinds.items()]
    assert saved(section, "specks.csv").splitlines() == [
        "kind,size,mean_probability,false,cause",
        "object,3,0.97,True,size",
        "hole,900,0.0123,False,",
    ]
    rows = Page(section).text.split("model or label")[1]
    assert "".join(rows.split()) == "1to3" + "21030" + "4ormore" + "21021"
    assert (
        "The clean-up pays: so it does. At this threshold it removes 2 false objects"
        in rendered.page.text
    )


def test_a_training_that_diverged_is_still_reported(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/fold0/history.csv"
    write_csv(path, pd.read_csv(path).assign(loss=np.nan, val_loss=np.nan))
    _, page = render(tmp_path, settings)
    assert "unet: threshold 0.625" in page.text
