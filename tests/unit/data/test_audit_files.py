"""The error that refuses a data set, and the page and the tables of the audit."""

import re
from io import StringIO
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from auditing import RESULTS, SETTINGS, SIDE, audit, grey, half, save

from maskmake.data.audit import (
    Audit,
    audit_dataset,
    fault_error,
    validate_dataset,
    write_audit,
    write_page,
)
from maskmake.data.audit_page import LISTED
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, read_json, sha256
from maskmake.runtime.log import logger

PAGES = Path(__file__).parents[3] / "workflow/scripts/maskmake/pages/templates"
KINDS = ("svg", "csv")


def refused(count: int) -> list[str]:
    """The lines that refuse a data set with so many faults."""
    faults = [f"file {number}: wrong." for number in range(count)]
    error = fault_error(Audit(faults, [], pd.DataFrame(index=range(60))), "audit.html")
    assert isinstance(error, UserError)
    return str(error).splitlines()


def test_few_faults_are_all_in_the_error_and_the_last_line_is_one():
    assert refused(1) == [
        "60 pairs, 1 fault, no warning; audit.html shows it:",
        "  file 0: wrong.",
    ]
    assert refused(2) == [
        "60 pairs, 2 faults, no warning; audit.html shows all of them:",
        "  file 0: wrong.",
        "  file 1: wrong.",
    ]


def test_the_page_lists_all_files_of_a_fault_that_they_have_alike(four_pairs):
    for name in ("1", "2"):
        Path(f"images/{name}.png").write_bytes(b"no image")
    result = audit()
    (fault,) = [text for text in result.faults if "cannot be decoded" in text]
    assert fault.startswith("images/1.png and 1 more file: ")
    write_page(result, "audit.html")
    assert "images/1.png, images/2.png" in Path("audit.html").read_text(encoding="utf-8")


def third_values():
    for name in ("1", "3"):
        label = half()
        label[0, :2] = 7
        save(Path(f"labels/{name}.png"), label)
    return "labels/1.png and 1 more label have the value 7", "labels/1.png, labels/3.png"


def empty_labels():
    for name in ("0", "2"):
        save(Path(f"labels/{name}.png"), half(0))
    return "labels/0.png and 1 more label: every pixel is background", "labels/0.png, labels/2.png"


def constant_images():
    for name in ("1", "2"):
        save(Path(f"images/{name}.png"), np.full((SIDE, SIDE), 9, np.uint8))
    return "images/1.png and 1 more image: every pixel has one value", "images/1.png, images/2.png"


def dead_links():
    names = [f"images/{number}.png" for number in range(5, 10)]
    for name in names:
        Path(name).symlink_to("nowhere")
    return "images/7.png (to nowhere) and 2 more", ", ".join(names)


@pytest.mark.parametrize("plant", [third_values, empty_labels, constant_images, dead_links])
def test_the_page_lists_all_files_where_a_sentence_names_the_first(
    plant, four_pairs, caplog, monkeypatch
):
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level("INFO", "maskmake")
    named, files = plant()
    with pytest.raises(UserError) as error:
        validate_dataset({**SETTINGS, "empty_labels": "refuse"}, "record.csv", *RESULTS)
    lines = str(error.value).splitlines()
    assert any(named in line for line in lines)
    told = "Where only the first of several files is named, audit.html lists all."
    assert told in caplog.messages
    assert f"</summary>{files}</details>" in Path("audit.html").read_text(encoding="utf-8")


def test_a_label_of_several_files_is_named_by_its_first(four_pairs):
    for number in range(4):
        Path(f"labels/{number}.png").unlink()
        for name in "ab":
            save(Path(f"labels/{number}/{name}.png"), half(255 if number else 0))
    (fault,) = audit_dataset("images", "labels/*/*.png").faults
    assert fault.startswith("labels/0/a.png and 1 more: every pixel is background")


