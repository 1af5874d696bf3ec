"""One sentence about many files: it names the first, and all of them stay with it for the page."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from maskmake.data.label_names import describe_files, split_files


class Sentence(str):
    """A sentence that names the first of several files, with all of them.

    Attributes:
        files: all that the sentence is about, the one that it names first.
    """

    files: tuple[str, ...]

    def __new__(cls, text: str, files: Iterable[str | Path]) -> Self:
        """Take a text and the files it is about; those of a label as ``join_files`` gives them."""
        sentence = super().__new__(cls, text)
        sentence.files = tuple(str(file) for label in files for file in split_files(label))
        return sentence


def about(files: Sequence[str], kind: str, text: str) -> Sentence:
    """A sentence that begins with its files, such as ``1.png and 2 more labels: text``."""
    return Sentence(f"{name_files(files, kind)}: {text}", files)


def files_of(sentence: str) -> tuple[str, ...]:
    """All files of a sentence that names only the first of several; none of any other."""
    # Pages of a stack are in one file.
    files = tuple(dict.fromkeys(sentence.files)) if isinstance(sentence, Sentence) else ()
    return files if len(files) > 1 else ()


def name_files(files: Sequence[str], kind: str) -> str:
    """The first of some files, and how many more of the kind there are."""
    more, first = len(files) - 1, describe_files(files[0])
    return f"{first} and {counted(more, f'more {kind}')}" if more else first


def page_name(file: str | Path, page: float | None) -> str:
    """A file, or a page of a stack such as ``a.tif, page 3``; None or NaN: the file is no stack."""
    return str(file) if page is None or math.isnan(page) else f"{file}, page {int(page)}"


def counted(count: int, what: str) -> str:
    """Such as ``1 label`` or ``2 labels``."""
    return f"{count} {what}{'' if count == 1 else 's'}"
