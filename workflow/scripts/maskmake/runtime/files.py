"""Reading and writing files. A write is atomic: a reader sees the old file or the whole new one."""

import csv
import errno
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from maskmake.runtime.documents import read_json as read_json  # for those that write JSON as well
from maskmake.runtime.errors import UserError, first_line

# The beginning of a text that spreadsheets calculate, with the apostrophes that are added to it.
FORMULA = re.compile(r"'*[=+\-@\t\r]")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is renamed to it, on failure removed.

    Its name is always the same, so that what a killed process left behind is overwritten. A path
    must therefore be written by one process at a time, which Snakemake ensures.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # the user knows the file by its own name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder beside ``path``; on success it takes its place, on failure it goes."""
    path = Path(path)
    temporary = path.with_name(f".partial-{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, so that a rename outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some network file systems cannot
            raise
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text; bytes of a file name that are no UTF-8 are written as escapes."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write the content of a file."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, value) -> None:
    """Write a JSON document; NaN is written as null, since JSON has no NaN."""
    write_text(path, json.dumps(_json_ready(value), indent=2, allow_nan=False) + "\n")


def _json_ready(value):
    if isinstance(value, dict):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    if isinstance(value, np.ndarray):
        return _json_ready(value.tolist())
    if isinstance(value, np.generic):
        return _json_ready(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its row index.

    A text that a spreadsheet would take for a formula, such as a file name that begins with ``=``,
    has an apostrophe before it in the file; ``read_csv`` takes it away again.
    """
    table = without_formulas(table)
    # Python before 3.13 writes a carriage return as it is, which would end the row.
    with_return = any(table[name].map(_has_return).any() for name in _text_columns(table))
    quoting = csv.QUOTE_NONNUMERIC if with_return else csv.QUOTE_MINIMAL
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, quoting=quoting)


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before each text that a spreadsheet would calculate."""
    return table.assign(**{name: table[name].map(_mark_formula) for name in _text_columns(table)})


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table; ids, groups and roles stay text, so that ``007`` and ``NA`` are kept.

    Raises:
        UserError: the file is no table, or its last row is cut off.
    """
    texts = dict.fromkeys(("id", "group", "role", "run", "other"), str)
    content = Path(path).read_bytes()
    try:
        if not content.endswith(b"\n"):
            raise ValueError("its last row has no end")
        table = pd.read_csv(io.BytesIO(content), dtype=texts, keep_default_na=False, na_values=[""])
    except ValueError as error:  # of pandas and of UTF-8 too
        raise UserError(
            f"{path}: not a whole table ({str(error).strip()}); copy it again from where it was "
            "made, or remove it and run the step that makes it."
        ) from None
    table = table.fillna({name: "" for name in texts if name in table})
    return table.assign(**{name: table[name].map(_without_mark) for name in _text_columns(table)})


def _text_columns(table: pd.DataFrame) -> list[str]:
    return [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]


def _mark_formula(cell):
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def _without_mark(cell):
    marked = isinstance(cell, str) and cell.startswith("'") and FORMULA.match(cell)
    return cell[1:] if marked else cell


def _has_return(cell) -> bool:
    return isinstance(cell, str) and "\r" in cell


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) ``uint8`` picture; bool becomes 0/255."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def read_array(path: str | Path, mapped: bool = False) -> np.ndarray:
    """Read a ``.npy`` array, or map it read-only.

    Raises:
        UserError: the file is not a whole array.
    """
    try:
        if mapped:
            return np.lib.format.open_memmap(path, mode="r")
        with Path(path).open("rb") as handle:
            return np.lib.format.read_array(handle, allow_pickle=False)
    except (EOFError, SyntaxError, TypeError, UnicodeError, ValueError) as error:
        raise UserError(
            f"{path}: not a whole array ({first_line(error)}); copy it again from where "
            "it was made, or remove it and run the step that makes it."
        ) from None


@contextmanager
def writable_array(path: str | Path, shape: tuple[int, ...], dtype) -> Iterator[np.ndarray]:
    """Give a memory-mapped ``.npy`` array to fill; the file appears when it is complete."""
    with atomic(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):  # otherwise a full disk kills the process
            with temporary.open("rb+") as handle:
                os.posix_fallocate(handle.fileno(), 0, temporary.stat().st_size)
        yield array
        array.flush()


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