def test_of_many_faults_twenty_are_printed_and_the_page_is_named():
    head, *faults = refused(57)
    assert head.endswith("audit.html shows all of them, and these are the first 20:")
    assert faults == [f"  file {number}: wrong." for number in range(20)]


def test_of_more_faults_than_the_page_lists_its_number_is_said():
    head, *_ = refused(LISTED + 1)
    assert head.endswith(
        f"audit.html shows the first {LISTED} of them, and these are the first 20:"
    )


def test_files_of_the_audit(four_pairs):
    save(Path("images/<b>.png"), grey(8))
    save(Path("labels/<b>.png"), half())
    save(Path("images/0.png"), grey(0, side=40))
    result = audit()
    write_audit(result, "out/audit.json", "out/audit.html", "out/manifest.csv")
    summary = read_json("out/audit.json")
    assert summary == {
        "images": 5,
        "manifest": sha256("out/manifest.csv"),
        "faults": result.faults,
        "warnings": [],
        "height": {"minimum": 32, "median": 32, "maximum": 40},
        "width": {"minimum": 32, "median": 32, "maximum": 40},
        "dtypes": {"uint8": 5},
        "channels": {"1": 5},
        "label_foreground": "255",
        "foreground": {"minimum": 0.5, "mean": 0.5, "maximum": 0.5},
    }
    assert list(read_csv("out/manifest.csv")["id"]) == list(result.manifest["id"])
    page = Path("out/audit.html").read_text(encoding="utf-8")
    assert "labels/0.png</h3>" in page
    assert "<dt>found</dt><dd>32 x 32 pixels" in page
    assert "images/&lt;b&gt;.png" in page
    assert "<b>" not in page
    style = (PAGES / "style.html.j2").read_text(encoding="utf-8")
    assert style.strip() in page  # it looks like the other pages


def test_files_of_an_audit_that_read_nothing(four_pairs):
    Path("images").rename("elsewhere")
    result = audit()
    write_audit(result, "out/audit.json", "out/audit.html", "out/manifest.csv")
    summary = read_json("out/audit.json")
    assert (summary["images"], summary["label_foreground"]) == (0, None)
    assert summary["height"]["minimum"] is None
    assert "no such folder" in Path("out/audit.html").read_text(encoding="utf-8")


def test_each_histogram_can_be_saved_as_a_drawing_and_with_its_data(four_pairs):
    save(Path("labels/3.png"), half() * 0)
    result = audit(empty_labels="accept")
    write_page(result, "audit.html")
    section = Path("audit.html").read_text(encoding="utf-8").split('<section id="histograms">')[1]
    saves = re.findall(r'<a href="data:([^,]+),([^"]+)" download="([\w.]+)"', section)
    names = [f"{name}.{kind}" for name in ("foreground", "size", "brightness") for kind in KINDS]
    assert [name for _, _, name in saves] == names
    files = {name: (kind, unquote(text)) for kind, text, name in saves}
    kind, text = files["foreground.csv"]
    table = pd.read_csv(StringIO(text))
    assert kind == "text/csv" and list(table) == ["from", "to", "pairs"]
    assert table["from"].tolist() == list(range(0, 100, 5)) and table["to"].iloc[-1] == 100
    assert table["pairs"].sum() == len(result.manifest) == 4 and table["pairs"][0] == 1
    kind, text = files["foreground.svg"]
    assert kind == "image/svg+xml"
    drawn = ElementTree.fromstring(text)
    bars = [bar[0].text for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert sorted(bars) == ["1", "3"]


def test_the_page_is_cut_at_500_rows(four_pairs):
    manifest = audit().manifest
    many = manifest.loc[np.arange(2000) % len(manifest)]
    write_audit(Audit([], [], many), "audit.json", "audit.html", "manifest.csv")
    page = Path("audit.html").read_text(encoding="utf-8")
    assert page.split('<section id="images">')[1].count('<tr><th scope="row">') == 500
    assert "The first 500 of 2000" in page
