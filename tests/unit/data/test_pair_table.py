"""A table of pairs: what it names is read, and each fault is one sentence with its line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmake.data.audit import audit_dataset, validate_dataset
from maskmake.data.file_versions import read_record
from maskmake.data.label_names import split_files
from maskmake.data.pair_table import list_dataset_files, read_pairs
from maskmake.data.starter import look_at


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Images a/x.png to d/x.png and their labels, in the folder ``set`` of the working folder."""
    monkeypatch.chdir(tmp_path)
    label = np.zeros((32, 32), np.uint8)
    label[8:24, 8:24] = 255
    for number, name in enumerate("abcd"):
        for path, pixels in (
            (f"set/{name}/x.png", label // 2 + number),
            (f"set/m/{name}.png", label),
        ):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def write(text: str, encoding: str = "utf-8") -> str:
    Path("set/pairs.csv").write_bytes(text.encode(encoding))
    return "set/pairs.csv"


def audit(table: str):
    return audit_dataset("", "", 0.5, 0.01, "refuse", None, table=table)


FOUR = "".join(f"{name}/x.png,m/{name}.png\n" for name in "abcd")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_paths_are_relative_to_the_table(separator, encoding, end):
    text = f"image,label\n{FOUR}".replace(",", separator).replace("\n", end)
    result = audit(write(text, encoding))
    assert (result.faults, result.warnings) == ([], [])
    table = result.manifest
    assert list(table["id"]) == list(table["group"]) == ["a", "b", "c", "d"]
    assert list(table["image"]) == [f"set/{name}/x.png" for name in "abcd"]
    assert list(table["label"]) == [f"set/m/{name}.png" for name in "abcd"]


def test_groups_and_roles():
    rows = "c/x.png,m/c.png,p2,val\na/x.png,m/a.png,p1,train\n\nb/x.png,m/b.png,p1,\n"
    table = audit(write(f"Image, Label, group, role\n{rows}")).manifest
    assert list(table["id"]) == ["a", "b", "c"]
    assert list(table["group"]) == ["p1", "p1", "p2"]
    assert list(table["role"]) == ["train", "", "validation"]


def test_a_label_may_be_a_folder_or_a_pattern_of_objects():
    rows = "a/x.png,m\nb/x.png,m/[ab].png\nc/x.png,m/c.png\n"
    faults: list[str] = []
    found = read_pairs(write(f"image,label\n{rows}"), faults, [])
    assert faults == []
    assert [len(row.labels) for row in found] == [4, 2, 1]
    labels = audit("set/pairs.csv").manifest["label"]
    assert [len(split_files(text)) for text in labels] == [4, 2, 1]


def test_every_fault_has_its_line():
    rows = [
        "a/x.png,m/a.png,p1,train",
        "gone.png,m/b.png,p1,train",
        "b/x.png,,p1,train",
        "a/x.png,m/a.png,,holdout",
        "b,m/b.txt,p,",
    ]
    Path("set/m/b.txt").write_text("")
    faults: list[str] = []
    read_pairs(write("image,label,group,role\n" + "\n".join(rows)), faults, [])
    assert faults == [
        "set/pairs.csv, line 3: no file set/gone.png, which is the image; expected a path relative "
        "to set; fix the path or remove the line.",
        "set/pairs.csv, line 4: no label; expected a path, relative to set; add it or remove the "
        "line.",
        "set/pairs.csv, line 5: no group, although the table has this column; expected a name; "
        "add it.",
        "set/pairs.csv, line 5: role 'holdout'; expected train, validation, test or nothing; fix "
        "it.",
        "set/pairs.csv, line 5: the image set/a/x.png stands in line 2 too; expected each image "
        "once; remove one of the lines.",
        "set/pairs.csv, line 6: the image set/b is a folder; expected a file; fix the path.",
        "set/pairs.csv, line 6: the label set/m/b.txt has the suffix '.txt'; expected an image "
        "file; fix the path or convert the file.",
    ]


@pytest.mark.parametrize(
    ("text", "encoding", "sentence"),
    [
        (
            "",
            "utf-8",
            "line 1: no column image (found: nothing); expected the columns image, label",
        ),
        ("file,mask\na,b\n", "utf-8", "line 1: no column image (found: file, mask);"),
        ("image,label,label\n", "utf-8", "line 1: the column label twice"),
        ("image,label\n", "utf-8", "pairs.csv: no row below the header"),
        ("image,label\na,b,c\n", "utf-8", "line 2: 3 cells, but 2 columns; expected as many;"),
        ('image,label\n"a,b\n', "utf-8", "line 2: no row of a table ("),
        ("image,label\nä/x.png,b\n", "cp1252", "line 2: no UTF-8; expected UTF-8;"),
        ("image,label\n", "utf-16", "line 1: UTF-16; expected UTF-8;"),
    ],
)
def test_what_is_no_table(text, encoding, sentence):
    (fault,) = audit(write(text, encoding)).faults
    assert sentence in fault
    assert list_dataset_files("", "", "set/pairs.csv") == ([], [])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_line_for_excel_names_the_separator(separator):
    text = f"sep={separator}\r\nimage{separator}label\r\n{FOUR.replace(',', separator)}"
    assert len(audit(write(text, "utf-8-sig")).manifest) == 4
    assert look_at("set").settings == {"table": "set/pairs.csv"}
    (fault, _) = audit(write(f"{text}gone.png{separator}m/gone.png\n")).faults
    assert fault.startswith("set/pairs.csv, line 7: no file set/gone.png")


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("m\\a.png", "; write / between folders, not \\."),
        ("D:\\m\\a.png", "; write it as Linux does, in WSL as wslpath prints it."),
    ],
)
def test_a_path_as_windows_writes_it(path, advice):
    (fault,) = audit(write(f"image,label\n{FOUR}{path},m/b.png\n")).faults[:1]
    assert fault.startswith(f"set/pairs.csv, line 6: no file set/{path}, which is the image; ")
    assert fault.endswith(f"; fix the path or remove the line{advice}")
    (fault,) = audit("set\\pairs.csv").faults
    assert fault.endswith("; write / between folders, not \\.")


