"""Names of files and settings that a terminal, a spreadsheet or a program would obey."""

import csv
import io
import logging
import time

import pandas as pd
import pytest
import yaml
from bounded import refusal
from image_bytes import png
from schema import SCHEMA
from workspace import ROOT

from maskmake.data.file_versions import version_of, write_scan
from maskmake.data.folders import list_images
from maskmake.data.images import open_image_files
from maskmake.data.pairing import Pair, group_of
from maskmake.runtime.errors import UserError, printable
from maskmake.runtime.files import read_csv, write_csv
from maskmake.runtime.log import PrintableFormatter
from maskmake.snakefile.config import resolve

FORMULAS = ["=cmd|' !A0", "@SUM(1+1)", "-rf", "+1", "'=1", "''-2", "\tx", "\r=1"]
NAMES = [*FORMULAS, "'quoted", "new\rline", "line\nbreak", 'q"q,', "007", "NA", " a", "é", "$x$"]


@pytest.mark.parametrize("names", [NAMES, [name for name in NAMES if "\r" not in name]])
def test_every_name_comes_back_from_a_table(names, tmp_path):
    table = pd.DataFrame({"id": names, "image": names, "number": -1.5})
    write_csv(tmp_path / "a.csv", table)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "a.csv"), table, check_dtype=False)


def test_no_cell_of_a_table_is_a_formula(tmp_path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"id": FORMULAS, "score": -0.5}))
    rows = list(csv.reader(io.StringIO((tmp_path / "a.csv").read_text(), newline="")))
    assert len(rows) == len(FORMULAS) + 1
    assert all(row[0].startswith("'") and row[1] == "-0.5" for row in rows[1:])


def test_a_log_has_no_commands_for_a_terminal():
    line = logging.LogRecord(
        "x", 20, "", 0, "%s: 2 µm\n\tnext", ("\x1b[31mred\u202egnp\x9b2J",), None
    )
    assert PrintableFormatter("%(message)s").format(line) == (
        "\\x1b[31mred\\u202egnp\\x9b2J: 2 µm\n\tnext"
    )
    assert printable("caf\udce9") == "caf\\udce9"


def test_an_expression_that_takes_for_ever_is_named():
    pair = Pair("a" * 40, "", ROOT, ROOT)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"^dataset\.groups: '\^\(a\+\)\+\$x' takes more than 1 s"):
        group_of(pair, "^(a+)+$x", [])
    assert time.monotonic() - start < 2
    assert group_of(pair, "^(a)", []) == "a"


@pytest.mark.parametrize("stem", ["caf\udce9", "a\x1b[31mred", "a\rb", "a" * 247, "é" * 124])
def test_a_name_that_cannot_be_used_is_refused_in_printable_words(stem, tmp_path):
    path = tmp_path / f"{stem}.png"
    path.write_bytes(png())
    assert list_images(tmp_path) == [path]
    write_scan([str(path)], tmp_path / "record.csv")
    assert version_of([str(path)], tmp_path / "record.csv")
    with pytest.raises(UserError, match="rename") as error:
        open_image_files(path)
    str(error.value).encode()
    assert str(error.value).isprintable()


# --- configurations -------------------------------------------------------------------------------

TWO_PATHS = {"images": "a", "labels": "b"}
LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


def config(**sections):
    return {"dataset": TWO_PATHS, **sections}


@pytest.mark.parametrize("kind", ["laughs", "endless"])
def test_lists_without_end_are_named(kind):
    """The list is made here, since pytest would write it out."""
    value: list = []
    value.append(value)
    if kind == "laughs":
        value = yaml.safe_load(LAUGHS)["a11"]
    sentence = refusal(resolve, config(split={"test": value}), SCHEMA)
    assert sentence.startswith("The configuration has more than 100000 entries or 20 levels;")


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"dataset": {"synthesis": {"images": 10**9}}}, "synthesis.images: found 1000000000; exp"),
        ({"dataset": {"synthesis": {"size": 10**6}}}, "synthesis.size: found 1000000; expected"),
        ({"split": {"folds": 100_000}}, "split.folds: found 100000; expected a whole"),
        ({"train": {"seed": 10**4000}}, "has a number of more than 100 digits"),
        ({"runs": {f"r{i}": {} for i in range(3000)}}, "runs: found 3000 entries; expected at"),
        ({"dataset": {**TWO_PATHS, "name": "n" * 300}}, "dataset.name: found 300 characters"),
        (
            {"dataset": {**TWO_PATHS, "name": "tiny\n"}},
            "dataset.name: found the text 'tiny\\n'; expected letters",
        ),
        ({"runs": {"a\n": {}}}, "runs: found the name 'a"),
        ({"runs": {"n" * 300: {}}}, "runs: found 300 characters; expected at most 100"),
        ({"dataset": {**TWO_PATHS, "groups": f"(a{{{10**30}}})"}}, "is not a regular expression"),
    ],
)
def test_a_huge_setting_is_named(sections, sentence):
    assert sentence in refusal(resolve, config(**sections), SCHEMA)
