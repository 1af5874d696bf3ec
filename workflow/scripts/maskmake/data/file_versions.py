"""Which images and labels have changed since a job last read them. Used by the Snakefile.

Snakemake goes by the time of a file, so a copied data set would count as changed; and 100,000
images as inputs of a rule cost it 17 seconds and half a gigabyte. This module goes by the bytes of
a file. It reads them again only where size or time differ from those in the record.
"""

import contextlib
import csv
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from maskmake.runtime.errors import UserError

KEEP_BYTES = "surrogateescape"  # the name of a file is bytes, which need not be UTF-8


class Content(NamedTuple):
    """A file as it was last seen.

    Attributes:
        size: bytes.
        modified: time of the last change, nanoseconds.
        version: size and time when these bytes were first seen.
        sha256: of the bytes, hexadecimal; empty until a job has read them.
    """

    size: int
    modified: int
    version: str
    sha256: str = ""


def scan(files: Iterable[str], seen: dict[str, Content]) -> dict[str, Content]:
    """What the files hold now: the same version as before where they have the same bytes."""
    return {file: _scan_file(file, seen.get(file)) for file in files}


def _scan_file(file: str, seen: Content | None) -> Content:
    try:
        stat = Path(file).stat()
    except OSError:  # gone, or a link to nothing; the job that reads it says so
        return Content(0, 0, "unreadable")
    if seen and seen.size == stat.st_size:
        if seen.modified == stat.st_mtime_ns:
            return seen
        if seen.sha256 and seen.sha256 == sum_of(file):
            return seen._replace(modified=stat.st_mtime_ns)
    return Content(stat.st_size, stat.st_mtime_ns, f"{stat.st_size}-{stat.st_mtime_ns}")


def sum_of(file: str) -> str:
    """SHA-256 of a file; empty where it cannot be read, as the job that reads it says."""
    if not Path(file).is_file():  # a pipe would wait for its writer
        return ""
    try:
        with Path(file).open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""


def version_of(files: Iterable[str], record: str | Path) -> str:
    """One version of all files, 16 hexadecimal digits; it changes when the bytes of any file do.

    Args:
        files: paths; their order counts.
        record: file that the last job wrote, if there was one. New times of unchanged files are
            written into it, so that their bytes are read only once.

    Raises:
        UserError: the record is damaged.
    """
    seen = read_record(record)
    now = scan(files, seen)
    text = "".join(f"{file}\0{content.version}\n" for file, content in now.items())
    if now != seen and _versions(now) == _versions(seen):
        with contextlib.suppress(OSError):  # then they are read again the next time
            write_record(record, now)
    return hashlib.sha256(text.encode("utf-8", KEEP_BYTES)).hexdigest()[:16]


def write_scan(files: Iterable[str], record: str | Path) -> None:
    """Record what files hold, before a job reads them."""
    contents = scan(files, read_record(record))
    sums = {file: seen._replace(sha256=sum_of(file)) for file, seen in contents.items()}
    write_record(record, sums)


def changes(files: Iterable[str], record: str | Path) -> dict[str, list[str]]:
    """Files that were ``added``, ``removed`` or ``changed`` since the record was written."""
    seen = read_record(record)
    now = scan(files, seen)
    old, new = _versions(seen), _versions(now)
    return {
        "added": [file for file in new if file not in old],
        "removed": [file for file in old if file not in new],
        "changed": [file for file in new if old.get(file, new[file]) != new[file]],
    }


def _versions(contents: dict[str, Content]) -> dict[str, str]:
    return {file: content.version for file, content in contents.items()}


def read_record(record: str | Path) -> dict[str, Content]:
    """Contents by path; none if there is no such file.

    Raises:
        UserError: the record is damaged.
    """
    if not Path(record).exists():
        return {}
    contents: dict[str, Content] = {}
    with Path(record).open(newline="", encoding="utf-8", errors=KEEP_BYTES) as handle:
        rows = csv.reader(handle)
        try:
            for file, size, modified, version, sha256 in rows:
                contents[file] = Content(int(size), int(modified), version, sha256)
        except (ValueError, csv.Error):
            raise UserError(
                f"{record}, line {rows.line_num}: damaged; expected size, time and SHA-256 of "
                "each image and label as they were last read; copy the results again, or remove "
                "it, after which files with new times count as changed."
            ) from None
    return contents


def write_record(record: str | Path, contents: dict[str, Content]) -> None:
    """Write the record whole; several processes may do so at once."""
    temporary = Path(record).with_name(f".partial-{os.getpid()}-{Path(record).name}")
    # The results may lie in a storage alone; then nothing else has made this folder.
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("w", newline="", encoding="utf-8", errors=KEEP_BYTES) as handle:
            csv.writer(handle).writerows([file, *content] for file, content in contents.items())
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(record)
    finally:
        temporary.unlink(missing_ok=True)