def test_a_table_that_is_not_there():
    (fault,) = audit("set/other.csv").faults
    assert fault.startswith(
        "set/other.csv: cannot be read (No such file or directory); expected a table of images and "
        "labels; fix dataset.table, which is relative to "
    )


def test_other_columns_are_a_warning():
    rows = FOUR.replace(".png\n", ".png,3\n")
    result = audit(write(f"image,label,age\n{rows}"))
    assert result.faults == []
    assert result.warnings == [
        "set/pairs.csv: the columns age are left out; only image, label, group, role are read."
    ]


def test_one_label_of_two_images_is_a_warning():
    rows = FOUR.replace("m/b.png", "m/a.png")
    result = audit(write(f"image,label\n{rows}"))
    assert result.faults == []
    assert result.warnings == [
        "set/pairs.csv: 1 labels stand in several lines, such as set/m/a.png in the lines 2 and 3; "
        "each is taken for the label of several images."
    ]


def test_a_link_to_nothing():
    Path("set/m/d.png").unlink()
    Path("set/m/d.png").symlink_to("/disk/gone.png")
    (fault,) = audit(write(f"image,label\n{FOUR}")).faults
    assert fault.startswith("set/pairs.csv: a link leads nowhere: set/m/d.png (to /disk/gone.png);")


def test_the_table_itself_is_recorded():
    settings = {
        "images": "", "labels": "", "table": write(f"image,label\n{FOUR}"), "threshold": 0.5,
        "tolerance": 0.01, "empty_labels": "refuse", "groups": None,
    }  # fmt: skip
    out = ("audit.json", "audit.html", "manifest.csv")
    validate_dataset(settings, "record.csv", *out)
    record = read_record("record.csv")
    assert next(iter(record)) == "set/pairs.csv"
    assert len(record) == 9
    assert all(content.sha256 for content in record.values())
