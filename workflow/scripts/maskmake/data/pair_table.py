"""The table ``dataset.table``: which label belongs to which image.

Read by the Snakefile, so only the standard library.
"""

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from maskmake.data.folders import is_image, list_images, natural_key, role_of
from maskmake.data.layouts import (
    is_pattern,
    list_both,
    list_pattern,
    name_paths,
    path_advice,
)
from maskmake.runtime.errors import UserError

NEEDED = ("image", "label")
COLUMNS = (*NEEDED, "group", "role")
SEPARATORS = ",;\t"  # that spreadsheets write, whichever the language of the computer
TOLD_SEPARATOR = re.compile(rf"sep=([{SEPARATORS}])\r?\n")  # a first line for Excel


class Row(NamedTuple):
    """A pair in a table.

    Attributes:
        line: of the file, counted from 1.
        id: of the image.
        image: path.
        labels: paths; several if each has one object of the image.
        group: which images belong together; empty if the table has no such column.
        role: train, validation or test; empty for none.
    """

    line: int
    id: str
    image: Path
    labels: list[Path]
    group: str
    role: str


def read_pairs(path: str | Path, faults: list[str], warnings: list[str]) -> list[Row]:
    """Read a table of pairs, in natural order of the ids.

    Paths in it are relative to the folder of the table. A label may also be a folder or a pattern
    of files that have one object each.

    Args:
        path: of a file with a header and the columns image, label and, if wanted, group and role;
            separated by commas, semicolons or tabs.
        faults, warnings: to which one sentence for each is added, with its line.
    """
    try:
        header, cells = _read(Path(path))
    except UserError as error:
        faults.append(str(error))
        return []
    left_out = [name for name in header if name not in COLUMNS]
    if left_out:
        warnings.append(
            f"{path}: the columns {', '.join(left_out)} are left out; only {', '.join(COLUMNS)} "
            "are read."
        )
    rows, folder = [], Path(path).parent
    first: dict[Path, int] = {}
    for line, row in cells:
        here: list[str] = []
        image, labels = folder / row.get("image", ""), row.get("label", "")
        here += _cell_faults(row, header, folder)
        earlier = first.setdefault(Path(os.path.normpath(image)), line)
        if earlier != line and row.get("image"):
            here.append(
                f"the image {image} stands in line {earlier} too; expected each image once; remove "
                "one of the lines"
            )
        faults += [f"{path}, line {line}: {fault}." for fault in here]
        if not here:
            files = _label_files(folder / labels)
            group, role = row.get("group", ""), role_of(row.get("role", ""))
            rows.append(Row(line, "", image, files, group, role))
    warnings += _shared_labels(path, rows)
    ids = name_paths([row.image for row in rows])
    named = [row._replace(id=id_) for row, id_ in zip(rows, ids, strict=True)]
    return sorted(named, key=lambda row: natural_key(row.id))


def _shared_labels(path: str | Path, rows: list[Row]) -> Iterator[str]:
    lines: dict[tuple[Path, ...], list[int]] = {}
    for row in rows:
        lines.setdefault(tuple(row.labels), []).append(row.line)
    shared = [(labels[0], found) for labels, found in lines.items() if len(found) > 1]
    if shared:
        label, found = shared[0]
        yield (
            f"{path}: {len(shared)} labels stand in several lines, such as {label} in the lines "
            f"{found[0]} and {found[1]}; each is taken for the label of several images."
        )


def _label_files(label: Path) -> list[Path]:
    if is_pattern(label):
        return list_pattern(label)
    return list_images(label) if label.is_dir() else [label]


def _cell_faults(row: dict[str, str], header: list[str], folder: Path) -> Iterator[str]:
    for name in NEEDED:
        cell = row.get(name, "")
        place = folder / cell
        if not cell:
            yield f"no {name}; expected a path, relative to {folder}; add it or remove the line"
        elif name == "label" and (is_pattern(place) or place.is_dir()):
            if not _label_files(place):
                yield f"no image file in the label {place}; expected one for each object"
        elif place.is_dir():
            yield f"the {name} {place} is a folder; expected a file; fix the path"
        elif not os.path.lexists(place):
            yield (
                f"no file {place}, which is the {name}; expected a path relative to {folder}; fix "
                f"the path or remove the line{path_advice(cell)}"
            )
        elif not is_image(place):
            yield (
                f"the {name} {place} has the suffix '{place.suffix}'; expected an image file; fix "
                "the path or convert the file"
            )
    if "group" in header and not row.get("group"):
        yield "no group, although the table has this column; expected a name; add it"
    role = row.get("role", "")
    if role and not role_of(role):
        yield f"role '{role}'; expected train, validation, test or nothing; fix it"


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Names of the columns, and each row with its line.

    Raises:
        UserError: it is no such table.
    """
    text = _read_text(path)
    if told := TOLD_SEPARATOR.match(text):
        separator, text = told[1], text[told.end() - 1 :]  # the line stays, for the numbers
    else:
        separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        line = 1
        for row in reader:
            rows.append((line, [cell.strip() for cell in row]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: no row of a table ({error}); expected cells between "
            "separators; save the table as CSV again."
        ) from None
    rows = [(line, row) for line, row in rows if any(row)]
    header = [name.lower() for name in rows[0][1]] if rows else []
    missing = [name for name in NEEDED if name not in header]
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if missing or twice:
        found = f"no column {missing[0]}" if missing else f"the column {twice[0]} twice"
        raise UserError(
            f"{path}, line 1: {found} (found: {', '.join(header) or 'nothing'}); expected the "
            "columns image, label and, if wanted, group and role; fix the header."
        )
    if len(rows) == 1:
        raise UserError(f"{path}: no row below the header; expected one for each image.")
    return header, [(line, _named(path, line, header, row)) for line, row in rows[1:]]


def _named(path: Path, line: int, header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) > len(header) and any(row[len(header) :]):
        raise UserError(
            f"{path}, line {line}: {len(row)} cells, but {len(header)} columns; expected as many; "
            "put a path with a separator in it into quotes."
        )
    return dict(zip(header, row, strict=False))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        content = path.read_bytes()
        line = content[: error.start].count(b"\n") + 1
        kind = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "no UTF-8"
        raise UserError(
            f"{path}, line {line}: {kind}; expected UTF-8; save the table as CSV UTF-8."
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); expected a table of images and labels; "
            f"fix dataset.table, which is relative to {Path.cwd()}{path_advice(path)}."
        ) from None


def list_dataset_files(
    images: str, labels: str, table: str | None
) -> tuple[list[Path], list[Path]]:
    """Image files and label files of a data set, as far as a table can be read.

    Args:
        images, labels: folders or patterns; not used with a table.
        table: path.
    """
    if table is None:
        return list_both(images, labels)
    rows = read_pairs(table, [], [])
    return [row.image for row in rows], [file for row in rows for file in row.labels]
