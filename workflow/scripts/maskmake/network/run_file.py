"""``run.json``: the folds that belong to a run. The Snakefile reads it, too."""

from pathlib import Path
from typing import Annotated, TypedDict

from maskmake.runtime.documents import Keywords, read_document

Sum = Annotated[str, Keywords(pattern="^[0-9a-f]{64}$")]  # SHA-256 of a file, hexadecimal


class FoldSums(TypedDict):
    """A fold that belongs to a run: its number, and the sums of ``model.keras``, ``training.json``.

    Its folder is ``fold<number>``.
    """

    fold: Annotated[int, Keywords(minimum=0)]
    model: Sum
    training: Sum


class RunFolds(TypedDict):
    """Contents of ``run.json``. A run of 0.1.0 has no such file."""

    folds: Annotated[list[FoldSums], Keywords(minItems=1)]


def read_folds(path: str | Path) -> list[FoldSums]:
    """The folds that ``run.json`` lists.

    Raises:
        UserError: it is no JSON document, or a value is not what it should be.
    """
    contents: RunFolds = read_document(path, RunFolds)
    return contents["folds"]
