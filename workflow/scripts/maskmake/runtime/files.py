"""Reading and writing files. A write is atomic: a reader sees the old file or the whole new one."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from maskmake.runtime.errors import UserError


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


def read_json(path: str | Path):
    """Read a JSON document.

    Raises:
        UserError: the file is not a whole JSON document.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not UTF-8
        raise UserError(
            f"{path}: not a whole JSON document ({error}); copy it again from where it was made, "
            "or remove it and run the step that makes it."
        ) from None


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its row index."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table; ids, groups and roles stay text, so that ``007`` and ``NA`` are kept."""
    texts = dict.fromkeys(("id", "group", "role", "run"), str)
    table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in texts if name in table})


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) ``uint8`` picture; bool becomes 0/255."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


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
