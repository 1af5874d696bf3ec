"""One text for all files of a label, since a table has one cell for it."""

import os
from collections.abc import Sequence
from pathlib import Path

# No path has it inside, so that it can stand between the files of a label in one cell of a table.
BETWEEN = "//"


def join_files(files: Sequence[str | Path]) -> str:
    """One text for the files of a label: the path, or the folder and the paths in it."""
    if len(files) == 1:
        return str(files[0])
    folder = Path(os.path.commonpath([str(Path(file).parent) for file in files]))
    return BETWEEN.join([str(folder), *(str(Path(file).relative_to(folder)) for file in files)])


def split_files(label: str | Path) -> list[Path]:
    """The files of a label, of the text of ``join_files``."""
    if BETWEEN not in str(label):
        return [Path(label)]
    folder, *names = str(label).split(BETWEEN)
    return [Path(folder, name) for name in names] if folder and names else [Path(label)]


def describe_files(label: str | Path) -> str:
    """The files of a label, for people: the first one and the count of the others."""
    first, *more = split_files(label)
    return f"{first} and {len(more)} more" if more else str(first)
